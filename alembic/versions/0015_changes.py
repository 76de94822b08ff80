"""changes

Each committed change is told by triggers: whatever statement makes it, and whoever adds one, it cannot be forgotten. A
trigger sees all rows of a statement at once and writes one row for them (`new_changes`), which holds no lock that
others wait for. `number_changes` gives positions to what is committed.
"""

# ruff: noqa: S608 - the texts are put together of constants

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CHANGES_A_ROW = 500
"""How many changes one row holds at most: what moves a million tasks writes two thousand rows."""

# What comes first of a transaction: runs that begin before their tasks, steps that end before their runs.
BEGINS, FIRES, HAPPENS, STARTS, MOVES, STEP_ENDS, RUN_ENDS = 10, 20, 30, 40, 50, 60, 70

_TELL = """
    INSERT INTO new_changes (rank, kind, change_count, changes)
    SELECT rank, '{kind}', count(*), json_agg(told ORDER BY place)
    FROM (
        SELECT rank, place, told, (row_number() OVER (PARTITION BY rank ORDER BY place) - 1) / {most} AS part
        FROM ({changes}) AS change
    ) AS parts
    GROUP BY rank, part
    ORDER BY rank, part;
"""
_TELLER = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{body}
    RETURN NULL;
END $$
"""
_WHEN = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
}


def _told(*, row: str, verb: str, name: str, **fields: str) -> str:
    """Return one change: its members stand in the order of TOLD in app/domain/changes.py; what is not given is null."""
    members = ("queue", "status", "attempt", "revision", "reason", "actor")
    parts = [verb, fields["id"], fields.get("workflow_run_id", f"{row}.workflow_run_id"), name]
    return "json_build_array(" + ", ".join([*parts, *(fields.get(member, "NULL") for member in members)]) + ") AS told"


_ACTOR_OF_RUN = """(
    SELECT history.actor FROM workflow_run_history AS history
    WHERE history.workflow_run_id = n.workflow_run_id AND history.at = n.updated_at
    ORDER BY history.history_id DESC LIMIT 1
)"""
_RUN_FIELDS = {"id": "{0}.workflow_run_id", "queue": "{0}.queue", "status": "{0}.status"}
_RUN_FIELDS |= {"attempt": "{0}.attempt", "revision": "{0}.revision", "reason": "{0}.reason"}


def _of_run(row: str, verb: str, actor: str = "NULL") -> str:
    fields = {name: text.format(row) for name, text in _RUN_FIELDS.items()}
    return _told(row=row, verb=verb, name=f"{row}.workflow_name", actor=actor, **fields)


_VERB_OF_RUN = """CASE
    WHEN n.status <> o.status AND n.completed_at IS NOT NULL THEN n.status
    WHEN n.attempt > o.attempt OR (o.completed_at IS NOT NULL AND n.completed_at IS NULL) THEN 'retried'
    WHEN n.status <> o.status THEN 'started'
    WHEN o.late_at IS NULL AND n.late_at IS NOT NULL THEN 'late'
    WHEN o.paused_at IS NULL AND n.paused_at IS NOT NULL THEN 'paused'
    WHEN o.paused_at IS NOT NULL AND n.paused_at IS NULL THEN 'resumed'
    ELSE 'updated'
