"""workflow runs"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:

    op.create_table(
        "api_keys",
        sa.Column("api_key_id", sa.Uuid(), nullable=False, comment="UUIDv7 made in the service"),
        sa.Column("name", sa.Text(), nullable=False, comment="Who uses it; the actor in histories"),
        sa.Column(
            "secret_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the key, which has 256 random bits itself",
        ),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False, comment="What it may do"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Refused from this time on; NULL: it is valid",
        ),
        sa.CheckConstraint(
            "scopes <@ ARRAY['read', 'write', 'work', 'admin']::text[] AND cardinality(scopes) > 0",
            name=op.f("ck_api_keys_scopes"),
        ),
        sa.PrimaryKeyConstraint("api_key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
        comment="API keys, as hashes",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.LargeBinary(), nullable=False, comment="SHA-256 of method, path, caller and key"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="SHA-256 of the canonical JSON of the body"),
        sa.Column("answer", sa.Text(), nullable=False, comment="The body of the first answer"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Pruned some time after",
        ),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_idempotency_keys")),
        comment="Answers to creating requests, kept for their repeats",
    )
    op.create_index("ix_idempotency_keys_created", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "workflow_runs",
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="UUIDv7 made in the service"),
        sa.Column("workflow_name", sa.Text(), nullable=False, comment="Set at creation"),
        sa.Column("workflow_version", sa.Text(), nullable=False, comment="Set at creation"),
        sa.Column("workflow_hash", sa.Text(), nullable=True, comment="Set at creation; NULL: the caller gave none"),
        sa.Column("status", sa.Text(), nullable=False, comment="Moves as app/domain/moves.py says"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why the service ended it; NULL: a caller's report did"),
        sa.Column(
            "queue", sa.Text(), nullable=False, comment="Set at creation; where its tasks go unless they say otherwise"
        ),
        sa.Column(
            "inputs",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="Set at creation, kept as text; NULL: JSON null",
        ),
        sa.Column(
            "result",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="As last reported; NULL: none yet, or JSON null",
        ),
        sa.Column(
            "error", sa.JSON(none_as_null=True), nullable=True, comment="As reported or made by the service; NULL: none"
        ),
        sa.Column(
            "tags",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="As given and merged since; {} when there are none",
        ),
        sa.Column(
            "tag_texts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The tags' values as texts, for the filter; NULL: no tags",
        ),
        sa.Column("created_by", sa.Text(), nullable=True, comment="Set at creation; NULL: the caller gave none"),
        sa.Column("absurd_run_id", sa.Text(), nullable=True, comment="The caller's root task id, opaque; NULL: none"),
        sa.Column(
            "parent_workflow_run_id",
            sa.Uuid(),
            nullable=True,
            comment="Set at creation; NULL: none, or the parent was deleted",
        ),
        sa.Column(
            "task_count",
            sa.Integer(),
            nullable=True,
            comment="Declared by the caller at any time; NULL: count the linked tasks",
        ),
        sa.Column(
            "attempt", sa.Integer(), server_default="1", nullable=False, comment="From 1; one more for each retry"
        ),
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="From 1; one more for each change; the ETag",
        ),
        sa.Column(
            "cancel_requested_at", sa.DateTime(timezone=True), nullable=True, comment="NULL: nobody asked to cancel it"
        ),
        sa.Column(
            "deadline_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Fails when open at this time; NULL: no deadline",
        ),
        sa.Column(
            "heartbeat_seconds", sa.Double(), nullable=True, comment="Set at creation; NULL: it sends no heartbeats"
        ),
        sa.Column(
            "heartbeat_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Lost at this time; moves with each heartbeat; NULL: not running, or no heartbeats",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time of creation",
        ),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=True, comment="Set once; NULL: not started, or unknown"
        ),
        sa.Column(
            "completed_at", sa.DateTime(timezone=True), nullable=True, comment="Set when it ends; NULL: it is open"
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Moves with the revision, not with heartbeats",
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
            name=op.f("ck_workflow_runs_ended_has_completed_at"),
        ),
        sa.CheckConstraint(
            "status <> 'running' OR started_at IS NOT NULL", name=op.f("ck_workflow_runs_running_has_started_at")
        ),
        sa.CheckConstraint(
            "status = 'running' OR heartbeat_expires_at IS NULL",
            name=op.f("ck_workflow_runs_heartbeat_only_while_running"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_workflow_runs_status")
        ),
        sa.CheckConstraint("completed_at >= started_at", name=op.f("ck_workflow_runs_ends_after_start")),
        sa.ForeignKeyConstraint(
            ["parent_workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_workflow_runs_parent_workflow_run_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("workflow_run_id", name=op.f("pk_workflow_runs")),
        comment="One execution of a named, versioned workflow",
        postgresql_with={"fillfactor": "85", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    op.create_index(
        "ix_workflow_runs_by_creator",
        "workflow_runs",
        ["created_by", "created_at", "workflow_run_id"],
        unique=False,
        postgresql_where=sa.text("created_by IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_runs_by_name",
        "workflow_runs",
        ["workflow_name", "status", "created_at", "workflow_run_id"],
        unique=False,
    )
    op.create_index(
        "ix_workflow_runs_by_parent",
        "workflow_runs",
        ["parent_workflow_run_id", "created_at", "workflow_run_id"],
        unique=False,
        postgresql_where=sa.text("parent_workflow_run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_runs_by_queue", "workflow_runs", ["queue", "created_at", "workflow_run_id"], unique=False
    )
    op.create_index(
        "ix_workflow_runs_by_status", "workflow_runs", ["status", "created_at", "workflow_run_id"], unique=False
    )
    op.create_index(
        "ix_workflow_runs_by_tag",
        "workflow_runs",
        ["tag_texts"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"tag_texts": "jsonb_path_ops"},
        postgresql_where=sa.text("tag_texts IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_runs_completed",
        "workflow_runs",
        [sa.literal_column("coalesce(completed_at, 'infinity'::timestamptz)"), "workflow_run_id"],
        unique=False,
    )
    op.create_index("ix_workflow_runs_created", "workflow_runs", ["created_at", "workflow_run_id"], unique=False)
    op.create_index(
        "ix_workflow_runs_deadline_due",
        "workflow_runs",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("deadline_at IS NOT NULL AND status IN ('pending', 'running')"),
    )
    op.create_index(
        "ix_workflow_runs_heartbeat_due",
        "workflow_runs",
        ["heartbeat_expires_at"],
        unique=False,
        postgresql_where=sa.text("heartbeat_expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_runs_started",
        "workflow_runs",
        [sa.literal_column("coalesce(started_at, 'infinity'::timestamptz)"), "workflow_run_id"],
        unique=False,
    )
    op.create_index("ix_workflow_runs_updated", "workflow_runs", ["updated_at", "workflow_run_id"], unique=False)
    op.create_table(
        "workflow_run_history",
        sa.Column(
            "history_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order within a run"
        ),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="Whose history this is"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time of the change",
        ),
        sa.Column("verb", sa.Text(), nullable=False, comment="What was done: create, update, expire ..."),
        sa.Column("from_status", sa.Text(), nullable=True, comment="Status before; NULL: it did not exist"),
        sa.Column("to_status", sa.Text(), nullable=False, comment="Status after"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="The run's attempt after the change"),
        sa.Column("actor", sa.Text(), nullable=False, comment="Name of the API key, `anonymous`, or `housekeeping`"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why; NULL: a caller's report"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="X-Request-ID of the call; NULL: not a call"),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_workflow_run_history_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("history_id", name=op.f("pk_workflow_run_history")),
        comment="Every status change and verb in the life of a workflow run",
    )
    op.create_index(
        "ix_workflow_run_history_run", "workflow_run_history", ["workflow_run_id", "history_id"], unique=False
    )


def downgrade() -> None:

    op.drop_index("ix_workflow_run_history_run", table_name="workflow_run_history")
    op.drop_table("workflow_run_history")
    op.drop_index("ix_workflow_runs_updated", table_name="workflow_runs")
    op.drop_index("ix_workflow_runs_started", table_name="workflow_runs")
    op.drop_index(
        "ix_workflow_runs_heartbeat_due",
        table_name="workflow_runs",
        postgresql_where=sa.text("heartbeat_expires_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_workflow_runs_deadline_due",
        table_name="workflow_runs",
        postgresql_where=sa.text("deadline_at IS NOT NULL AND status IN ('pending', 'running')"),
    )
    op.drop_index("ix_workflow_runs_created", table_name="workflow_runs")
    op.drop_index("ix_workflow_runs_completed", table_name="workflow_runs")
    op.drop_index(
        "ix_workflow_runs_by_tag",
        table_name="workflow_runs",
        postgresql_using="gin",
        postgresql_ops={"tag_texts": "jsonb_path_ops"},
        postgresql_where=sa.text("tag_texts IS NOT NULL"),
    )
    op.drop_index("ix_workflow_runs_by_status", table_name="workflow_runs")
    op.drop_index("ix_workflow_runs_by_queue", table_name="workflow_runs")
    op.drop_index(
        "ix_workflow_runs_by_parent",
        table_name="workflow_runs",
        postgresql_where=sa.text("parent_workflow_run_id IS NOT NULL"),
    )
    op.drop_index("ix_workflow_runs_by_name", table_name="workflow_runs")
    op.drop_index(
        "ix_workflow_runs_by_creator", table_name="workflow_runs", postgresql_where=sa.text("created_by IS NOT NULL")
    )
    op.drop_table("workflow_runs")
    op.drop_index("ix_idempotency_keys_created", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("api_keys")
