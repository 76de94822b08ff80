"""late runs"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COLUMNS = {
    "expected_by": "Set at creation; late when open at this time; NULL: it may take as long as it likes",
    "late_at": "Set once, when it was seen to be late; stays when it ends or is retried; NULL: it was not",
}


def upgrade() -> None:
    for name, comment in _COLUMNS.items():
        op.add_column("workflow_runs", sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("workflow_runs", name)
