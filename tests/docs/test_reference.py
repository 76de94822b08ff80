"""The reference is complete and current."""

import pytest

from app.api.openapi import all_routes
from app.errors import PROBLEMS, Refusal
from app.main import create_app
from app.settings import Settings
from milepost.cli.exits import MEANINGS, ExitCode
from tests.docs import generate
from tests.docs.compiled_sql import STATEMENTS, write_statements
from tests.processes import ROOT

PAGE = generate.REFERENCE.read_text()


class TestReference:
    def test_generated_parts_are_current(self) -> None:
        assert generate.rewrite(generate.REFERENCE) == PAGE, "docs/reference.md is not current: run `make docs`"

    def test_every_setting_is_documented(self) -> None:
        for name, field in Settings.model_fields.items():
            assert f"`MILEPOST_{name.upper()}`" in PAGE
            assert field.description, f"{name} has no description"

    def test_every_problem_is_documented(self) -> None:
        known = {refusal.code for refusal in _below(Refusal) if hasattr(refusal, "code")}
        assert known == set(PROBLEMS)
        assert all(f"| `{code}` |" in PAGE for code in known)

    def test_every_metric_is_documented(self) -> None:
        names = [name for name, *_ in generate.all_metrics()]
        assert len(names) > 5
        assert all(f"`{name}`" in PAGE for name in names)

    def test_every_route_is_documented(self) -> None:
        for route in all_routes(create_app(Settings())):
            assert not route.include_in_schema or f" {route.path}` | `{route.name}` |" in PAGE

    def test_every_exit_code_has_a_meaning(self) -> None:
        assert set(MEANINGS) == set(ExitCode)

    @pytest.mark.parametrize("loop", ["end_overdue_runs", "prune_idempotency_keys"])
    def test_loops_that_are_explained_exist(self, loop: str) -> None:
        assert f"`{loop}`" in (ROOT / "docs" / "operations.md").read_text()


def test_statements_are_current() -> None:
    assert STATEMENTS.read_text() == write_statements(), "docs/inside/statements.sql is not current: run `make docs`"


def _below(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind, *(deeper for below in kind.__subclasses__() for deeper in _below(below))}
