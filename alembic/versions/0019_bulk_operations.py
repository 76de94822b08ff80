"""bulk operations

Tables of their own, which the code before does not know. Nothing that is there is touched.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "bulk_operations",
        sa.Column("bulk_operation_id", sa.Uuid(), nullable=False, comment="UUIDv7, made here"),
        sa.Column("resource", sa.Text(), nullable=False, comment="What it is about"),
        sa.Column("verb", sa.Text(), nullable=False, comment="What is done to each"),
        sa.Column(
            "filter",
            sa.JSON(),
            nullable=False,
            comment="As given; what matched stands in bulk_outcomes",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="As given, for each history"),
        sa.Column("status", sa.Text(), server_default="running", nullable=False, comment="Ends once, and stays"),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="How many matched when it began"),
        sa.Column(
            "done",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How many have an outcome; moves with each",
        ),
        sa.Column(
            "refused", sa.BigInteger(), server_default="0", nullable=False, comment="How many of these are not 200"
        ),
        sa.Column("created_by", sa.Text(), nullable=False, comment="Who asked for it"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="By which request, for each history"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it began",
        ),
        sa.Column(
            "worked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Last outcome: who waits longest has the next turn",
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True, comment="NULL: it is running"),
        sa.CheckConstraint("(status = 'running') = (completed_at IS NULL)", name=op.f("ck_bulk_operations_ends_once")),
        sa.CheckConstraint("resource IN ('workflow_runs', 'tasks')", name=op.f("ck_bulk_operations_resource")),
        sa.CheckConstraint("status IN ('running', 'completed', 'cancelled')", name=op.f("ck_bulk_operations_status")),
        sa.CheckConstraint(
            "verb IN ('cancel', 'retry', 'delete', 'pause', 'resume')", name=op.f("ck_bulk_operations_verb")
        ),
        sa.CheckConstraint("refused BETWEEN 0 AND done AND done <= total", name=op.f("ck_bulk_operations_counts")),
        sa.PrimaryKeyConstraint("bulk_operation_id", name=op.f("pk_bulk_operations")),
        comment="Verbs for many runs or tasks",
    )
    op.create_index(
        "ix_bulk_operations_over",
        "bulk_operations",
        ["completed_at"],
        unique=False,
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_bulk_operations_running",
        "bulk_operations",
        ["worked_at"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "bulk_outcomes",
        sa.Column(
            "sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order in which it is done"
        ),
        sa.Column("bulk_operation_id", sa.Uuid(), nullable=False, comment="What it belongs to"),
        sa.Column("resource_id", sa.Uuid(), nullable=False, comment="Id of the run or task, which may be gone since"),
        sa.Column(
            "is_open", sa.Boolean(), server_default=sa.true(), nullable=False, comment="False: it has its outcome"
        ),
        sa.Column("status", sa.SmallInteger(), nullable=True, comment="As HTTP has it; NULL: none yet"),
        sa.Column("code", sa.Text(), nullable=True, comment="Code of the refusal; NULL: done, or none yet"),
        sa.CheckConstraint("is_open = (status IS NULL)", name=op.f("ck_bulk_outcomes_open")),
        sa.CheckConstraint("status <> 200 OR code IS NULL", name=op.f("ck_bulk_outcomes_code")),
        sa.CheckConstraint("status IN (200, 404, 409)", name=op.f("ck_bulk_outcomes_status")),
        sa.ForeignKeyConstraint(
            ["bulk_operation_id"],
            ["bulk_operations.bulk_operation_id"],
            name=op.f("fk_bulk_outcomes_bulk_operation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_bulk_outcomes")),
        comment="What bulk operations are about, and how it went",
    )
    op.create_index(
        "ix_bulk_outcomes_operation", "bulk_outcomes", ["bulk_operation_id", "is_open", "sequence"], unique=False
    )
    op.create_table(
        "bulk_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token"),
        sa.Column("purpose", sa.LargeBinary(), nullable=False, comment="SHA-256 of resource, verb and filter"),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="How many matched"),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=False, comment="Good until then, and forgotten after"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_bulk_tokens")),
        comment="Dry runs of bulk operations",
    )
    op.create_index("ix_bulk_tokens_expires", "bulk_tokens", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("bulk_tokens")
    op.drop_table("bulk_outcomes")
    op.drop_table("bulk_operations")
