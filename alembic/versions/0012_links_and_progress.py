"""links and reported progress"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "workflow_runs",
        sa.Column(
            "links", sa.JSON(none_as_null=True), nullable=True, comment="Name -> {url, title}, as put; NULL: none"
        ),
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "reported_progress",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="{done, total, unit, message} as last reported and merged; NULL: none",
        ),
    )
    op.add_column(
        "tasks",
        sa.Column(
            "reported_progress",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="{done, total, unit, message} as reported by heartbeats and merged; NULL: none",
        ),
    )


def downgrade() -> None:
    op.drop_column("tasks", "reported_progress")
    op.drop_column("workflow_runs", "reported_progress")
    op.drop_column("workflow_runs", "links")
