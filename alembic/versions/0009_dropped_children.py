"""dropped children"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "workflow_executions",
        sa.Column(
            "children_dropped_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Steps ended before runs that they had started, first at this time; NULL: those are cancelled",
        ),
    )
    op.create_index(
        "ix_workflow_executions_dropped",
        "workflow_executions",
        ["children_dropped_at"],
        unique=False,
        postgresql_where=sa.text("children_dropped_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_workflow_executions_dropped",
        table_name="workflow_executions",
        postgresql_where=sa.text("children_dropped_at IS NOT NULL"),
    )
    op.drop_column("workflow_executions", "children_dropped_at")
