"""SQL of the history of workflow runs."""

from uuid import UUID

from sqlalchemy import BigInteger, Uuid, bindparam, select

from app.db.engine import Tx
from app.domain.records import HistoryRow
from app.models import WorkflowRunHistory as History
from app.store.pages import Page, read_page

_LIST = (
    select(*History.__table__.c)
    .where(
        History.workflow_run_id == bindparam("workflow_run_id", type_=Uuid),
        History.history_id > bindparam("after", type_=BigInteger),
    )
    .order_by(History.history_id)
    .limit(bindparam("most"))
)


async def list_history(tx: Tx, workflow_run_id: UUID, after: int, limit: int) -> Page[HistoryRow]:
    """SELECT up to ``limit`` entries behind the entry ``after``, oldest first."""
    return await read_page(tx, HistoryRow, _LIST, {"workflow_run_id": workflow_run_id, "after": after}, limit)
