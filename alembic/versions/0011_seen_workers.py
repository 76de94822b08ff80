"""seen workers"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FOREIGN_KEY = "fk_queue_workers_queue"


def upgrade() -> None:
    op.add_column(
        "queue_workers",
        sa.Column(
            "task_names",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="Tasks that its last claim was for; NULL: any",
        ),
    )
    op.add_column(
        "queue_workers",
        sa.Column(
            "signed_off_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it said that it stops; it has, unless it was seen since; NULL: it did not say so",
        ),
    )
    _comment("queue", sa.Text(), "Where it claims", "Where it claims; it may wait before there is such a queue")
    _comment("seen_at", sa.DateTime(timezone=True), "Last claim, to some seconds", "When its last claim began")
    op.drop_constraint(_FOREIGN_KEY, "queue_workers", type_="foreignkey")
    op.create_index("ix_queue_workers_seen", "queue_workers", ["queue", "seen_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_queue_workers_seen", table_name="queue_workers")
    op.execute(
        "DELETE FROM queue_workers WHERE NOT EXISTS (SELECT 1 FROM queues WHERE queues.queue = queue_workers.queue)"
    )
    op.create_foreign_key(_FOREIGN_KEY, "queue_workers", "queues", ["queue"], ["queue"], ondelete="CASCADE")
    _comment("seen_at", sa.DateTime(timezone=True), "When its last claim began", "Last claim, to some seconds")
    _comment("queue", sa.Text(), "Where it claims; it may wait before there is such a queue", "Where it claims")
    op.drop_column("queue_workers", "signed_off_at")
    op.drop_column("queue_workers", "task_names")


def _comment(column: str, kind: sa.types.TypeEngine[object], before: str, after: str) -> None:
    op.alter_column(
        "queue_workers", column, existing_type=kind, existing_nullable=False, existing_comment=before, comment=after
    )
