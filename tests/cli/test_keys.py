"""`milepost keys`, as a real process on a real database."""

import json
from collections.abc import Callable

import httpx
import pytest

from milepost.cli.exits import ExitCode
from tests.processes import Serving, environment, open_directory, run_milepost


class TestKeys:
    def test_key_opens_a_running_service_until_it_is_revoked(self, new_database: Callable[[], str]) -> None:
        database_url = new_database()
        with Serving(env=environment({"database_url": database_url, "port": 0})) as service:
            runs = f"{service.ready().url}/v1/workflow-runs"
            assert httpx.get(runs).status_code == 200
            created = run_milepost("keys", "create", "cron", "--scope", "read", database_url=database_url)
            assert created.returncode == ExitCode.OK, created
            assert "Key cron may read. It is not stored" in created.stderr
            key = {"Authorization": f"Bearer {created.stdout.strip()}"}
            assert httpx.get(runs).status_code == 401
            assert httpx.get(runs, headers=key).status_code == 200
            assert httpx.post(runs, headers=key, json={}).status_code == 403
            assert run_milepost("keys", "revoke", "cron", database_url=database_url).stdout == "Key cron is revoked.\n"
            assert httpx.get(runs, headers=key).status_code == 401

    def test_keys_are_listed_as_a_table_and_as_json(self, new_database: Callable[[], str]) -> None:
        database_url = new_database()
        made = run_milepost("keys", "create", "etl", "--json", database_url=database_url)
        assert json.loads(made.stdout).keys() == {"name", "scopes", "key"}
        heading, row = run_milepost("keys", "list", database_url=database_url).stdout.splitlines()
        assert heading.split() == ["NAME", "SCOPES", "CREATED_AT", "REVOKED_AT"]
        assert row.split()[:2] == ["etl", "read,write"]
        (key,) = json.loads(run_milepost("keys", "list", "--json", database_url=database_url).stdout)
        assert (key["name"], key["scopes"], key["revoked_at"]) == ("etl", ["read", "write"], None)

    def test_name_that_is_taken_or_unknown_is_refused(self, new_database: Callable[[], str]) -> None:
        database_url = new_database()
        assert run_milepost("keys", "create", "etl", database_url=database_url).returncode == ExitCode.OK
        again = run_milepost("keys", "create", "etl", database_url=database_url)
        assert again.returncode == ExitCode.REFUSED
        assert again.stderr.startswith("milepost: there is a key etl already")
        unknown = run_milepost("keys", "revoke", "elt", database_url=database_url)
        assert unknown.returncode == ExitCode.REFUSED
        assert unknown.stderr.startswith("milepost: there is no key elt;")

    @pytest.mark.parametrize("name", ["", " etl", "housekeeping"])
    def test_name_that_would_mislead_in_a_history_is_refused(self, name: str) -> None:
        ended = run_milepost("keys", "create", name, database_url="postgresql://127.0.0.1:1/x")
        assert ended.returncode == ExitCode.USAGE
        assert "Traceback" not in ended.stderr

    def test_database_without_the_schema_names_the_command_that_makes_it(
        self, new_database: Callable[[str], str]
    ) -> None:
        ended = run_milepost("keys", "list", database_url=new_database("template0"))
        assert ended.returncode == ExitCode.CANNOT_START
        assert ended.stderr.count("\n") == 1
        assert "run `milepost migrate` first" in ended.stderr

    def test_unreachable_database_is_told_in_one_line(self) -> None:
        ended = run_milepost("keys", "list", database_url="postgresql://127.0.0.1:1/x")
        assert ended.returncode == ExitCode.CANNOT_START
        assert ended.stderr.count("\n") == 1

    def test_first_key_can_be_made_before_the_service_ever_ran(self) -> None:
        with open_directory() as directory:
            ended = run_milepost("keys", "create", "first", data_dir=directory)
            assert ended.returncode == ExitCode.OK, ended
            assert ended.stdout.startswith("mp_")