END"""
_RANK_OF_RUN = f"CASE WHEN n.completed_at IS NULL THEN {BEGINS} ELSE {RUN_ENDS} END AS rank"

RUNS = {
    "INSERT": f"SELECT {_RANK_OF_RUN}, n.workflow_run_id AS place, {_of_run('n', repr('created'), _ACTOR_OF_RUN)}"
    " FROM new_rows AS n",
    "UPDATE": f"SELECT {_RANK_OF_RUN}, n.workflow_run_id AS place, {_of_run('n', _VERB_OF_RUN, _ACTOR_OF_RUN)}"
    " FROM new_rows AS n JOIN old_rows AS o USING (workflow_run_id) WHERE n.revision > o.revision",
    "DELETE": f"SELECT {RUN_ENDS} AS rank, o.workflow_run_id AS place, {_of_run('o', repr('deleted'))}"
    " FROM old_rows AS o",
}

_TASK_FIELDS = {"id": "{0}.task_id", "queue": "{0}.queue", "status": "{0}.status"}
_TASK_FIELDS |= {"attempt": "{0}.attempt", "revision": "{0}.revision", "reason": "{0}.reason"}


def _of_task(row: str, verb: str, actor: str = "NULL") -> str:
    fields = {name: text.format(row) for name, text in _TASK_FIELDS.items()}
    return _told(row=row, verb=verb, name="run.workflow_name", actor=actor, **fields)


_VERB_OF_TASK = """CASE
    WHEN n.lost_count > o.lost_count THEN 'lost'
    WHEN n.status <> o.status AND n.completed_at IS NOT NULL THEN n.status
    WHEN o.completed_at IS NOT NULL AND n.completed_at IS NULL THEN 'retried'
    WHEN n.status = 'running' AND o.status <> 'running' THEN 'claimed'
    WHEN o.status = 'running' AND n.attempt > o.attempt THEN 'failed'
    WHEN o.status = 'running' AND n.status = 'sleeping' THEN 'slept'
    WHEN o.status = 'running' AND n.status = 'pending' THEN 'released'
    WHEN o.ready_at IS NULL AND n.ready_at IS NOT NULL THEN 'woken'
    ELSE 'updated'
END"""
_ACTOR_OF_TASK = """CASE
    WHEN n.status = 'running' AND o.status <> 'running' THEN n.claimed_by
    WHEN o.status = 'running' AND n.lost_count = o.lost_count
        AND n.status IN ('completed', 'failed', 'sleeping', 'pending') THEN o.claimed_by
END"""
_RUN_OF_TASK = "LEFT JOIN workflow_runs AS run ON run.workflow_run_id = {0}.workflow_run_id"
_TASK = f"SELECT {MOVES} AS rank, n.sequence AS place, "
_GOES_BY_ITSELF = """
    o.workflow_run_id IS NULL
    OR EXISTS (SELECT FROM workflow_runs AS kept WHERE kept.workflow_run_id = o.workflow_run_id)
"""
"""A run's own change stands for all that goes with it."""

TASKS = {
    "INSERT": f"{_TASK}{_of_task('n', repr('created'))} FROM new_rows AS n {_RUN_OF_TASK.format('n')}",
    "UPDATE": f"{_TASK}{_of_task('n', _VERB_OF_TASK, _ACTOR_OF_TASK)}"
    f" FROM new_rows AS n JOIN old_rows AS o USING (task_id) {_RUN_OF_TASK.format('n')} WHERE n.revision > o.revision",
    "DELETE": f"SELECT {MOVES} AS rank, o.sequence AS place, {_of_task('o', repr('deleted'))}"
    f" FROM old_rows AS o {_RUN_OF_TASK.format('o')} WHERE {_GOES_BY_ITSELF}",
}
_STARTED_BY_CLAIM = "n.step IS NOT NULL AND n.status = 'running' AND o.status <> 'running' AND o.started_at IS NULL"
STEPS_OF_CLAIMED_TASKS = f"""
    IF EXISTS (SELECT FROM new_rows AS n JOIN old_rows AS o USING (task_id) WHERE {_STARTED_BY_CLAIM}) THEN
        {
    _TELL.format(
        kind="step",
        most=CHANGES_A_ROW,
        changes=f"SELECT {STARTS} AS rank, n.sequence AS place, "
        + _told(
            row="n",
            verb="'started'",
            name="run.workflow_name",
            id="n.step",
            queue="n.queue",
            status="n.status",
            attempt="n.attempt",
            actor="n.claimed_by",
        )
        + f" FROM new_rows AS n JOIN old_rows AS o USING (task_id) {_RUN_OF_TASK.format('n')}"
        f" WHERE {_STARTED_BY_CLAIM}",
    )
}
    END IF;
"""
"""A step that workers do starts when its work item is claimed; nothing of the step itself is stored then."""

