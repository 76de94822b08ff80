"""The order in which a transaction takes locks, and what each statement that takes some says about them."""

from collections.abc import Mapping
from enum import Enum, IntEnum, unique
from typing import NamedTuple


class Way(Enum):
    """How a statement comes by its locks."""

    waits = "waits"
    """It waits for whoever has them: only from a lower rank to a higher one."""
    held = "held"
    """It changes rows that its transaction has locked before, or that hang on such a row."""
    skipped = "skipped"
    """It leaves out what others have, and never waits."""
    new = "new"
    """It inserts rows that nobody else can see yet; at most it waits for who inserts the same key just now."""


class Lock(NamedTuple):
    """What a statement takes, and how."""

    rank: "Rank"
    way: Way


@unique
class Rank(IntEnum):
    """Everything that a transaction waits for, in the one order in which it may.

    A transaction that has taken a lock of one rank waits for none of a lower one, and of one rank it takes all at once,
    in the order of their ids, or goes on to higher ids. So whoever waits holds less than what he waits for, nobody can
    wait for himself around a corner, and no two transactions stand in each other's way: there is no deadlock.

    - What was locked before can be named again at any time, and so can what the transaction itself has inserted.
    - What hangs on a row is locked with it: steps, frames, executions and the history of a run, the waits, checkpoints
      and attempts of a task, the slots of a schedule. Foreign keys wait for nothing but deletion.
    - Try-locks and SKIP LOCKED never wait, and may come at any time; what they give is held like anything else.
    - An insertion waits for who inserts the same key just now. A queue that is being made has no tasks that anybody
      could hold; events are all inserted, by name, before the first task is woken by one.
    - One thing is left out: who wakes the tasks of several events takes them event by event. Where two who do so meet,
      with tasks that await more than one of the events, Postgres ends one transaction, and it is done again.

    One way leads around it: a report of a failure locks its task before its run inserts an event, for what follows from
    a failure stands in the task. It waits there only for who inserts the same event just now, and who does that goes on
    to tasks that await it: these sleep, and the task that has failed was running, so the two alone never meet. It takes
    a third who holds such a sleeping task and wants the failed one, as a batch of reports may; Postgres ends one of the
    three, and it is done again.

    Each statement of this room that locks declares it: `statement.execution_options(locks=Rank.tasks)` where it waits,
    `Rank.tasks.held`, `.skipped` or `.new` where it does not. It costs nothing; the tests hold every transaction to it.
    """

    requests = 1
    """Idempotency keys of requests that are done one at a time, and of claims (advisory)."""
    bulk_operations = 2
    """Bulk operations: who does the verb of one to a run or a task holds it meanwhile."""
    deliveries = 3
    """Events on their way."""
    scheduled_names = 4
    """Names of workflows whose own schedule is being kept (advisory)."""
    schedules = 5
    workflows = 6
    """Versions of definitions, which are kept from being deleted while runs of them begin."""
    runs = 7
    """Workflow runs. Executed ones are locked with those that started them: these have the lower ids."""
    event_names = 8
    """Names of events: who awaits and who emits take turns (advisory); their groups come first."""
    events = 9
    spawn_keys = 10
    """Idempotency keys of tasks that are being spawned (advisory)."""
    tasks = 11
    queues = 12
    """Rows of queues: claims on a queue that has limits take turns once all results are in."""
    workers = 13
    """Workers seen on queues."""
    monitors = 14
    """Nothing but what is written at the end is locked with them: they look at runs as those are committed."""
    answers = 15
    """Rows of idempotency keys, written when all that is answered is done."""
    set_aside_rows = 16
    """Rows that the housekeeping leaves out."""
    api_keys = 17
    """Nothing else is locked with them."""
    change_feed = 18
    """The one row of the feed: who gives positions (the function `number_changes`, alone in its transaction) and who
    forgets old changes take turns. What writes changes only inserts, and waits for neither."""

    @property
    def held(self) -> Lock:
        """What is said by a statement that changes what was locked before."""
        return Lock(self, Way.held)

    @property
    def skipped(self) -> Lock:
        """What is said by a statement that leaves out what others have, or only tries."""
        return Lock(self, Way.skipped)

    @property
    def new(self) -> Lock:
        """What is said by a statement that inserts."""
        return Lock(self, Way.new)


AT_ANY_TIME: Mapping[Rank, str] = {
    Rank.workflows: "all share them but who deletes one; he has its schedules by then, and waits for nothing more",
}
"""Ranks that are also taken after higher ones, each with the reason why that is sound."""
IN_ANY_ORDER: Mapping[Rank, str] = {
    Rank.tasks: "who takes more holds their run, which others lock first; of waiters of several events see above",
    Rank.api_keys: "the key of the environment comes first, by its name, and then those whose place it takes",
}
"""Ranks of which more is taken later, whatever the ids, each with the reason why that is sound."""
