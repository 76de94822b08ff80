"""indexes of late runs"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INDEXES = {
    "ix_workflow_runs_late_due": (
        ["expected_by"],
        "expected_by IS NOT NULL AND late_at IS NULL AND status IN ('pending', 'running')",
    ),
    "ix_workflow_runs_late": (["created_at", "workflow_run_id"], "late_at IS NOT NULL"),
    "ix_workflow_runs_by_reason": (["reason", "created_at", "workflow_run_id"], "reason IS NOT NULL"),
}
"""Columns and conditions: of the runs that are there none is late, and few have a reason."""


def upgrade() -> None:
    for name, (columns, condition) in _INDEXES.items():
        op.create_index(name, "workflow_runs", columns, unique=False, postgresql_where=sa.text(condition))


def downgrade() -> None:
    for name, (_, condition) in _INDEXES.items():
        op.drop_index(name, table_name="workflow_runs", postgresql_where=sa.text(condition))
