"""Monitors that are looked at: what their runs and the time have made of them."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, zip_longest

from app.db.engine import Tx
from app.domain.monitors import WatchedRun, watch
from app.domain.records import MonitorRow
from app.store import monitors as monitors_store
from app.store.monitors import RUNS_MOST

MONITORS_PER_ROUND = 100
"""How many monitors one round looks at, each with up to some hundred new runs."""


async def watch_monitors(tx: Tx, names: Sequence[str]) -> int:
    """Decide which of the monitors are late, failing or well again; how many were looked at.

    What is to be told is stored step by step, each of which is one change. A monitor is locked meanwhile, and passed
    over by other replicas, so that each change is told once.
    """
    monitors = await monitors_store.lock_watching_monitors(tx, names)
    if not monitors:
        return 0
    watched = [monitor.name for monitor in monitors]
    new, followed = (
        await monitors_store.list_new_runs(tx, watched),
        await monitors_store.list_followed_runs(tx, watched),
    )
    steps = [
        _watch(
            monitor,
            [found.run for found in new if found.name == monitor.name],
            [found.run for found in followed if found.name == monitor.name],
        )
        for monitor in monitors
    ]
    for step in zip_longest(*steps):
        await monitors_store.note_monitors(tx, [row for row in step if row is not None])
    return len(monitors)


def _watch(monitor: MonitorRow, new: Sequence[WatchedRun], followed: Sequence[WatchedRun]) -> list[MonitorRow]:
    """Return the steps of one monitor, as far as all runs are known; those that are left out are read next time."""
    known_until = _known_until(monitor, new)
    return watch(monitor, [*followed, *(run for run in new if run.created_at <= known_until)], known_until)


def _known_until(monitor: MonitorRow, new: Sequence[WatchedRun]) -> datetime:
    """Return up to when all runs have been read: of a status with as many as are read at once there may be more."""
    by_status = [[*group] for _, group in groupby(sorted(new, key=_status_of), key=_status_of)]
    ends = [max(run.created_at for run in runs) for runs in by_status if len(runs) >= RUNS_MOST]
    return min([monitor.now, *ends])


def _status_of(run: WatchedRun) -> str:
    return run.status
