"""Claims: tasks handed out and results taken in, many at once and in one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

import structlog
from pydantic_core import from_json

from app.access.api_keys import TOPIC as KEYS
from app.access.callers import Visit
from app.access.claim_repeats import recall_claims, remember_claims
from app.access.idempotency import IdempotencyKey
from app.access.sightings import Sightings
from app.db.batching import Batching, batched
from app.db.engine import Parameters, Tx
from app.db.failures import is_worth_another_try, may_be_of_one
from app.db.outages import describe_failure
from app.db.wakeups import Wakeups, queue_topic
from app.domain.json_texts import JsonValue
from app.errors import Refusal
from app.execution.completions import are_plain, complete_each, completed_row
from app.moves.attempts import expire_leases
from app.moves.event_waits import wake_due_tasks
from app.moves.leases import Answered, Report
from app.moves.tasks import task_topic
from app.store import checkpoints as checkpoints_store
from app.store import claims as claims_store
from app.store import due_tasks as due_tasks_store
from app.store import queues as queues_store
from app.store.claims import HandedTask, QueueLimits, TakenTasks
from app.store.sizes import BYTES_MOST
from milepost.schemas.tasks import Claim, CompletedItem, TaskCompletions, TaskStatus

log = structlog.get_logger()
MOVED_MOST = 500
"""How many expired leases and due tasks one claim clears away before it looks for work."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a worker gets in an exchange; plain, because there are many of them and each is written once."""

    outcomes: Sequence[Parameters]
    """As `CompletionOutcome`."""
    tasks: Sequence[Parameters]
    """As `ClaimedTask`."""
    replayed: bool = False
    """They were handed out before, to the same claim."""
    is_put_off: bool = False
    """There was no more room for its claim in this round; the next has."""


