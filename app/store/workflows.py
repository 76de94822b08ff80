"""SQL of registered definitions."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Text, any_, bindparam, delete, literal, select, true
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Record, Tx
from app.domain.records import VersionRow, WorkflowRow
from app.models import Workflow, WorkflowExecution
from app.store.locks import Rank
from app.store.pages import Page, read_page
from app.store.parts import Expression, Query

_NAME = bindparam("name", type_=Text)
_VERSION = bindparam("version", type_=Text)
_SHORT = tuple(Workflow.__table__.c[name] for name in VersionRow._fields)


def _version_of(columns: Sequence[Expression]) -> Query:
    return select(*columns).where(Workflow.workflow_name == _NAME, Workflow.workflow_version == _VERSION)


def _newest_of(columns: Sequence[Expression]) -> Query:
    return select(*columns).where(Workflow.workflow_name == _NAME).order_by(Workflow.sequence.desc()).limit(1)


_GIVEN = (
    "workflow_id",
    "workflow_name",
    "workflow_version",
    "workflow_hash",
    "description",
    "document",
    "source",
    "media_type",
    "warnings",
    "created_by",
)
_INSERT = (
    insert(Workflow)
    .values({name: bindparam(f"new_{name}", type_=Workflow.__table__.c[name].type) for name in _GIVEN})
    .on_conflict_do_nothing(index_elements=["workflow_name", "workflow_version"])
    .returning(*_SHORT)
    .execution_options(locks=Rank.workflows.new)
)


async def insert_workflow(tx: Tx, row: Parameters) -> VersionRow | None:
    """INSERT a version; None if there is one of this name and version. Waits for others who are inserting it."""
    return await tx.fetch_one(VersionRow, _INSERT, {f"new_{name}": row[name] for name in _GIVEN})


_ALL = tuple(Workflow.__table__.c[name] for name in WorkflowRow._fields)
_GET = _version_of(_ALL)
_GET_NEWEST = _newest_of(_ALL)


async def get_workflow(tx: Tx, name: str, version: str | None) -> WorkflowRow | None:
    """SELECT a version with its document, or the newest."""
    return await _fetch_one(tx, WorkflowRow, _GET, _GET_NEWEST, name, version)


_LIST_NAMES = (
    select(Workflow.workflow_name)
    .where(Workflow.workflow_name == any_(bindparam("names", type_=ARRAY(Text))))
    .distinct()
)


async def list_registered_names(tx: Tx, names: Collection[str]) -> Sequence[str]:
    """SELECT those of the names that workflows are registered under."""
    return await tx.fetch_values(_LIST_NAMES, {"names": list(names)})


_SHARE = _version_of(_SHORT).with_for_update(key_share=True, read=True).execution_options(locks=Rank.workflows)
_SHARE_NEWEST = _newest_of(_SHORT).with_for_update(key_share=True, read=True).execution_options(locks=Rank.workflows)


async def share_workflow(tx: Tx, name: str, version: str | None) -> VersionRow | None:
    """SELECT a version, or the newest, FOR KEY SHARE: it stays until the transaction ends."""
    return await _fetch_one(tx, VersionRow, _SHARE, _SHARE_NEWEST, name, version)


_LOCK = _version_of(_SHORT).with_for_update().execution_options(locks=Rank.workflows)


async def lock_workflow(tx: Tx, name: str, version: str) -> VersionRow | None:
    """SELECT a version FOR UPDATE: nobody can start a run of it before the transaction ends."""
    return await tx.fetch_one(VersionRow, _LOCK, {"name": name, "version": version})


async def _fetch_one(
    tx: Tx, record: type[Record], one: Query, newest: Query, name: str, version: str | None
) -> Record | None:
    if version is None:
        return await tx.fetch_one(record, newest, {"name": name})
    return await tx.fetch_one(record, one, {"name": name, "version": version})


_first = (
    select(Workflow.workflow_name.label("name"), literal(1).label("place"))
    .where(Workflow.workflow_name > bindparam("after", type_=Text))
    .order_by(Workflow.workflow_name)
    .limit(1)
    .cte("names", recursive=True)
)
_next = (
    select(Workflow.workflow_name)
    .where(Workflow.workflow_name > _first.c.name)
    .order_by(Workflow.workflow_name)
    .limit(1)
    .lateral("following")
)
_names = _first.union_all(
    select(_next.c.workflow_name, _first.c.place + 1)
    .select_from(_first.join(_next, true()))
    .where(_first.c.place < bindparam("most", type_=BigInteger))
)
_newest = (
    select(*_SHORT)
    .where(Workflow.workflow_name == _names.c.name)
    .order_by(Workflow.sequence.desc())
    .limit(1)
    .lateral("newest")
)
_LIST_NEWEST = select(*_newest.c).select_from(_names.join(_newest, true())).order_by(_names.c.name)
"""Steps from one name to the next: the cost is that of a page, however many versions a name has."""


async def list_newest(tx: Tx, after: str, limit: int) -> Page[VersionRow]:
    """SELECT the newest version of up to ``limit`` names behind ``after``, by name."""
    return await read_page(tx, VersionRow, _LIST_NEWEST, {"after": after}, limit)


_LIST_VERSIONS = (
    select(*_SHORT)
    .where(Workflow.workflow_name == _NAME, Workflow.sequence < bindparam("before", type_=BigInteger))
    .order_by(Workflow.sequence.desc())
    .limit(bindparam("most"))
)


async def list_versions(tx: Tx, name: str, before: int, limit: int) -> Page[VersionRow]:
    """SELECT up to ``limit`` versions of a name that were registered before the one of this sequence, newest first."""
    return await read_page(tx, VersionRow, _LIST_VERSIONS, {"name": name, "before": before}, limit)


_FIND_RUN = (
    select(WorkflowExecution.workflow_run_id)
    .where(WorkflowExecution.workflow_id == bindparam("workflow_id"))
    .order_by(WorkflowExecution.workflow_run_id.desc())
    .limit(1)
)


async def get_run_of(tx: Tx, workflow_id: UUID) -> UUID | None:
    """SELECT the newest run that executes a version."""
    return await tx.find_value(_FIND_RUN, {"workflow_id": workflow_id})


_DELETE = (
    delete(Workflow)
    .where(Workflow.workflow_id == bindparam("workflow_id"))
    .execution_options(locks=Rank.workflows.held)
)


async def delete_workflow(tx: Tx, workflow_id: UUID) -> None:
    """DELETE a version, and with it the schedule that it brought."""
    await tx.execute(_DELETE, {"workflow_id": workflow_id})
