"""key of the environment"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The keys that the environment has given so far have a part of their hash in their name.
_RENAME = """
WITH given AS (
    SELECT api_key_id, row_number() OVER (ORDER BY created_at DESC, api_key_id DESC) AS age
    FROM api_keys WHERE name = 'environment-' || left(encode(secret_hash, 'hex'), 8)
)
UPDATE api_keys SET is_from_environment = true, name =
    CASE
        WHEN given.age = 1 AND NOT EXISTS (SELECT FROM api_keys WHERE name = 'environment') THEN 'environment'
        ELSE 'environment-' || api_keys.api_key_id
    END
FROM given WHERE given.api_key_id = api_keys.api_key_id
"""


def upgrade() -> None:
    op.add_column(
        "api_keys",
        sa.Column(
            "is_from_environment",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="Set when made; whether it is the key of MILEPOST_API_KEY, which another value of it replaces",
        ),
    )
    op.execute(_RENAME)


def downgrade() -> None:
    op.drop_column("api_keys", "is_from_environment")