_STEP_FIELDS = {"id": "n.path", "queue": "n.queue", "attempt": "n.attempt"}


def _of_step(rank: int, verb: str, status: str = "n.status") -> str:
    told = _told(row="n", verb=verb, name="run.workflow_name", status=status, **_STEP_FIELDS)
    return f"SELECT {rank} AS rank, n.sequence AS place, {told}"


_RUN_OF_STEP = "JOIN workflow_runs AS run ON run.workflow_run_id = n.workflow_run_id"
_IS_OPEN, _HAS_ENDED = "n.completed_at IS NULL", "n.completed_at IS NOT NULL"
_STEP_INSERTED = f" FROM new_rows AS n {_RUN_OF_STEP} WHERE "
_STEP_UPDATED = f" FROM new_rows AS n JOIN old_rows AS o USING (workflow_run_id, path) {_RUN_OF_STEP} WHERE "
_STARTS_ITSELF = "n.started_at IS NOT NULL AND n.task_id IS NULL"

STEPS = {
    "INSERT": " UNION ALL ".join(
        (
            _of_step(STARTS, "'created'") + f"{_STEP_INSERTED}{_IS_OPEN} AND n.status <> 'running'",
            _of_step(STARTS, "'started'", "'running'") + f"{_STEP_INSERTED}n.status = 'running' OR ({_STARTS_ITSELF})",
            _of_step(STEP_ENDS, "n.status") + _STEP_INSERTED + _HAS_ENDED,
        )
    ),
    "UPDATE": " UNION ALL ".join(
        (
            _of_step(STARTS, "CASE WHEN o.completed_at IS NULL THEN 'updated' ELSE 'retried' END")
            + f"{_STEP_UPDATED}{_IS_OPEN} AND n.status <> 'running'"
            " AND (o.completed_at IS NOT NULL OR o.status <> n.status OR o.attempt <> n.attempt)",
            _of_step(STARTS, "'started'", "'running'")
            + f"{_STEP_UPDATED}(n.status = 'running' AND o.status <> 'running')"
            f" OR (o.started_at IS NULL AND o.status <> 'running' AND {_STARTS_ITSELF})",
            _of_step(STEP_ENDS, "n.status") + f"{_STEP_UPDATED}{_HAS_ENDED} AND o.completed_at IS NULL",
        )
    ),
}

_EVENT_FIELDS = {"name": "run.workflow_name"}


def _of_event(row: str, verb: str) -> str:
    told = _told(row=row, verb=verb, name="run.workflow_name", id=f"{row}.event_name", queue=f"{row}.queue")
    return f"SELECT {HAPPENS} AS rank, {row}.event_id AS place, {told} FROM "


EVENTS = {
    "INSERT": f"{_of_event('n', repr('emitted'))}new_rows AS n {_RUN_OF_TASK.format('n')}",
    "DELETE": f"{_of_event('o', repr('deleted'))}old_rows AS o {_RUN_OF_TASK.format('o')} WHERE {_GOES_BY_ITSELF}",
}


def _of_queue(row: str, verb: str) -> str:
    told = _told(row=row, verb=verb, name="NULL", workflow_run_id="NULL", id=f"{row}.queue", queue=f"{row}.queue")
    return f"SELECT {BEGINS} AS rank, {row}.queue AS place, {told} FROM "


_VERB_OF_QUEUE = """CASE
    WHEN n.paused AND NOT o.paused THEN 'paused' WHEN o.paused AND NOT n.paused THEN 'resumed' ELSE 'updated'
END"""

QUEUES = {
    "INSERT": f"{_of_queue('n', repr('created'))}new_rows AS n",
    "UPDATE": f"{_of_queue('n', _VERB_OF_QUEUE)}new_rows AS n JOIN old_rows AS o USING (queue)"
    " WHERE ROW(n.paused, n.max_concurrency, n.default_lease_seconds, n.retention_seconds)"
    " IS DISTINCT FROM ROW(o.paused, o.max_concurrency, o.default_lease_seconds, o.retention_seconds)",
    "DELETE": f"{_of_queue('o', repr('deleted'))}old_rows AS o",
}


