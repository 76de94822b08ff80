"""started at"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COMMENTS = (
    ("tasks", "Last claim of this attempt; NULL: not yet", "First claim of this attempt; NULL: not yet"),
    ("task_attempts", "Its last claim; NULL: never claimed", "Its first claim; NULL: never claimed"),
)
"""Tables with what is said of the column before and after: an attempt that is put aside and claimed again goes on."""


def upgrade() -> None:
    for table, before, after in _COMMENTS:
        _comment(table, before, after)


def downgrade() -> None:
    for table, before, after in _COMMENTS:
        _comment(table, after, before)


def _comment(table: str, before: str, after: str) -> None:
    op.alter_column(
        table,
        "started_at",
        existing_type=sa.DateTime(timezone=True),
        existing_nullable=True,
        existing_comment=before,
        comment=after,
    )
