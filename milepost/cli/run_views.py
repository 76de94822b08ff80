"""Workflow runs and their steps as a person reads them in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from milepost.cli.terminal import Column, one_line, write_age, write_rows, write_span

Json = Mapping[str, Any]
SHORT_ID = 8
"""How much of the end of an id is shown; its beginning is the same for all that were made in one minute."""
_WIDE = 100
"""From how many columns on there is room for the versions."""
_RUNS = (
    Column("ID"),
    Column("STATUS"),
    Column("AGE", is_number=True),
    Column("TOOK", is_number=True),
    Column("DONE", is_number=True),
    Column("WORKFLOW", share=0.45),
    Column("WHY", share=0.55),
)
_STEPS = (
    Column("STEP", share=0.6),
    Column("STATUS"),
    Column("TOOK", is_number=True),
    Column("TRIES", is_number=True),
    Column("WHY", share=0.4),
)


def list_of_runs(runs: Sequence[Json], now: datetime, width: int) -> str:
    """Return runs as a table that fits ``width`` columns."""
    if not runs:
        return "no runs match\n"
    rows = [
        (
            run["workflow_run_id"][-SHORT_ID:],
            standing_of(run),
            write_age(run["created_at"], now),
            write_span(run["started_at"], run["completed_at"], now),
            progress_of(run),
            run["display_name" if width >= _WIDE else "workflow_name"],
            why_of(run),
        )
        for run in runs
    ]
    return write_rows(_RUNS, rows, width)


def standing_of(run: Json) -> str:
    """Return where a run stands, and what else is to be known of that: `running (paused)`."""
    facts = []
    if run["completed_at"] is None:
        facts += ["paused"] if run["paused_at"] else []
        facts += ["asked to stop"] if run["cancel_requested_at"] else []
    facts += ["late"] if run.get("late_at") else []
    return f"{run['status']} ({', '.join(facts)})" if facts else str(run["status"])


def progress_of(run: Json) -> str:
    """Return how much has ended, and how much of that has failed: `60%, 2 failed`."""
    progress = run["progress"]
    if progress["percent"] is None:
        return "-"
    failed = f", {progress['failed']} failed" if progress["failed"] else ""
    return f"{progress['percent']:.0f}%{failed}"


def why_of(thing: Json) -> str:
    """Return why a run or a step stands where it stands, in one line."""
    error = thing["error"]
    message = error.get("message") if isinstance(error, dict) else error
    parts = [str(part) for part in (thing.get("reason"), message) if part]
    return one_line(": ".join(parts))


def line_of_run(run: Json, now: datetime) -> str:
    """Return a run on one line."""
    progress = run["progress"]
    ended = sum(progress[status] for status in ("completed", "failed", "cancelled"))
    done = f"  {ended} of {progress['total']} ended ({progress_of(run)})" if progress["total"] else ""
    why = f"  {why_of(run)}" if why_of(run) else ""
    span = write_span(run["started_at"], run["completed_at"], now)
    return f"{run['display_name']}  {standing_of(run)}{done}  {span}{why}"


def tree_of_steps(steps: Sequence[Json], now: datetime, width: int) -> str:
    """Return steps as a tree in the order of execution; what has not begun comes last, as the definition has it."""
    if not steps:
        return "no steps: the service does not execute this run, or none match\n"
    rows = [
        (
            "  " * (len(place) - 1) + place[-1],
            step["status"],
            write_span(step["started_at"], step["completed_at"], now),
            str(step["attempt"]) if step["attempt"] > 1 else "",
            why_of(step) or _waiting_for(step),
        )
        for place, step in _in_order(steps)
    ]
    return write_rows(_STEPS, rows, width)


def _waiting_for(step: Json) -> str:
    if step["completed_at"] is None and step["awaits"]:
        return f"waits for {step['awaits']}"
    return f"until {step['due_at']}" if step["completed_at"] is None and step["due_at"] else ""


def _in_order(steps: Sequence[Json]) -> list[tuple[tuple[str, ...], Json]]:
    """Return the steps with their places, parents before children, each family in the order of its first start."""
    known = {step["path"]: number for number, step in enumerate(steps)}
    began: dict[str, tuple[bool, str]] = {}
    lines = {step["path"]: _line(step["path"], known) for step in steps}
    for step in steps:
        for ancestor in lines[step["path"]]:
            start = (step["started_at"] is None, step["started_at"] or "")
            began[ancestor] = min(began.get(ancestor, start), start)

    def key(step: Json) -> list[tuple[tuple[bool, str], int]]:
        return [(began[ancestor], known[ancestor]) for ancestor in lines[step["path"]]]

    return [(_names(lines[step["path"]]), step) for step in sorted(steps, key=key)]


def _line(path: str, known: Mapping[str, int]) -> tuple[str, ...]:
    """Return the paths of the steps that a step is inside of, outermost first, and its own."""
    ends = [place for place, sign in enumerate(path) if sign in ".["]
    return (*(path[:end] for end in ends if path[:end] in known), path)


def _names(line: tuple[str, ...]) -> tuple[str, ...]:
    """Return what each of a line is called inside of the one before."""
    before = ("", *line)
    return tuple(path[len(parent) :].removeprefix(".") for parent, path in zip(before, line, strict=False))