def _of_schedule(row: str, verb: str) -> str:
    fields = {"id": f"{row}.schedule_id", "queue": f"{row}.queue", "reason": f"{row}.paused_reason"}
    fields |= {"revision": f"{row}.revision", "workflow_run_id": "NULL"}
    return _told(row=row, verb=verb, name=f"{row}.workflow_name", **fields)


_VERB_OF_SCHEDULE = _VERB_OF_QUEUE
_SCHEDULE = f"SELECT {BEGINS} AS rank, "

SCHEDULES = {
    "INSERT": f"{_SCHEDULE}n.schedule_id AS place, {_of_schedule('n', repr('created'))} FROM new_rows AS n",
    "UPDATE": f"{_SCHEDULE}n.schedule_id AS place, {_of_schedule('n', _VERB_OF_SCHEDULE)}"
    " FROM new_rows AS n JOIN old_rows AS o USING (schedule_id) WHERE n.revision > o.revision OR n.paused <> o.paused",
    "DELETE": f"{_SCHEDULE}o.schedule_id AS place, {_of_schedule('o', repr('deleted'))} FROM old_rows AS o",
}
SLOTS = {
    "INSERT": f"SELECT {FIRES} AS rank, n.fire_at AS place, "
    + _told(
        row="n",
        verb="CASE n.outcome WHEN 'fired' THEN 'fired' ELSE 'missed' END",
        name="schedule.workflow_name",
        id="n.schedule_id",
        queue="schedule.queue",
        revision="schedule.revision",
        reason="CASE n.outcome WHEN 'skipped' THEN 'skipped' END",
    )
    + " FROM new_rows AS n JOIN schedules AS schedule USING (schedule_id)",
}

_OWNER_OF_LINES = "coalesce(n.task_id, n.workflow_run_id)"
LINES = {
    "INSERT": f"SELECT {HAPPENS} AS rank, min(n.sequence) AS place, "
    + _told(
        row="n",
        verb="'appended'",
        name="run.workflow_name",
        id=_OWNER_OF_LINES,
        queue="coalesce(task.queue, run.queue)",
        attempt="n.attempt",
    )
    + f" FROM new_rows AS n {_RUN_OF_TASK.format('n')} LEFT JOIN tasks AS task ON task.task_id = n.task_id"
    " GROUP BY n.call, n.task_id, n.workflow_run_id, n.attempt, run.workflow_name, run.queue, task.queue",
}
"""One change for each call."""

TOLD: dict[str, tuple[str, dict[str, str]]] = {
    "workflow_runs": ("workflow_run", RUNS),
    "tasks": ("task", TASKS),
    "workflow_steps": ("step", STEPS),
    "events": ("event", EVENTS),
    "queues": ("queue", QUEUES),
    "schedules": ("schedule", SCHEDULES),
    "schedule_slots": ("schedule", SLOTS),
    "log_lines": ("log", LINES),
}
"""By table: the kind of its changes, and the query that finds them after each kind of statement."""

_NUMBER = """
CREATE FUNCTION number_changes(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    given bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM new_changes) THEN
        RETURN NULL;
    END IF;
    SELECT newest INTO before FROM change_feed FOR UPDATE;
    -- A statement of its own: it sees all that was committed before the row above was its own.
    WITH taken AS (
        DELETE FROM new_changes
        WHERE sequence IN (SELECT sequence FROM new_changes ORDER BY sequence LIMIT most)
        RETURNING *
    ), together AS (
        SELECT *, max(sequence) OVER (PARTITION BY transaction) AS last FROM taken
    ), numbered AS (
        INSERT INTO changes (last_position, change_count, kind, at, changes)
        SELECT before + sum(change_count) OVER (ORDER BY last, rank, sequence), change_count, kind, at, changes
        FROM together
        RETURNING change_count
    )
    SELECT sum(change_count) INTO given FROM numbered;
    IF given IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE change_feed SET newest = before + given;
    RETURN before + given;
END $$
"""


