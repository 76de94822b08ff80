"""set aside rows"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "set_aside_rows",
        sa.Column("chore", sa.Text(), nullable=False, comment="Name of the chore that leaves it out"),
        sa.Column("row_key", sa.Text(), nullable=False, comment="Id of the run, task, schedule or delivery"),
        sa.Column(
            "failures", sa.Integer(), server_default="1", nullable=False, comment="How often it has failed alone"
        ),
        sa.Column("error", sa.Text(), nullable=False, comment="What went wrong the last time"),
        sa.Column(
            "set_aside_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="First failure",
        ),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False, comment="Tried again at this time, alone"),
        sa.PrimaryKeyConstraint("chore", "row_key", name=op.f("pk_set_aside_rows")),
        comment="Rows that the housekeeping leaves out for a while, so that they do not stop the others",
    )
    op.add_column(
        "schedules",
        sa.Column(
            "paused_reason",
            sa.Text(),
            nullable=True,
            comment="Why the service paused it; NULL: it did not, or it was resumed since",
        ),
    )
    # Such times cannot be read; they are found by their index, and there are few of them.
    op.execute(
        "UPDATE tasks SET limit_at = '9999-12-31 23:59:59.999999+00' WHERE limit_at >= '10000-01-01 00:00:00+00'"
    )


def downgrade() -> None:
    op.drop_column("schedules", "paused_reason")
    op.drop_table("set_aside_rows")
