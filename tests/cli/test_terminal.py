"""What a person reads at a terminal: tables that fit it, in any script, and where things stand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from milepost.cli.run_views import list_of_runs, progress_of, standing_of, tree_of_steps
from milepost.cli.terminal import Column, cut, one_line, width_of, write_age, write_rows, write_seconds

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


def ago(**parts: float) -> str:
    return (NOW - timedelta(**parts)).isoformat()


def run(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "workflow_run_id": f"0197c2a4-5b1e-7c3d-9f00-{number:012x}",
        "workflow_name": "nightly_etl",
        "display_name": "nightly_etl__1.0.0",
        "status": "running",
        "reason": None,
        "error": None,
        "paused_at": None,
        "late_at": None,
        "cancel_requested_at": None,
        "created_at": ago(minutes=3, seconds=20),
        "started_at": ago(minutes=3),
        "completed_at": None,
        "progress": {"total": 0, "percent": None, "failed": 0},
        **changes,
    }


def step(path: str, **changes: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("error", "started_at", "completed_at", "awaits", "due_at"))
    return {"path": path, "status": "waiting", "attempt": 0, **nothing, **changes}


class TestTable:
    @pytest.mark.parametrize("width", [40, 80, 200])
    @pytest.mark.parametrize("amount", [1, 200])
    def test_runs_fit_the_terminal(self, width: int, amount: int) -> None:
        long = "x" * 200
        error = {"name": "E", "message": f"山田花子 über\nzwei Zeilen \x1b[31m{long}"}
        runs = [
            run(n, workflow_name=long, display_name=f"{long}__1", status="failed", completed_at=ago(), error=error)
            for n in range(amount)
        ]
        lines = list_of_runs(runs, NOW, max(width, 60)).splitlines()
        assert len(lines) == amount + 1
        assert max(map(width_of, lines)) <= max(width, 60)
        assert "\x1b" not in "".join(lines)
        assert all(line.startswith(f"{n:08x}") for n, line in enumerate(lines[1:]))

    def test_no_runs_are_told_in_a_sentence(self) -> None:
        assert list_of_runs([], NOW, 80) == "no runs match\n"

    def test_wide_terminals_show_versions_and_whole_errors(self) -> None:
        error = {"type": "OSError", "message": "no space left on device"}
        shown = list_of_runs([run(status="failed", reason="lost", error=error)], NOW, 200)
        assert "nightly_etl__1.0.0  lost: no space left on device" in shown
        assert "  3m  " in shown

    def test_columns_count_as_the_terminal_draws_them(self) -> None:
        assert (width_of("花子"), width_of("é"), width_of("e\u0301")) == (4, 1, 1)
        assert cut("花子花子", 5) == "花子…"
        assert cut("abc", 3) == "abc"
        rows = write_rows([Column("A"), Column("B")], [("花子", "1"), ("ab", "2")], 80).splitlines()
        assert {width_of(row[: row.index(digit)]) for row, digit in zip(rows[1:], "12", strict=True)} == {6}

    def test_text_is_one_line(self) -> None:
        assert one_line("a\nb\t c\x07d\u202e") == "a b c d "

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [(-1, "0.0s"), (0.44, "0.4s"), (42, "42s"), (180, "3m"), (7500, "2h 5m"), (356_400, "4d 3h"), (86_400, "1d")],
    )
    def test_durations_have_two_units_at_most(self, seconds: float, shown: str) -> None:
        assert write_seconds(seconds) == shown

    def test_ages_have_one(self) -> None:
        assert write_age(ago(hours=2, minutes=5), NOW) == "2h"


class TestStanding:
    def test_what_else_is_to_be_known_is_said(self) -> None:
        assert standing_of(run()) == "running"
        assert standing_of(run(paused_at=ago(), late_at=ago())) == "running (paused, late)"
        assert standing_of(run(cancel_requested_at=ago())) == "running (asked to stop)"
        over = run(status="cancelled", completed_at=ago(), cancel_requested_at=ago(), late_at=ago())
        assert standing_of(over) == "cancelled (late)"

    def test_percent_says_how_many_failed(self) -> None:
        assert progress_of(run(progress={"percent": 60.0, "failed": 2})) == "60%, 2 failed"
        assert progress_of(run(progress={"percent": 100.0, "failed": 0})) == "100%"
        assert progress_of(run()) == "-"


class TestTree:
    def test_steps_stand_in_the_order_of_execution_children_below_their_parents(self) -> None:
        steps = [
            step("after"),
            step("loop", status="completed", started_at=ago(seconds=50), completed_at=ago(seconds=20)),
            step("loop[0].pack", status="completed", started_at=ago(seconds=45), completed_at=ago(seconds=41)),
            step("loop[1].pack", status="failed", started_at=ago(seconds=49), attempt=3, error={"message": "broken"}),
            step("start", status="completed", started_at=ago(seconds=60), completed_at=ago(seconds=50)),
        ]
        lines = [line.rstrip() for line in tree_of_steps(steps, NOW, 80).splitlines()[1:]]
        assert [line.split()[0] for line in lines] == ["start", "loop", "[1].pack", "[0].pack", "after"]
        assert lines[2].startswith("  [1].pack")
        assert lines[2].endswith("3  broken")
        assert "4.0s" in lines[3]

    def test_what_is_waited_for_is_said(self) -> None:
        (line,) = tree_of_steps([step("hear", status="running", awaits="paid")], NOW, 80).splitlines()[1:]
        assert line.endswith("waits for paid")