@dataclass(slots=True)
class Round:
    """What one round of claims hands out: the bytes that it may still be, and whose claims are left to the next."""

    room: int = BYTES_MOST
    put_off: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a worker wants of a queue in one call: reports of what is done, and a claim for more."""

    queue: str
    done: Sequence[CompletedItem] = ()
    claim: Claim | None = None
    key: IdempotencyKey | None = None
    """With it the claim, repeated while its leases last, gives the same tasks."""


async def _exchange(tx: Tx, wishes: Sequence[Exchange]) -> Sequence[Exchanged | Refusal]:
    """Take all results in, then hand tasks out to all who claim."""
    keys = {place: wish.key for place, wish in enumerate(wishes) if wish.claim and wish.key}
    if not keys and _is_one_statement(wishes):
        tx.commit_each()
    recalled = await recall_claims(tx, keys)
    accepted = {place: wish for place, wish in enumerate(wishes) if place not in recalled.refused}
    reports = [_report_of(item) for wish in accepted.values() for item in wish.done]
    first = await _exchange_at_once(tx, wishes, reports) if not keys else None
    answers = await complete_each(tx, reports) if first is None or not first.is_done else [Answered(b"")] * len(reports)
    outcomes = iter([_outcome_of(report, answer) for report, answer in zip(reports, answers, strict=True)])
    taken = {place: [next(outcomes) for _ in wish.done] for place, wish in accepted.items()}
    again = _by_claim(recalled.held)
    served = {*again, *recalled.followers, *recalled.put_off}
    this = Round(BYTES_MOST - recalled.bytes, set(recalled.put_off))
    handed: dict[int, list[HandedTask]] = {}
    for queue in sorted({wish.queue for wish in accepted.values() if wish.claim}):
        of_queue = {place: wish.claim for place, wish in accepted.items() if wish.claim and wish.queue == queue}
        unserved = {place: claim for place, claim in of_queue.items() if place not in served}
        if unserved:
            handed |= await _hand_out(tx, this, queue, unserved, first)
    await remember_claims(tx, keys, handed)
    tx.is_promise = tx.is_promise and bool(reports or handed or again)
    given = await _show(tx, handed | again)
    given |= {place: given[first] for place, first in recalled.followers.items() if first in given}
    this.put_off |= {place for place, first in recalled.followers.items() if first in this.put_off}
    return [
        recalled.refused.get(place)
        or Exchanged(taken[place], given.get(place, []), place in served, place in this.put_off)
        for place in range(len(wishes))
    ]


exchange = batched(_exchange)
"""Take the results of a worker in, and hand tasks out to it."""


@dataclass(frozen=True, slots=True)
class First:
    """What came of one statement for a whole batch."""

    is_done: bool
    """Whether all results were taken in."""
    found: TakenTasks | None
    """What was claimed, or that something has to be done before; None: it is not known."""


async def _exchange_at_once(
    tx: Tx, wishes: Sequence[Exchange], reports: Sequence[Report[CompletedItem]]
) -> First | None:
    """Take all results in and claim for all by one statement; None if there is more than it can do.

    Nothing is done where a lease has ended, or the queue is not free.
    """
    claims = {place: wish.claim for place, wish in enumerate(wishes) if wish.claim}
    queues = {wish.queue for wish in wishes if wish.claim}
    groups = _by_names(claims)
    is_distinct = len({report.task_id for report in reports}) == len(reports)
    if not reports or len(queues) != 1 or len(groups) != 1 or not is_distinct or not are_plain(reports):
        return None
    tx.commit_each()
    ((names, group),) = groups
    (queue,) = queues
    left = {place: claim.limit for place, claim in group.items()}
    rows = [completed_row(report, is_held=False) for report in reports]
    claimers = _claimers(group, left)
    is_done, found = await claims_store.exchange_tasks(tx, rows, queue, names, sum(left.values()), claimers)
    if not is_done:
        tx.commit_together()
        return First(False, found if found.limits and not found.limits.is_free else None)
    tx.topics |= {task_topic(report.task_id) for report in reports}
    tx.ready[queue] += len(reports)
    return First(True, found)


def _is_one_statement(wishes: Sequence[Exchange]) -> bool:
    """Return whether there are only results of plain tasks, or only claims for the same.

    What one claim hands out must not depend on whether another one fails. Both together commit together: that waits
    once for the disk, and not twice.
    """
    claims = {(wish.queue, _names_of(wish.claim)) for wish in wishes if wish.claim}
    reports = [_report_of(item) for wish in wishes for item in wish.done]
    return len(claims) == 1 if not reports else not claims and are_plain(reports)


def _names_of(claim: Claim) -> frozenset[str] | None:
    return None if claim.task_names is None else frozenset(claim.task_names)


def _report_of(item: CompletedItem) -> Report[CompletedItem]:
    return Report(item.task_id, item, "complete")


def _outcome_of(report: Report[CompletedItem], outcome: Answered | Refusal) -> Parameters:
    if isinstance(outcome, Answered):
        status = from_json(outcome.body)["status"] if outcome.body else TaskStatus.completed
        return {"task_id": report.task_id, "status": 200, "code": None, "task_status": status}
    current = getattr(outcome, "current", None)
    where = current and current.status
    return {"task_id": report.task_id, "status": outcome.status, "code": outcome.code, "task_status": where}


async def _hand_out(
    tx: Tx, this: Round, queue: str, claims: Mapping[int, Claim], known: First | None
) -> dict[int, list[HandedTask]]:
    """Hand tasks of ``queue`` out to ``claims``, by their place in the batch."""
    if this.room <= 0:
        this.put_off |= claims.keys()
        return {}
    groups = _by_names(claims)
    first = (known and known.found) or await _claim_at_once(tx, this, queue, *groups[0])
    if first.limits is None or first.limits.paused:
        return {}
    free = None if first.is_free else await _make_way(tx, first.limits)
    found = first if first.is_free else None
    handed: dict[int, list[HandedTask]] = {}
    for names, group in groups:
        rows = await _claim(tx, this, queue, names, free, group, found)
        found = None
        free = None if free is None else free - len(rows)
        handed |= _by_claim(rows)
        if this.room <= 0:
            this.put_off |= group.keys() - handed.keys()
    return handed


def _by_names(claims: Mapping[int, Claim]) -> list[tuple[Sequence[str] | None, dict[int, Claim]]]:
    """Return the claims of a batch, by their places, with the names of tasks that they want; None: any."""
    groups: dict[frozenset[str] | None, dict[int, Claim]] = {}
    for place, claim in claims.items():
        groups.setdefault(_names_of(claim), {})[place] = claim
    return [(None if names is None else sorted(names), group) for names, group in groups.items()]


async def _claim_at_once(
    tx: Tx, this: Round, queue: str, names: Sequence[str] | None, claims: Mapping[int, Claim]
) -> TakenTasks:
    """Claim for all ``claims`` by one statement, if nothing has to be done on the queue before."""
    left = {place: claim.limit for place, claim in claims.items()}
    claimers, most = _claimers(claims, left), sum(left.values())
    found = await claims_store.claim_tasks(tx, queue, names, most, this.room, claimers, regardless=False)
    if found.limits is None and await queues_store.revive_queue(tx, queue):
        found = await claims_store.claim_tasks(tx, queue, names, most, this.room, claimers, regardless=False)
    return found


async def _make_way(tx: Tx, limits: QueueLimits) -> int | None:
    """Do what has to be done before tasks of a queue are handed out; how many it may run more, None: without limit."""
    tx.commit_together()
    if limits.has_expired:
        await _clear_away(tx, due_tasks_store.find_expired_tasks, expire_leases)
    if limits.has_due:
        await _clear_away(tx, due_tasks_store.find_due_tasks, wake_due_tasks)
    return None if limits.max_concurrency is None else await _free_places(tx, limits.queue)


async def _clear_away(
    tx: Tx,
    find: Callable[[Tx, int], Awaitable[Sequence[UUID]]],
    move: Callable[[Tx, Sequence[UUID]], Awaitable[int]],
) -> None:
    """Do ahead what the housekeeping would do in a moment; where a task is in the way of that, it is left to it."""
    try:
        async with tx.savepoint():
            if ids := await find(tx, MOVED_MOST):
                await move(tx, ids)
    except Exception as failure:
        if not may_be_of_one(failure) or is_worth_another_try(failure):
            raise
        log.warning("left_to_housekeeping", error=describe_failure(failure))


async def _claim(
    tx: Tx,
    this: Round,
    queue: str,
    names: Sequence[str] | None,
    free: int | None,
    claims: Mapping[int, Claim],
    found: TakenTasks | None,
) -> Sequence[HandedTask]:
    """Claim for all ``claims``; again where tasks of a key, of which only one can run, stood in the way of others.

    ``found`` is what was claimed for them already. Whoever waits is told of tasks that are left because there is no
    room for them.
    """
    taken: list[HandedTask] = []
    left = {place: claim.limit for place, claim in claims.items()}
    while True:
        if found is None:
            wanted = sum(left.values())
            most = wanted if free is None else min(wanted, free - len(taken))
            if most <= 0 or this.room <= 0:
                return taken
            claimers = _claimers(claims, left)
            found = await claims_store.claim_tasks(tx, queue, names, most, this.room, claimers, regardless=True)
        taken += found.tasks
        for task in found.tasks:
            left[task.claimer] -= 1
        this.room -= found.size
        if found.left_over:
            tx.ready[queue] += found.left_over
        if not found.passed_over:
            return taken
        found = None


async def _free_places(tx: Tx, queue: str) -> int | None:
    """Return how many more tasks the queue may run; None: without limit. Claims on it take turns until the commit."""
    most = await claims_store.lock_places(tx, queue)
    return None if most is None else max(0, most - await claims_store.count_running(tx, queue))


def _claimers(claims: Mapping[int, Claim], left: Mapping[int, int]) -> list[Parameters]:
    """Return which places in the line of ready tasks each claim gets for what is ``left`` to it, from 1."""
    claimers: list[Parameters] = []
    first = 1
    for place, claim in claims.items():
        last = first + left[place] - 1
        lasting = {"worker": claim.worker_id, "lease": claim.lease_seconds}
        claimers.append({"claimer": place, "first": first, "last": last, **lasting})
        first = last + 1
    return claimers


def _by_claim(tasks: Sequence[HandedTask]) -> dict[int, list[HandedTask]]:
    """Return the tasks of each claim, by its place."""
    handed: dict[int, list[HandedTask]] = {}
    for task in tasks:
        handed.setdefault(task.claimer, []).append(task)
    return handed


async def _show(tx: Tx, handed: Mapping[int, Sequence[HandedTask]]) -> dict[int, Sequence[Parameters]]:
    """Return what `ClaimedTask` says of tasks that are handed out; those that were started have checkpoints."""
    started = [task.task_id for tasks in handed.values() for task in tasks if task.was_started]
    states = await checkpoints_store.list_states(tx, started) if started else {}
    return {
        place: [_show_task(task, states.get(task.task_id, {})) for task in tasks] for place, tasks in handed.items()
    }


def _show_task(task: HandedTask, checkpoints: Mapping[str, JsonValue]) -> Parameters:
    return dict(zip(claims_store.CLAIMED, task, strict=False)) | {"checkpoints": checkpoints}


class Counter(Protocol):
    """The parts of a running service that workers come to for tasks."""

    @property
    def batching(self) -> Batching:
        """What takes their calls together."""

    @property
    def wakeups(self) -> Wakeups:
        """What tells them that there are tasks."""

    @property
    def sightings(self) -> Sightings:
        """Who has been seen."""


async def claim_tasks(
    counter: Counter, queue: str, claim: Claim, key: IdempotencyKey | None, visit: Visit
) -> Exchanged:
    """Hand tasks out, and wait for some as long as the claim says; none are for who is gone.

    Raises IdempotencyKeyReused, and Unauthenticated when the key of ``visit`` is revoked while it waits.
    """
    return await _exchange_and_wait(counter, Exchange(queue, (), claim, key), claim, visit)


async def complete_tasks(
    counter: Counter, queue: str, completions: TaskCompletions, key: IdempotencyKey | None, visit: Visit
) -> Exchanged:
    """Take results in, and hand tasks out as `claim_tasks` does if there is a claim. Raises what that does."""
    wish = Exchange(queue, completions.tasks, completions.claim, key)
    if wish.claim is None:
        return await exchange(counter.batching, wish)
    return await _exchange_and_wait(counter, wish, wish.claim, visit)


async def _exchange_and_wait(counter: Counter, wish: Exchange, claim: Claim, visit: Visit) -> Exchanged:
    queue, wakeups = wish.queue, counter.wakeups
    counter.sightings.note(queue, claim.worker_id, claim.task_names)
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + claim.wait_seconds
    with wakeups.waiting(queue_topic(queue, choosy=claim.task_names is not None), KEYS) as waiter:
        came = await exchange(counter.batching, wish)
        while not came.tasks and (came.is_put_off or clock() < give_up_at) and not wakeups.draining:
            if not came.is_put_off:
                await waiter.wait(give_up_at - clock())
            await visit.check_key()
            if await visit.is_gone():
                wakeups.publish(set(), {queue: 1})
                break
            next_came = await exchange(counter.batching, Exchange(queue, (), claim, wish.key))
            came = replace(next_came, outcomes=came.outcomes)
    return came
