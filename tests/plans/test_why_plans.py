"""Why something does not move costs the same with a million tasks as with a few."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable

from app.store import why, workers
from app.store.recordsets import as_rows
from tests.conftest import connect
from tests.plans.probe import Probe

RUN = UUID("01890000-0000-7000-8000-000000000001")
COUNTED, LOOKED_AT = 1000, 100
TABLES = ("tasks", "workflow_steps", "workflow_runs", "queue_workers", "events", "event_waits")
either_way = pytest.mark.parametrize("generic", [False, True], ids=["for_its_values", "for_all_values"])


def task_id(number: int) -> UUID:
    return UUID(int=0x01890000_0000_7000_8000_000000000000 + number)


FRONT, MIDDLE, BACK, ENDED = map(task_id, (700_001, 850_000, 1_000_000, 5))
"""Of those that are ready, the first is near the front of the line, and the last at its end."""
READS: Mapping[str, tuple[Executable, Mapping[str, Any], Mapping[str, float]]] = {
    "task_at_the_front": (why._GET_TASKS, {"ids": [FRONT], "most": COUNTED}, {"tasks": 2 * COUNTED + 10}),
    "task_in_the_middle": (why._GET_TASKS, {"ids": [MIDDLE], "most": COUNTED}, {"tasks": 2 * COUNTED + 10}),
    "task_at_the_end": (why._GET_TASKS, {"ids": [BACK], "most": COUNTED}, {"tasks": 2 * COUNTED + 10}),
    "task_that_ended": (why._GET_TASKS, {"ids": [ENDED], "most": COUNTED}, {"tasks": 10}),
    "open_tasks": (why._LIST_OPEN_TASKS, {"of_run": RUN, "most": LOOKED_AT}, {"tasks": LOOKED_AT}),
    "count_of_open_tasks": (why._COUNT_OPEN_TASKS, {"of_run": RUN, "most": COUNTED}, {"tasks": COUNTED}),
    "queues": (why._GET_QUEUES, {"queues": ["crowd", "default"]}, {"tasks": 2000}),
    "crews": (
        workers._COUNT_CREWS,
        as_rows([{"queue": "crowd", "task_name": "task_1"}]),
        {"queue_workers": workers.NEWEST_MOST + 10, "tasks": workers.NEWEST_MOST + 10},
    ),
    "awaited": (why._LIST_AWAITED, {"ids": [FRONT, BACK], "most": COUNTED}, {"event_waits": 10, "events": 10}),
    "run": (why._GET_RUN, {"of_run": RUN}, {"workflow_runs": 1}),
    "open_steps": (why._LIST_OPEN_STEPS, {"of_run": RUN, "most": LOOKED_AT}, {"workflow_steps": LOOKED_AT}),
    "children": (why._LIST_CHILDREN, {"of_run": RUN, "most": LOOKED_AT}, {"workflow_runs": why.CHILDREN_MOST}),
}


@pytest.fixture(scope="module")
def crowded(new_database: Any) -> Iterator[Probe]:
    url: str = new_database()
    with connect(url) as connection:
        connection.execute(Path(__file__).with_name("seed_why.sql").read_bytes())
        connection.execute("VACUUM (ANALYZE) tasks, queue_workers, workflow_runs")
    probe = Probe(url)
    yield probe
    probe.close()


@either_way
class TestWhy:
    @pytest.mark.parametrize("read", READS)
    def test_it_reads_up_to_a_number(self, crowded: Probe, read: str, generic: bool) -> None:
        statement, values, most = READS[read]
        plan = crowded.explain(statement, values, generic=generic)
        for table in TABLES:
            assert plan.rows_read(table) <= most.get(table, 10), table

    def test_tasks_before_one_are_counted_as_claims_take_them(self, crowded: Probe, generic: bool) -> None:
        plans: Sequence[Any] = [
            crowded.explain(why._GET_TASKS, {"ids": [each], "most": COUNTED}, generic=generic) for each in (FRONT, BACK)
        ]
        assert all("ix_tasks_ready" in plan.indexes() for plan in plans)
