"""SQL of the history of workflow runs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Row, Uuid, bindparam, select

from app.db.engine import Tx
from app.models import WorkflowRunHistory as History

_LIST = (
    select(*History.__table__.c)
    .where(
        History.workflow_run_id == bindparam("workflow_run_id", type_=Uuid),
        History.history_id > bindparam("after", type_=BigInteger),
    )
    .order_by(History.history_id)
    .limit(bindparam("most"))
)


async def list_history(tx: Tx, workflow_run_id: UUID, after: int, most: int) -> Sequence[Row[Any]]:
    """SELECT up to ``most`` entries behind the entry ``after``, oldest first."""
    return (await tx.execute(_LIST, {"workflow_run_id": workflow_run_id, "after": after, "most": most})).all()
