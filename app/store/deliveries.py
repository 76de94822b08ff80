"""SQL of events on their way to runs and tasks that could not be told at once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Integer, Text, Uuid, any_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import Parameters, Tx
from app.domain.records import DeliveryRow
from app.models import EventDelivery
from app.store.locks import Rank
from app.store.recordsets import as_rows, rows_like

_KEYS = bindparam("keys", type_=ARRAY(BigInteger))
_DELIVERED = ("queue", "event_name", "workflow_run_id")
_delivery = rows_like(EventDelivery, _DELIVERED)
_INSERT_DELIVERIES = insert(EventDelivery).from_select(_DELIVERED, select(*(_delivery.c[n] for n in _DELIVERED)))


async def insert_deliveries(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT events that other runs are still to be told of."""
    await tx.execute(_INSERT_DELIVERIES, as_rows(rows))


_MOST = bindparam("most", type_=Integer)
_LOCK_DELIVERIES = (
    select(*EventDelivery.__table__.c)
    .order_by(EventDelivery.delivery_id)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
    .execution_options(locks=Rank.deliveries.skipped)
)


async def lock_deliveries(tx: Tx, most: int) -> Sequence[DeliveryRow]:
    """SELECT FOR UPDATE events that are on their way, oldest first, skipping those that are being delivered."""
    return await tx.fetch(DeliveryRow, _LOCK_DELIVERIES, {"most": most})


_LOCK_SOME_DELIVERIES = (
    select(*EventDelivery.__table__.c)
    .where(EventDelivery.delivery_id == any_(_KEYS))
    .order_by(EventDelivery.delivery_id)
    .with_for_update()
    .execution_options(locks=Rank.deliveries)
)


async def lock_some_deliveries(tx: Tx, keys: Sequence[int]) -> Sequence[DeliveryRow]:
    """SELECT FOR UPDATE those of the events on their way that still are."""
    return await tx.fetch(DeliveryRow, _LOCK_SOME_DELIVERIES, {"keys": list(keys)})


_DELETE_DELIVERIES = (
    delete(EventDelivery).where(EventDelivery.delivery_id == any_(_KEYS)).execution_options(locks=Rank.deliveries.held)
)


async def delete_deliveries(tx: Tx, keys: Sequence[int]) -> None:
    """DELETE events that have been told of."""
    await tx.execute(_DELETE_DELIVERIES, {"keys": list(keys)})


_IS_ON_ITS_WAY = select(
    select(1)
    .where(
        EventDelivery.queue == bindparam("of_queue", type_=Text),
        EventDelivery.event_name == bindparam("name", type_=Text),
        EventDelivery.workflow_run_id.is_not_distinct_from(bindparam("of_run", type_=Uuid)),
    )
    .exists()
)


async def is_on_its_way(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> bool:
    """SELECT whether somebody is still to be told of an event."""
    return await tx.fetch_value(_IS_ON_ITS_WAY, {"of_queue": queue, "name": name, "of_run": workflow_run_id})
