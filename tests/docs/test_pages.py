"""Every code block of the README and the docs is run, against a real service."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.db.embedded import find_binaries
from tests.docs.pages import commands_of, is_as_documented, read_blocks, run_commands
from tests.processes import ROOT, SCRIPTS, Serving, environment, open_directory

PAGES = [ROOT / "README.md", ROOT / "milepost" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SERVICE = "http://127.0.0.1:8000"
DATABASE = "postgresql://milepost:secret@db.example/milepost"
PAIR = "postgresql://milepost:secret@/milepost?host=db1.example,db2.example&port=5432,5432"
NOT_RUN = re.compile(r"(export|docker) .*")
INSTALLS = re.compile(r"pip (install|wheel) .*|milepost serve")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def pair_with(url: str) -> str:
    """Return ``url`` as one of a pair whose first host does not answer."""
    target = make_url(url)
    host = str(target.query.get("host", target.host))
    pair = target.set(host=None, port=None, query={"host": f"/nowhere,{host}", "port": f"5432,{target.port or 5432}"})
    return pair.render_as_string(hide_password=False)


class TestPages:
    @each_page
    def test_code_blocks_run_and_print_what_is_shown(self, page: Path, new_database: Callable[[str], str]) -> None:
        commands = list(commands_of(read_blocks(page)))
        if not commands:
            return
        database_url = new_database("template0")
        with open_directory() as directory:
            env = environment({"data_dir": directory / "data", "port": 0})
            env["PATH"] = os.pathsep.join([str(SCRIPTS), str(find_binaries()[0].bin_dir), os.environ["PATH"]])
            with Serving(env=env) as service:
                replaced = {SERVICE: service.ready().url, DATABASE: database_url, PAIR: pair_with(database_url)}
                env |= {"MILEPOST_URL": service.url, "PYTHONPATH": str(ROOT), "HOME": str(directory)}
                outputs = run_commands(commands, replaced, directory, env)
        for command, output in zip(commands, outputs, strict=True):
            if command.output is not None:
                assert is_as_documented(command.output, output), f"{page.name}:{command.line} printed\n{output}"

    @each_page
    def test_only_containers_are_not_run(self, page: Path) -> None:
        for block in read_blocks(page):
            if block.info == "no-run docker":
                assert all(NOT_RUN.fullmatch(line) for line in block.text.splitlines()), f"{page.name}:{block.line}"
            elif block.info == "install":
                assert all(INSTALLS.fullmatch(line) for line in block.text.splitlines()), f"{page.name}:{block.line}"
            elif block.info == "service":
                assert block.text in ("make run\n", "milepost serve\n"), f"{page.name}:{block.line}"
            elif block.info == "demo":  # tests/cli/test_demo.py runs it
                assert block.text == ".venv/bin/milepost demo\n", f"{page.name}:{block.line}"
            elif block.info == "tests":
                assert block.text == "make test\n", f"{page.name}:{block.line}"
            else:
                assert not block.info, f"{page.name}:{block.line}"
                assert block.runs or block.language in ("ini", "crontab"), f"{page.name}:{block.line}"

    @each_page
    def test_links_lead_somewhere(self, page: Path) -> None:
        for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", page.read_text()):
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), f"{page.name}: {path}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert anchor[1:] in {heading.lower().replace(" ", "-") for heading in headings}, anchor

    @pytest.mark.parametrize("target", ["run", "test", "check"])
    def test_make_knows_what_the_readme_names(self, target: str) -> None:
        assert f"make {target}" in (ROOT / "README.md").read_text()
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


class TestComparison:
    @pytest.mark.parametrize(
        ("expected", "actual"),
        [
            ("a\n...\nd\n", "a\nb\nc\nd"),
            ('{"id":"...","n":1}', '{"id":"x","n":1}\n'),
            (
                "01a20892-e6f1-7101-b113-90c6aecb6002  2026-01-01T00:00:00Z",
                "01a2087f-2ac5-7000-8000-5b8c6dd1a3f2  2027-02-03T04:05:06.7Z",
            ),
        ],
    )
    def test_dots_ids_and_times_stand_for_any(self, expected: str, actual: str) -> None:
        assert is_as_documented(expected, actual)

    @pytest.mark.parametrize(("expected", "actual"), [("a", "b"), ("a\n", "a\nb"), ("", "x"), ("...b", "bc")])
    def test_anything_else_is_a_difference(self, expected: str, actual: str) -> None:
        assert not is_as_documented(expected, actual)
