"""check attempts"""

from collections.abc import Sequence

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Reads the whole table, and keeps nobody from reading or writing it meanwhile.
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_attempt_within_limit")


def downgrade() -> None:
    pass
