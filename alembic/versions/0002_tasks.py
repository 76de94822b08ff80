"""tasks"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:

    op.create_table(
        "queues",
        sa.Column("queue", sa.Text(), nullable=False, comment="Its name"),
        sa.Column(
            "paused",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True: nothing is handed out",
        ),
        sa.Column("max_concurrency", sa.Integer(), nullable=True, comment="Most tasks running at once; NULL: no limit"),
        sa.Column(
            "default_lease_seconds",
            sa.Double(),
            server_default="30",
            nullable=False,
            comment="Of claims that name none",
        ),
        sa.Column(
            "retention_seconds",
            sa.Double(),
            nullable=True,
            comment="How long ended tasks of no run are kept; NULL: as long as the service keeps them",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="First use",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Last change of its limits",
        ),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_queues")),
        comment="Queues and their limits; made on first use",
    )
    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of emits"),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where it can be awaited"),
        sa.Column("event_name", sa.Text(), nullable=False, comment="Unique in its queue, or in its run there"),
        sa.Column(
            "workflow_run_id",
            sa.Uuid(),
            nullable=True,
            comment="Seen by tasks of this run only; NULL: by the whole queue",
        ),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=True, comment="Of the first emit; NULL: JSON null"),
        sa.Column(
            "emitted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_events_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
        comment="Named facts that tasks may await",
    )
    op.create_index("ix_events_by_queue", "events", ["queue", "event_id"], unique=False)
    op.create_index(
        "ix_events_by_run",
        "events",
        ["workflow_run_id"],
        unique=False,
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.create_index(
        "uq_events_name",
        "events",
        ["queue", "event_name", "workflow_run_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "queue_workers",
        sa.Column("queue", sa.Text(), nullable=False, comment="Where it claims"),
        sa.Column("worker_id", sa.Text(), nullable=False, comment="As it calls itself"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Last claim, to some seconds",
        ),
        sa.ForeignKeyConstraint(["queue"], ["queues.queue"], name=op.f("fk_queue_workers_queue"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("queue", "worker_id", name=op.f("pk_queue_workers")),
        comment="Workers seen on queues",
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="UUIDv7 made in the service"),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Order of creation; the oldest is claimed first",
        ),
        sa.Column("queue", sa.Text(), nullable=False, comment="Set at spawn"),
        sa.Column("task_name", sa.Text(), nullable=False, comment="Set at spawn; what a worker has to do"),
        sa.Column(
            "params", sa.JSON(none_as_null=True), nullable=True, comment="Set at spawn, kept as text; NULL: JSON null"
        ),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=False, comment="Set at spawn, kept as text"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="Set at spawn; higher is claimed first"),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=True, comment="Set at spawn; NULL: not linked"),
        sa.Column("parent_task_id", sa.Uuid(), nullable=True, comment="Set at spawn; NULL: none, or deleted"),
        sa.Column("step", sa.Text(), nullable=True, comment="Path of the step it executes; NULL: of no definition"),
        sa.Column(
            "traceparent", sa.Text(), nullable=True, comment="W3C trace context of the spawn; NULL: none was sent"
        ),
        sa.Column("max_attempts", sa.Integer(), nullable=False, comment="Set at spawn; raised by retry"),
        sa.Column("retry_strategy", sa.JSON(none_as_null=True), nullable=True, comment="Set at spawn; NULL: at once"),
        sa.Column(
            "max_delay_seconds", sa.Double(), nullable=True, comment="Fails if not started in time; NULL: no limit"
        ),
        sa.Column(
            "max_duration_seconds",
            sa.Double(),
            nullable=True,
            comment="Fails so long after its first start; NULL: no limit",
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True, comment="Unique in its queue; NULL: none"),
        sa.Column(
            "spec_hash",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of the spec, for repeats of its idempotency key; NULL: no key",
        ),
        sa.Column("concurrency_key", sa.Text(), nullable=True, comment="One task of a key runs at a time; NULL: none"),
        sa.Column("status", sa.Text(), nullable=False, comment="Moves as app/domain/moves.py says"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it stands there; NULL: a worker's report says so"),
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="Id of the newest attempt; new with each attempt"),
        sa.Column(
            "attempt", sa.Integer(), server_default="1", nullable=False, comment="From 1; one more for each attempt"
        ),
        sa.Column(
            "result",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="As completed; NULL: not completed, or JSON null",
        ),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True, comment="Of the last failure; NULL: none"),
        sa.Column(
            "progress", sa.JSON(none_as_null=True), nullable=True, comment="As last reported by a heartbeat; NULL: none"
        ),
        sa.Column(
            "available_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Not claimable before",
        ),
        sa.Column(
            "ready_at", sa.DateTime(timezone=True), nullable=True, comment="Claimable since; NULL: not claimable now"
        ),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the housekeeping makes it claimable (or times its wait out); NULL: never by itself",
        ),
        sa.Column(
            "limit_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Fails when open at this time: max_delay before its first start, max_duration after; NULL: never",
        ),
        sa.Column(
            "wake_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it wakes by itself; NULL: it does not sleep",
        ),
        sa.Column("wake_event", sa.Text(), nullable=True, comment="Event that it awaits, or that woke it; NULL: none"),
        sa.Column(
            "event_payload",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="Payload that woke it, for its next claim; NULL: none",
        ),
        sa.Column("wait_step", sa.Text(), nullable=True, comment="Step whose events it awaits; NULL: it awaits none"),
        sa.Column(
            "wait_all",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="Names it awaits together; NULL: one is enough",
        ),
        sa.Column("claimed_by", sa.Text(), nullable=True, comment="Worker of the current lease, or of the last"),
        sa.Column("lease_token", sa.Uuid(), nullable=True, comment="Of the current lease, or of the one that ended it"),
        sa.Column(
            "lease_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="End of the current lease; NULL: not running",
        ),
        sa.Column(
            "final_body",
            sa.LargeBinary(),
            nullable=True,
            comment="SHA-256 of what completed it, for repeats; NULL: not completed",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.Column(
            "first_started_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First claim; NULL: never; anew by retry",
        ),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=True, comment="Last claim of this attempt; NULL: not yet"
        ),
        sa.Column(
            "completed_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended, however; NULL: open"
        ),
        sa.Column(
            "cancelled_at", sa.DateTime(timezone=True), nullable=True, comment="When it was cancelled; NULL: it is not"
        ),
        sa.Column(
            "cancel_requested_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Its worker is asked to stop; NULL: not",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Moves with the revision",
        ),
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="From 1; one more for each change; the ETag",
        ),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name=op.f("ck_tasks_cancelled_has_cancelled_at")
        ),
        sa.CheckConstraint(
            "(status = 'running') = (lease_expires_at IS NOT NULL)", name=op.f("ck_tasks_running_has_lease")
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_tasks_ended_has_completed_at"),
        ),
        sa.CheckConstraint(
            "due_at IS NULL OR (status IN ('pending', 'sleeping') AND ready_at IS NULL)",
            name=op.f("ck_tasks_due_waits"),
        ),
        sa.CheckConstraint(
            "limit_at IS NULL OR status IN ('pending', 'running', 'sleeping')",
            name=op.f("ck_tasks_limit_only_while_open"),
        ),
        sa.CheckConstraint("ready_at IS NULL OR status IN ('pending', 'sleeping')", name=op.f("ck_tasks_ready_waits")),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'sleeping', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_tasks_status"),
        ),
        sa.CheckConstraint("attempt BETWEEN 1 AND max_attempts", name=op.f("ck_tasks_attempt_within_limit")),
        sa.ForeignKeyConstraint(
            ["parent_task_id"], ["tasks.task_id"], name=op.f("fk_tasks_parent_task_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_tasks_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
        comment="One unit of work on a queue, with its newest attempt and the lease of that",
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "1000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_index(
        "ix_tasks_by_parent",
        "tasks",
        ["parent_task_id", "created_at", "task_id"],
        unique=False,
        postgresql_where=sa.text("parent_task_id IS NOT NULL"),
    )
    op.create_index("ix_tasks_by_queue", "tasks", ["queue", "created_at", "task_id"], unique=False)
    op.create_index(
        "ix_tasks_by_status",
        "tasks",
        ["status", "created_at", "task_id"],
        unique=False,
        postgresql_where=sa.text("status <> 'completed'"),
    )
    op.create_index(
        "ix_tasks_by_worker", "tasks", ["claimed_by"], unique=False, postgresql_where=sa.text("status = 'running'")
    )
    op.create_index("ix_tasks_created", "tasks", ["created_at", "task_id"], unique=False)
    op.create_index("ix_tasks_due", "tasks", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_index(
        "ix_tasks_lease_due",
        "tasks",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("lease_expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_limit_due", "tasks", ["limit_at"], unique=False, postgresql_where=sa.text("limit_at IS NOT NULL")
    )
    op.create_index(
        "ix_tasks_open",
        "tasks",
        ["queue", "status", "created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'running', 'sleeping')"),
    )
    op.create_index(
        "ix_tasks_ready",
        "tasks",
        ["queue", sa.literal_column("priority DESC"), "sequence"],
        unique=False,
        postgresql_where=sa.text("ready_at IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_run",
        "tasks",
        ["workflow_run_id", "created_at", "task_id"],
        unique=False,
        postgresql_include=["status"],
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_unlinked_ended",
        "tasks",
        ["queue", "completed_at"],
        unique=False,
        postgresql_where=sa.text("completed_at IS NOT NULL AND workflow_run_id IS NULL"),
    )
    op.create_index(
        "uq_tasks_idempotency_key",
        "tasks",
        ["queue", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "uq_tasks_running_concurrency_key",
        "tasks",
        ["queue", "concurrency_key"],
        unique=True,
        postgresql_where=sa.text("concurrency_key IS NOT NULL AND status = 'running'"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="Whose step"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the step, unique in its task"),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of writing"),
        sa.Column("state", sa.JSON(none_as_null=True), nullable=True, comment="As last written; NULL: JSON null"),
        sa.Column(
            "is_outcome",
            sa.Boolean(),
            nullable=False,
            comment="True: the outcome of awaiting events, written by the service",
        ),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="Attempt that wrote it last"),
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="Id of that attempt"),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_checkpoints_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "name", name=op.f("pk_checkpoints")),
        comment="Results of steps inside tasks",
    )
    op.create_table(
        "event_waits",
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="Who waits"),
        sa.Column("event_name", sa.Text(), nullable=False, comment="For what"),
        sa.Column("queue", sa.Text(), nullable=False, comment="The task's queue"),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=True, comment="The task's run; NULL: none"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_event_waits_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "event_name", name=op.f("pk_event_waits")),
        comment="Events that sleeping tasks await",
    )
    op.create_index("ix_event_waits_name", "event_waits", ["queue", "event_name"], unique=False)
    op.create_table(
        "late_reports",
        sa.Column(
            "late_report_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of arrival"
        ),
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="About which task"),
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="The attempt whose token it carried"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.Column("lease_token_suffix", sa.Text(), nullable=False, comment="Last characters of the token"),
        sa.Column("call", sa.Text(), nullable=False, comment="What was called"),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True, comment="What was sent, without the token"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_late_reports_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("late_report_id", name=op.f("pk_late_reports")),
        comment="Reports of workers that had lost their lease",
    )
    op.create_index("ix_late_reports_task", "late_reports", ["task_id", "late_report_id"], unique=False)
    op.create_table(
        "spent_leases",
        sa.Column("lease_token", sa.Uuid(), nullable=False, comment="The token that is worth nothing any more"),
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="Whose lease"),
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="Of which attempt"),
        sa.Column("call", sa.Text(), nullable=False, comment="fail, sleep, release or await_event"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="SHA-256 of what was sent"),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True, comment="What was answered"),
        sa.Column(
            "spent_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_spent_leases_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("lease_token", name=op.f("pk_spent_leases")),
        comment="Leases given up, for repeats",
    )
    op.create_index("ix_spent_leases_task", "spent_leases", ["task_id"], unique=False)
    op.create_table(
        "task_attempts",
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="Id of the attempt"),
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="Whose attempt"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="From 1"),
        sa.Column("status", sa.Text(), nullable=False, comment="How it ended"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it ended; NULL: a worker's report says so"),
        sa.Column("claimed_by", sa.Text(), nullable=True, comment="Worker that had it last; NULL: never claimed"),
        sa.Column("lease_token", sa.Uuid(), nullable=True, comment="Of its last lease; NULL: never claimed"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=True, comment="Its last claim; NULL: never claimed"
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False, comment="The database's time"),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True, comment="What went wrong; NULL: nothing"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_task_attempts_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_task_attempts")),
        comment="Attempts that are over",
    )
    op.create_index("ix_task_attempts_task", "task_attempts", ["task_id", "attempt"], unique=False)
    op.add_column(
        "workflow_runs",
        sa.Column(
            "cancel_due_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="End of the grace of a requested cancel; NULL: nobody asked, or it has ended",
        ),
    )
    op.create_index(
        "ix_workflow_runs_cancel_due",
        "workflow_runs",
        ["cancel_due_at"],
        unique=False,
        postgresql_where=sa.text("cancel_due_at IS NOT NULL"),
    )


def downgrade() -> None:

    op.drop_index(
        "ix_workflow_runs_cancel_due", table_name="workflow_runs", postgresql_where=sa.text("cancel_due_at IS NOT NULL")
    )
    op.drop_column("workflow_runs", "cancel_due_at")
    op.drop_index("ix_task_attempts_task", table_name="task_attempts")
    op.drop_table("task_attempts")
    op.drop_index("ix_spent_leases_task", table_name="spent_leases")
    op.drop_table("spent_leases")
    op.drop_index("ix_late_reports_task", table_name="late_reports")
    op.drop_table("late_reports")
    op.drop_index("ix_event_waits_name", table_name="event_waits")
    op.drop_table("event_waits")
    op.drop_table("checkpoints")
    op.drop_index(
        "uq_tasks_running_concurrency_key",
        table_name="tasks",
        postgresql_where=sa.text("concurrency_key IS NOT NULL AND status = 'running'"),
    )
    op.drop_index(
        "uq_tasks_idempotency_key", table_name="tasks", postgresql_where=sa.text("idempotency_key IS NOT NULL")
    )
    op.drop_index(
        "ix_tasks_unlinked_ended",
        table_name="tasks",
        postgresql_where=sa.text("completed_at IS NOT NULL AND workflow_run_id IS NULL"),
    )
    op.drop_index(
        "ix_tasks_run",
        table_name="tasks",
        postgresql_include=["status"],
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.drop_index("ix_tasks_ready", table_name="tasks", postgresql_where=sa.text("ready_at IS NOT NULL"))
    op.drop_index(
        "ix_tasks_open", table_name="tasks", postgresql_where=sa.text("status IN ('pending', 'running', 'sleeping')")
    )
    op.drop_index("ix_tasks_limit_due", table_name="tasks", postgresql_where=sa.text("limit_at IS NOT NULL"))
    op.drop_index("ix_tasks_lease_due", table_name="tasks", postgresql_where=sa.text("lease_expires_at IS NOT NULL"))
    op.drop_index("ix_tasks_due", table_name="tasks", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_index("ix_tasks_created", table_name="tasks")
    op.drop_index("ix_tasks_by_worker", table_name="tasks", postgresql_where=sa.text("status = 'running'"))
    op.drop_index("ix_tasks_by_status", table_name="tasks", postgresql_where=sa.text("status <> 'completed'"))
    op.drop_index("ix_tasks_by_queue", table_name="tasks")
    op.drop_index("ix_tasks_by_parent", table_name="tasks", postgresql_where=sa.text("parent_task_id IS NOT NULL"))
    op.drop_table("tasks")
    op.drop_table("queue_workers")
    op.drop_index("uq_events_name", table_name="events", postgresql_nulls_not_distinct=True)
    op.drop_index("ix_events_by_run", table_name="events", postgresql_where=sa.text("workflow_run_id IS NOT NULL"))
    op.drop_index("ix_events_by_queue", table_name="events")
    op.drop_table("events")
    op.drop_table("queues")
