"""Reads with few and with many stored runs: a page must not cost more where there is more history."""

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from benchmarks.calls import RUNS as ADDRESS
from benchmarks.calls import always
from benchmarks.http import make_request
from benchmarks.load import NextRequest, drive
from benchmarks.postgres import connect, make_database, running_postgres
from benchmarks.seeding import COMMONEST_NAME, RAREST_NAME, seed_runs
from benchmarks.service import Service, running_service
from benchmarks.tables import Cell, render_table

SIZES = (1_000, 1_000_000)
CONNECTIONS = (1, 8)
ROUNDS = 3
BLOCK_PART = 6
"""A block of reads takes one part in so many of a block of writes; there are many."""

_LISTS: Mapping[str, str] = {
    "list": "order=-created_at",
    "list, status=failed": "status=failed",
    "list, status=pending": "status=pending",
    "list, two statuses": "status=failed&status=running",
    "list, a common name": f"workflow_name={COMMONEST_NAME}",
    "list, a rare name": f"workflow_name={RAREST_NAME}",
    "list, two names": f"workflow_name={COMMONEST_NAME}&workflow_name={RAREST_NAME}",
    "list, name and status": f"workflow_name={COMMONEST_NAME}&status=failed",
    "list, rare name and status": f"workflow_name={RAREST_NAME}&status=failed",
    "list, a common tag": "tag=env:prod",
    "list, a rare tag": "tag=team:team_13",
    "list, two tags": "tag=env:prod&tag=team:team_13",
    "list, tag and status": "tag=env:prod&status=failed",
    **{f"list, order={order}": f"order={order}" for order in ("created_at", "started_at", "completed_at")},
    "list, order=updated_at": "order=updated_at",
    **{f"list, order={order}": f"order={order}" for order in ("-started_at", "-completed_at", "-updated_at")},
    "list, status=failed, order=-completed_at": "status=failed&order=-completed_at",
}
_CONTINUED = ("list", "list, status=failed", "list, two statuses", "list, a common tag", "list, order=-completed_at")
"""Lists whose second page is asked for too."""
_COUNTS: Mapping[str, str] = {
    "counts by status": "/counts",
    "counts by name and status": "/counts?by=workflow_name,status",
    "list, count=exact": "?count=exact",
    "list, status=failed, count=exact": "?status=failed&count=exact",
}

Key = tuple[str, int, int]
"""A question, the number of stored runs, the number of connections."""


@dataclass(slots=True)
class Store:
    """A service over a number of stored runs, and what it is asked."""

    size: int
    service: Service
    questions: dict[str, NextRequest] = field(default_factory=dict)
    counts: dict[str, NextRequest] = field(default_factory=dict)


def measure_reads(seconds: float) -> str:
    """Return a table of reads, small store and large store in turns, and one of counts."""
    with running_postgres() as server_url, ExitStack() as stack:
        stores = [_open_store(server_url, size, stack) for size in SIZES]
        _add_lists(stores)
        latencies: dict[Key, list[float]] = {}
        counts: dict[Key, list[float]] = {}
        for _ in range(ROUNDS):
            for name in stores[0].questions:
                for store, connections in itertools.product(stores, CONNECTIONS):
                    asked = _ask(store, store.questions[name], connections, seconds / BLOCK_PART)
                    latencies.setdefault((name, store.size, connections), []).extend(asked)
        for name in stores[0].counts:
            for store in stores:
                counts[name, store.size, 1] = _ask(store, store.counts[name], 1, max(1.0, seconds))
    return f"{_render_reads(list(stores[0].questions), latencies)}\n\n{_render_counts(list(_COUNTS), counts)}"


def _ask(store: Store, question: NextRequest, connections: int, seconds: float) -> list[float]:
    return drive(store.service.port, question, status=200, connections=connections, seconds=seconds).latencies


def _open_store(server_url: str, size: int, stack: ExitStack) -> Store:
    url = make_database(server_url, f"runs_{size}")
    with connect(url) as database:
        seed_runs(database, size)
        ids = [
            row[0] for row in database.execute("SELECT workflow_run_id FROM workflow_runs TABLESAMPLE BERNOULLI (10)")
        ]
    gets = itertools.cycle([make_request("GET", f"{ADDRESS}/{run_id}") for run_id in random.Random(1).sample(ids, 50)])  # noqa: S311
    store = Store(size, stack.enter_context(running_service(url)))
    store.questions["get one"] = lambda _last: next(gets)
    store.counts = {name: _always(ADDRESS + target) for name, target in _COUNTS.items()}
    return store


def _add_lists(stores: Sequence[Store]) -> None:
    """Ask every store for pages of the size that the smallest can fill: an answer of one run is no match for 50."""
    for name, query in _LISTS.items():
        items = len(_ask_once(stores[0], query)["items"])
        sized = f"{query}&limit={max(1, items)}"
        for store in stores:
            store.questions[f"{name} ({items})"] = _always(f"{ADDRESS}?{sized}")
    for name in _CONTINUED:
        sized = f"{_LISTS[name]}&limit=10"
        for store in stores:
            cursor = _ask_once(store, sized)["next_cursor"]
            store.questions[f"{name}, page 2 (10)"] = _always(f"{ADDRESS}?{sized}&cursor={cursor}")


def _ask_once(store: Store, query: str) -> dict[str, Any]:
    block = drive(store.service.port, _always(f"{ADDRESS}?{query}"), status=200, connections=1, seconds=0.02)
    page: dict[str, Any] = json.loads(block.last_body)
    return page


def _always(target: str) -> NextRequest:
    return always(make_request("GET", target))


def _percentile(latencies: Sequence[float], percent: int) -> float:
    return quantiles(latencies, n=100)[percent - 1] * 1e3


def _render_reads(names: Sequence[str], latencies: Mapping[Key, Sequence[float]]) -> str:
    small, large = SIZES
    header = ["ms at 1,000 -> 1,000,000 runs (on the page)"]
    for connections in CONNECTIONS:
        header += [f"{connections} conn: p50", "p95", "p95 grows by"]
    rows = []
    for name in names:
        row: list[Cell] = [name]
        for connections in CONNECTIONS:
            few, many = latencies[name, small, connections], latencies[name, large, connections]
            row += [_pair(few, many, 50), _pair(few, many, 95), _percentile(many, 95) / _percentile(few, 95)]
        rows.append(row)
    return render_table(header, rows)


def _pair(few: Sequence[float], many: Sequence[float], percent: int) -> str:
    return f"{_percentile(few, percent):.1f} -> {_percentile(many, percent):.1f}"


def _render_counts(names: Sequence[str], counts: Mapping[Key, Sequence[float]]) -> str:
    header = ["ms, 1 connection", *(f"{size:,} runs: p50" for size in SIZES)]
    return render_table(header, [[name, *(_percentile(counts[name, size, 1], 50) for size in SIZES)] for name in names])