def upgrade() -> None:
    op.add_column(
        "log_lines",
        sa.Column(
            "call",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="Which of the calls it came with that were stored by one statement",
        ),
    )
    op.create_table(
        "new_changes",
        sa.Column(
            "sequence",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Taken while the changed rows are locked: it agrees with them",
        ),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
            comment="Whose changes these are; they get their positions together",
        ),
        sa.Column(
            "rank", sa.SmallInteger(), nullable=False, comment="Order within the transaction, before the sequence"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="Of what: workflow_run, task, step ..."),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When they were written",
        ),
        sa.Column("change_count", sa.Integer(), nullable=False, comment="How many they are"),
        sa.Column(
            "changes",
            sa.JSON(),
            nullable=False,
            comment="What each one says, in the order of app/domain/changes.py:TOLD",
        ),
        sa.CheckConstraint("change_count >= 1", name=op.f("ck_new_changes_some")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_new_changes")),
        comment="Changes without positions, each row those of one statement",
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "5000",
            "autovacuum_analyze_scale_factor": "0.2",
        },
    )
    op.create_table(
        "changes",
        sa.Column(
            "last_position",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Position of the last of them",
        ),
        sa.Column("change_count", sa.Integer(), nullable=False, comment="How many they are"),
        sa.Column("kind", sa.Text(), nullable=False, comment="Of what: workflow_run, task, step ..."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="When they were written"),
        sa.Column(
            "changes",
            sa.JSON(),
            nullable=False,
            comment="What each one says, in the order of app/domain/changes.py:TOLD",
        ),
        sa.CheckConstraint("change_count >= 1", name=op.f("ck_changes_some")),
        sa.PrimaryKeyConstraint("last_position", name=op.f("pk_changes")),
        comment="The change feed, as long as it is kept",
    )
    op.create_table(
        "change_feed",
        sa.Column(
            "is_only",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Always true: there is one feed",
        ),
        sa.Column("newest", sa.BigInteger(), nullable=False, comment="The last position that was given; 0: none was"),
        sa.Column(
            "oldest", sa.BigInteger(), nullable=False, comment="The first position that is kept, or the next one"
        ),
        sa.CheckConstraint("is_only", name=op.f("ck_change_feed_is_only")),
        sa.CheckConstraint("oldest >= 1 AND newest >= 0 AND oldest <= newest + 1", name=op.f("ck_change_feed_reach")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_change_feed")),
        comment="How far the change feed reaches",
        postgresql_with={"fillfactor": "10"},
    )
    op.execute("INSERT INTO change_feed (newest, oldest) VALUES (0, 1)")
    op.execute(_NUMBER)
    for table, (kind, statements) in TOLD.items():
        for statement, changes in statements.items():
            tell_changes_of(table, statement, kind, changes)


def tell_changes_of(table: str, statement: str, kind: str, changes: str) -> None:
    """Create the trigger that tells what one kind of statement changes in a table."""
    name = f"tell_{statement.lower()}_of_{table}"
    body = _TELL.format(kind=kind, most=CHANGES_A_ROW, changes=changes)
    if (table, statement) == ("tasks", "UPDATE"):
        body += STEPS_OF_CLAIMED_TASKS
    op.execute(_TELLER.format(name=name, body=body))
    op.execute(
        f"CREATE TRIGGER {name} AFTER {statement} ON {table} {_WHEN[statement]}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )


def downgrade() -> None:
    for table, (_, statements) in TOLD.items():
        for statement in statements:
            name = f"tell_{statement.lower()}_of_{table}"
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP FUNCTION number_changes(integer)")
    op.drop_table("change_feed")
    op.drop_table("changes")
    op.drop_table("new_changes")
    op.drop_column("log_lines", "call")
