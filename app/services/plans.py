"""Plans of registered definitions, compiled once a process."""

from collections import OrderedDict
from uuid import UUID

from app.db.engine import Tx
from app.domain.highway.compiling import compile_document
from app.domain.highway.plan import Plan
from app.store import executions as store

PLANS_MOST = 256
"""How many are kept; a definition never changes, so a kept one is never wrong."""

_plans: OrderedDict[UUID, Plan] = OrderedDict()


async def get_plan(tx: Tx, workflow_id: UUID) -> Plan:
    """Return the plan of a registered definition."""
    plan = _plans.get(workflow_id)
    if plan is None:
        plan = compile_document(await store.get_document(tx, workflow_id)).plan
        _plans[workflow_id] = plan
        if len(_plans) > PLANS_MOST:
            _plans.popitem(last=False)
    _plans.move_to_end(workflow_id)
    return plan
