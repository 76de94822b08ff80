"""Plans of registered definitions, compiled once a process."""

import asyncio
from collections import OrderedDict
from threading import Lock
from uuid import UUID

from app.db.engine import Tx
from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.compiler.plan import Plan
from app.domain.json_texts import JsonText
from app.execution.threads import EXECUTING
from app.store import executions as store

STEPS_MOST = 200_000
"""How many steps all plans together have that are kept; a definition never changes, so a kept one is never wrong."""

_plans: OrderedDict[UUID, Plan] = OrderedDict()
_lock = Lock()
"""They are kept and found in threads as well."""
_coming: dict[tuple[UUID, asyncio.AbstractEventLoop], asyncio.Task[Plan]] = {}
"""Plans that are being compiled: who needs one meanwhile waits for it."""


async def get_plan(tx: Tx, workflow_id: UUID) -> Plan:
    """Return the plan of a registered definition."""
    plan = find_plan(workflow_id)
    if plan is None:
        key = workflow_id, asyncio.get_running_loop()
        if key not in _coming:
            document = await store.get_document(tx, workflow_id)
            if key not in _coming:
                _coming[key] = asyncio.create_task(EXECUTING.run(lambda: compile_document(document.read()).plan))
                _coming[key].add_done_callback(lambda _: _coming.pop(key, None))
        plan = await asyncio.shield(_coming[key])
        keep_plan(workflow_id, plan)
    return plan


def find_or_make_plan(workflow_id: UUID, document: JsonText) -> Plan:
    """Return the plan of a registered definition whose document is known; to be called in a thread."""
    plan = find_plan(workflow_id)
    if plan is None:
        plan = compile_document(document.read()).plan
        keep_plan(workflow_id, plan)
    return plan


def find_plan(workflow_id: UUID) -> Plan | None:
    """Return the plan of a registered definition, if it is kept."""
    with _lock:
        if workflow_id in _plans:
            _plans.move_to_end(workflow_id)
        return _plans.get(workflow_id)


def keep_plan(workflow_id: UUID, plan: Plan) -> None:
    """Keep the plan of a definition for its runs; those that were not used for the longest time make room."""
    with _lock:
        _plans[workflow_id] = plan
        _plans.move_to_end(workflow_id)
        while len(_plans) > 1 and sum(map(_size_of, _plans.values())) > STEPS_MOST:
            _plans.popitem(last=False)


def forget_plans() -> None:
    """Keep no plan any more, like a process that has just begun."""
    with _lock:
        _plans.clear()


def _size_of(plan: Plan) -> int:
    return sum(len(region.steps) for region in plan.regions.values())
