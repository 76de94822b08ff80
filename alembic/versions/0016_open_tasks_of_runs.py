"""open tasks of runs"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CONDITION = sa.text("workflow_run_id IS NOT NULL AND status IN ('pending', 'running', 'sleeping')")
"""Few tasks are open: building it is one look at the table."""


def upgrade() -> None:
    op.create_index("ix_tasks_open_of_run", "tasks", ["workflow_run_id"], unique=False, postgresql_where=_CONDITION)


def downgrade() -> None:
    op.drop_index("ix_tasks_open_of_run", table_name="tasks", postgresql_where=_CONDITION)
