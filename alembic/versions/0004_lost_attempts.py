"""lost attempts"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COMMENTS = {
    "max_delay_seconds": (
        "Fails if not started in time; NULL: no limit",
        "Cancelled if not started in time; NULL: no limit",
    ),
    "max_duration_seconds": (
        "Fails so long after its first start; NULL: no limit",
        "Cancelled so long after its first start; NULL: no limit",
    ),
    "limit_at": (
        "Fails when open at this time: max_delay before its first start, max_duration after; NULL: never",
        "Cancelled when open at this time: max_delay before its first start, max_duration after; NULL: never",
    ),
}


def upgrade() -> None:
    op.add_column(
        "tasks",
        sa.Column(
            "max_lost",
            sa.Integer(),
            server_default="5",
            nullable=False,
            comment="Set at spawn; so many lost attempts are forgiven",
        ),
    )
    op.add_column(
        "tasks",
        sa.Column(
            "lost_count",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Attempts whose lease expired; never goes back",
        ),
    )
    op.add_column(
        "tasks",
        sa.Column(
            "forgiven_count",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Those of them that do not count against max_attempts; from 0 again by retry",
        ),
    )
    for column, (_, comment) in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN tasks.{column} IS '{comment}'")
    op.drop_constraint("ck_tasks_attempt_within_limit", "tasks")
    # Not validated here, for that reads the whole table under the lock of this transaction: the next revision does.
    op.create_check_constraint(
        op.f("ck_tasks_attempt_within_limit"),
        "tasks",
        "attempt >= 1 AND attempt - forgiven_count <= max_attempts",
        postgresql_not_valid=True,
    )


def downgrade() -> None:
    op.drop_constraint("ck_tasks_attempt_within_limit", "tasks")
    op.execute("UPDATE tasks SET max_attempts = attempt WHERE attempt > max_attempts")
    op.create_check_constraint(op.f("ck_tasks_attempt_within_limit"), "tasks", "attempt BETWEEN 1 AND max_attempts")
    for column, (comment, _) in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN tasks.{column} IS '{comment}'")
    op.drop_column("tasks", "forgiven_count")
    op.drop_column("tasks", "lost_count")
    op.drop_column("tasks", "max_lost")
