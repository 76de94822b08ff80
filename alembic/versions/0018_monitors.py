"""monitors

When runs of a workflow should come. What monitors are told to be and what becomes of them is told in the change feed by
triggers, as of all other tables.
"""

# ruff: noqa: S608 - the texts are put together of constants

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CHANGES_A_ROW = 500
"""How many changes one row of `new_changes` holds at most."""
BEGINS = 10
"""Where changes stand within their transaction: before runs that end."""

_TELLER = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO new_changes (rank, kind, change_count, changes)
    SELECT {rank}, 'monitor', count(*), json_agg(told ORDER BY place)
    FROM (
        SELECT place, told, (row_number() OVER (ORDER BY place) - 1) / {most} AS part
        FROM ({changes}) AS change
    ) AS parts
    GROUP BY part
    ORDER BY part;
    RETURN NULL;
END $$
"""
_WHEN = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
}


def _told(row: str, verb: str) -> str:
    """Return one change: its members stand in the order of TOLD in app/domain/changes.py."""
    members = f"{verb}, {row}.name, NULL, {row}.workflow_name, NULL, {row}.state, NULL, {row}.revision"
    return f"SELECT {row}.name AS place, json_build_array({members}, {row}.paused_reason, NULL) AS told FROM "


_IS_OFF = "({0}.late_since IS NOT NULL OR {0}.consecutive_failures > 0)"
_VERB = f"""CASE
    WHEN n.revision > o.revision THEN 'updated'
    WHEN n.late_since IS NOT NULL AND o.late_since IS NULL THEN 'late'
    WHEN n.consecutive_failures > 0 AND o.consecutive_failures = 0 THEN 'failed'
    WHEN {_IS_OFF.format("o")} AND NOT {_IS_OFF.format("n")} THEN 'recovered'
END"""
TOLD = {
    "INSERT": f"{_told('n', repr('created'))}new_rows AS n",
    "UPDATE": f"{_told('n', _VERB)}new_rows AS n JOIN old_rows AS o USING (name) WHERE {_VERB} IS NOT NULL",
    "DELETE": f"{_told('o', repr('deleted'))}old_rows AS o",
}
"""The query that finds the changes after each kind of statement."""


def upgrade() -> None:
    _create_table()
    for statement, changes in TOLD.items():
        name = f"tell_{statement.lower()}_of_monitors"
        op.execute(_TELLER.format(name=name, rank=BEGINS, most=CHANGES_A_ROW, changes=changes))
        op.execute(
            f"CREATE TRIGGER {name} AFTER {statement} ON monitors {_WHEN[statement]}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def downgrade() -> None:
    op.drop_table("monitors")
    for statement in TOLD:
        op.execute(f"DROP FUNCTION tell_{statement.lower()}_of_monitors()")


def _create_table() -> None:
    op.create_table(
        "monitors",
        sa.Column("name", sa.Text(), nullable=False, comment="Given by who made it"),
        sa.Column("workflow_name", sa.Text(), nullable=False, comment="Whose runs should come"),
        sa.Column("cron", sa.Text(), nullable=True, comment="Five fields; NULL: it goes by every_seconds"),
        sa.Column(
            "timezone", sa.Text(), nullable=True, comment="Of the cron fields, an IANA name; NULL: there are none"
        ),
        sa.Column("every_seconds", sa.Double(), nullable=True, comment="From since_at on; NULL: it goes by cron"),
        sa.Column("grace_seconds", sa.Double(), nullable=False, comment="How long after a slot a run may still come"),
        sa.Column("max_runtime_seconds", sa.Double(), nullable=True, comment="A longer run has failed; NULL: no limit"),
        sa.Column("tags", sa.JSON(), nullable=False, comment="What its runs must have, and those that it records get"),
        sa.Column(
            "tag_texts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The tags' values as texts, as runs have them; NULL: no tags",
        ),
        sa.Column("paused", sa.Boolean(), nullable=False, comment="True: it looks at nothing"),
        sa.Column(
            "paused_reason",
            sa.Text(),
            nullable=True,
            comment="Why the service paused it; NULL: it did not, or it was changed since",
        ),
        sa.Column(
            "created_by", sa.Text(), nullable=True, comment="Of the runs that it records, too; NULL: none was given"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="As app/domain/monitors.py:state_of says"),
        sa.Column("last_run_id", sa.Uuid(), nullable=True, comment="The newest run seen, deleted or not; NULL: none"),
        sa.Column(
            "last_ok_at", sa.DateTime(timezone=True), nullable=True, comment="When a run completed last; NULL: none did"
        ),
        sa.Column(
            "next_expected_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First slot that no run has met and one still can; NULL: paused, or no more",
        ),
        sa.Column(
            "late_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First slot that was not met, until a run completes; NULL: it is not late",
        ),
        sa.Column(
            "consecutive_failures",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Since a run completed; 0: it is not failing",
        ),
        sa.Column(
            "since_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Creation, resume or change of schedule: runs count from here, and slots of every_seconds",
        ),
        sa.Column(
            "seen_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Runs that were created before need not be looked for",
        ),
        sa.Column(
            "followed",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Id of a run -> what was seen of it, revision first",
        ),
        sa.Column(
            "look_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Looked at then although no run has changed; NULL: nothing is expected",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Last change by a caller",
        ),
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="From 1; one more for each change by a caller",
        ),
        sa.CheckConstraint("(state = 'paused') = paused", name=op.f("ck_monitors_paused_state")),
        sa.CheckConstraint(
            "state IN ('waiting', 'ok', 'running', 'late', 'failing', 'paused')", name=op.f("ck_monitors_state")
        ),
        sa.CheckConstraint("(cron IS NULL) <> (every_seconds IS NULL)", name=op.f("ck_monitors_one_schedule")),
        sa.CheckConstraint("(cron IS NULL) = (timezone IS NULL)", name=op.f("ck_monitors_timezone_of_cron")),
        sa.CheckConstraint("every_seconds >= 1", name=op.f("ck_monitors_every_seconds")),
        sa.CheckConstraint("grace_seconds >= 0", name=op.f("ck_monitors_grace_seconds")),
        sa.CheckConstraint("max_runtime_seconds >= 1", name=op.f("ck_monitors_max_runtime_seconds")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_monitors")),
        comment="When runs of a workflow should come",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_monitors_workflow", "monitors", ["workflow_name", "name"], unique=False)
