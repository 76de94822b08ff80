"""log lines"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "log_lines",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of arrival"),
        sa.Column(
            "workflow_run_id", sa.Uuid(), nullable=True, comment="In whose log it stands; NULL: of a task without a run"
        ),
        sa.Column("task_id", sa.Uuid(), nullable=True, comment="Task that it is of; NULL: the run's own"),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=False,
            comment="Attempt of the task, or of the run, when it was appended",
        ),
        sa.Column("level", sa.SmallInteger(), nullable=False, comment="0 debug, 1 info, 2 warning, 3 error"),
        sa.Column(
            "is_truncated",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="True: the text was longer",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="As given, else the database's time of the append",
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="Up to 16 KiB of UTF-8; may be empty"),
        sa.Column("fields", sa.JSON(none_as_null=True), nullable=True, comment="As given, kept as text; NULL: none"),
        sa.CheckConstraint(
            "workflow_run_id IS NOT NULL OR task_id IS NOT NULL", name=op.f("ck_log_lines_of_something")
        ),
        sa.CheckConstraint("level BETWEEN 0 AND 3", name=op.f("ck_log_lines_level")),
        sa.CheckConstraint("octet_length(text) <= 16384", name=op.f("ck_log_lines_text_is_bounded")),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_log_lines_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.task_id"], name=op.f("fk_log_lines_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_log_lines")),
        comment="Log lines of workflow runs and tasks",
    )
    op.create_index(
        "ix_log_lines_run",
        "log_lines",
        ["workflow_run_id", "at", "sequence"],
        unique=False,
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_log_lines_task",
        "log_lines",
        ["task_id", "at", "sequence"],
        unique=False,
        postgresql_where=sa.text("task_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("log_lines")
