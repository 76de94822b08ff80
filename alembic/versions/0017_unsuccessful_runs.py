"""unsuccessful runs

The list of failed runs in the order in which they ended has an index of its own: the one of all ends leads through all
those that were completed. It is made while writers of runs wait, in a look at each run.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAME = "ix_workflow_runs_unsuccessful"
CONDITION = "status IN ('failed', 'cancelled')"


def upgrade() -> None:
    op.create_index(
        NAME,
        "workflow_runs",
        ["status", sa.literal_column("coalesce(completed_at, 'infinity'::timestamptz)"), "workflow_run_id"],
        unique=False,
        postgresql_where=sa.text(CONDITION),
    )


def downgrade() -> None:
    op.drop_index(NAME, table_name="workflow_runs", postgresql_where=sa.text(CONDITION))
