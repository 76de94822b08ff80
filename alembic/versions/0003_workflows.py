"""workflows"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "event_deliveries",
        sa.Column("delivery_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of emits"),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where it was emitted"),
        sa.Column("event_name", sa.Text(), nullable=False, comment="Steps that await this name are told"),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=True, comment="Only steps of this run; NULL: of all runs"),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_event_deliveries")),
        comment="Events on their way to other runs",
    )
    op.create_table(
        "workflows",
        sa.Column("workflow_id", sa.Uuid(), nullable=False, comment="UUIDv7 made in the service"),
        sa.Column("workflow_name", sa.Text(), nullable=False, comment="Set at registration"),
        sa.Column("workflow_version", sa.Text(), nullable=False, comment="Set at registration; unique in its name"),
        sa.Column("workflow_hash", sa.Text(), nullable=False, comment="SHA-256 of the canonical document, in hex"),
        sa.Column("description", sa.Text(), nullable=False, comment="As the document says; empty: nothing"),
        sa.Column(
            "document",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="The definition as it was read, in the order it was written",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="The text as it was sent"),
        sa.Column(
            "media_type", sa.Text(), nullable=False, comment="Of the source: application/yaml or application/json"
        ),
        sa.Column(
            "warnings",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="What its author should know, as validate shows it",
        ),
        sa.Column("created_by", sa.Text(), nullable=False, comment="Name of the API key, or `anonymous`"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Registration, the database's time",
        ),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Order of registration; the last is newest",
        ),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_workflows")),
        comment="Registered definitions, each version once",
    )
    op.create_index("ix_workflows_newest", "workflows", ["workflow_name", "sequence"], unique=False)
    op.create_index("uq_workflows_version", "workflows", ["workflow_name", "workflow_version"], unique=True)
    op.create_table(
        "schedules",
        sa.Column("schedule_id", sa.Uuid(), nullable=False, comment="UUIDv7 made in the service"),
        sa.Column("workflow_name", sa.Text(), nullable=False, comment="Set at creation"),
        sa.Column("workflow_version", sa.Text(), nullable=True, comment="NULL: the newest at each firing"),
        sa.Column("cron", sa.Text(), nullable=False, comment="Five fields"),
        sa.Column("timezone", sa.Text(), nullable=False, comment="IANA name; the cron fields are local times there"),
        sa.Column(
            "start_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The first interval begins at or after this time",
        ),
        sa.Column(
            "end_at", sa.DateTime(timezone=True), nullable=True, comment="Nothing fires after this time; NULL: no end"
        ),
        sa.Column("catchup", sa.Boolean(), nullable=False, comment="True: slots that were missed are fired later"),
        sa.Column("max_active_runs", sa.Integer(), nullable=False, comment="Most open runs at once"),
        sa.Column("overlap", sa.Text(), nullable=False, comment="What a slot does that finds no room: wait or skip"),
        sa.Column("paused", sa.Boolean(), nullable=False, comment="True: it fires nothing"),
        sa.Column("queue", sa.Text(), nullable=False, comment="Of its runs"),
        sa.Column("inputs", sa.JSON(none_as_null=True), nullable=True, comment="Of its runs; NULL: JSON null"),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False, comment="Of its runs"),
        sa.Column("created_by", sa.Text(), nullable=True, comment="Of its runs; NULL: none was given"),
        sa.Column(
            "workflow_id",
            sa.Uuid(),
            nullable=True,
            comment="Definition whose own schedule it is; NULL: it was made by hand",
        ),
        sa.Column(
            "next_fire_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Its next slot, kept while it is paused; NULL: no more",
        ),
        sa.Column(
            "last_fire_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Its newest slot that became a run; NULL: none",
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
        sa.CheckConstraint("overlap IN ('wait', 'skip')", name=op.f("ck_schedules_overlap")),
        sa.CheckConstraint("max_active_runs >= 1", name=op.f("ck_schedules_max_active_runs")),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.workflow_id"], name=op.f("fk_schedules_workflow_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_schedules")),
        comment="Rules that create runs",
    )
    op.create_index(
        "ix_schedules_due",
        "schedules",
        ["next_fire_at"],
        unique=False,
        postgresql_where=sa.text("next_fire_at IS NOT NULL AND NOT paused"),
    )
    op.create_index("ix_schedules_workflow", "schedules", ["workflow_name", "schedule_id"], unique=False)
    op.create_index(
        "uq_schedules_definition",
        "schedules",
        ["workflow_id"],
        unique=True,
        postgresql_where=sa.text("workflow_id IS NOT NULL"),
    )
    op.create_table(
        "workflow_executions",
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="Whose execution"),
        sa.Column("workflow_id", sa.Uuid(), nullable=False, comment="What is executed"),
        sa.Column(
            "strict_templates", sa.Boolean(), nullable=False, comment="True: a template without a value fails its step"
        ),
        sa.Column(
            "run", sa.JSON(none_as_null=True), nullable=False, comment="What `{{run.KEY}}` reads, set at the start"
        ),
        sa.Column(
            "memory", sa.JSON(none_as_null=True), nullable=False, comment="What workers have put into `{{memory.KEY}}`"
        ),
        sa.Column(
            "breakers",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="Circuit breakers by function; {} when none has counted",
        ),
        sa.Column(
            "parent_step", sa.Text(), nullable=True, comment="Path of the parent's step that started it; NULL: none did"
        ),
        sa.Column("parent_child", sa.Text(), nullable=True, comment="Which child of that step it is; NULL: none"),
        sa.Column(
            "deadline_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="The run ends at this time; NULL: ended, or no limit",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.workflow_id"], name=op.f("fk_workflow_executions_workflow_id")
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_workflow_executions_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_run_id", name=op.f("pk_workflow_executions")),
        comment="Runs that the service executes",
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_workflow_executions_due",
        "workflow_executions",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("deadline_at IS NOT NULL"),
    )
    op.create_index("ix_workflow_executions_workflow", "workflow_executions", ["workflow_id"], unique=False)
    op.create_table(
        "schedule_slots",
        sa.Column("schedule_id", sa.Uuid(), nullable=False, comment="Whose slot"),
        sa.Column(
            "fire_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it was to fire: the end of its data interval",
        ),
        sa.Column(
            "workflow_run_id",
            sa.Uuid(),
            nullable=True,
            comment="The run that it became; NULL: it was missed or skipped, or the run was deleted",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=False,
            comment="fired, missed (too late, without catch-up) or skipped (no room)",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was dealt with",
        ),
        sa.CheckConstraint("outcome IN ('fired', 'missed', 'skipped')", name=op.f("ck_schedule_slots_outcome")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.schedule_id"], name=op.f("fk_schedule_slots_schedule_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.workflow_run_id"],
            name=op.f("fk_schedule_slots_workflow_run_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "fire_at", name=op.f("pk_schedule_slots")),
        comment="Slots that were dealt with, each once",
    )
    op.create_index(
        "ix_schedule_slots_run",
        "schedule_slots",
        ["workflow_run_id"],
        unique=False,
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.create_table(
        "workflow_frames",
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="Whose names"),
        sa.Column(
            "path", sa.Text(), nullable=False, comment="Empty: of the run; else of the iteration, such as `loop[0]`"
        ),
        sa.Column("variables", sa.JSON(none_as_null=True), nullable=False, comment="Loop variables; {} of the run"),
        sa.Column(
            "names",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="Path of the step whose result each name stands for",
        ),
        sa.Column(
            "value",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="What the iteration came to; NULL: not ended, or null",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_executions.workflow_run_id"],
            name=op.f("fk_workflow_frames_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_run_id", "path", name=op.f("pk_workflow_frames")),
        comment="Names of results, by run and by iteration",
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "workflow_steps",
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="Whose step"),
        sa.Column("path", sa.Text(), nullable=False, comment="Where it stands, such as `loop[0].branches.left.load`"),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Order in which the steps came into being",
        ),
        sa.Column(
            "region", sa.Text(), nullable=False, comment="Path of the run or iteration it belongs to; empty: the run"
        ),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="Path of the branch or iteration it belongs to; empty: the top level",
        ),
        sa.Column("operator_type", sa.Text(), nullable=False, comment="As the definition says"),
        sa.Column("status", sa.Text(), nullable=False, comment="waiting, runnable, running, or how it ended"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="0 before the first, then from 1"),
        sa.Column("task_id", sa.Uuid(), nullable=True, comment="Work item that workers get for it; NULL: none"),
        sa.Column(
            "result", sa.JSON(none_as_null=True), nullable=True, comment="What it came to; NULL: not completed, or null"
        ),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True, comment="Of its last failure; NULL: none"),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True),
            nullable=False,
            comment="What the execution remembers of it; {} when nothing",
        ),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), nullable=True, comment="When something happens by itself; NULL: never"
        ),
        sa.Column("awaits", sa.Text(), nullable=True, comment="Name of the event it waits for; NULL: none"),
        sa.Column("queue", sa.Text(), nullable=False, comment="The run's, where it awaits and emits events"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="Its first start; NULL: not yet"),
        sa.Column(
            "completed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it ended, however; NULL: it is open",
        ),
        sa.CheckConstraint(
            "(status IN ('waiting', 'runnable', 'running')) = (completed_at IS NULL)",
            name=op.f("ck_workflow_steps_ended_has_completed_at"),
        ),
        sa.CheckConstraint(
            "status IN ('waiting', 'runnable', 'running', 'completed', 'failed', 'skipped', 'upstream_failed',"
            " 'cancelled')",
            name=op.f("ck_workflow_steps_status"),
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_executions.workflow_run_id"],
            name=op.f("fk_workflow_steps_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workflow_run_id", "path", name=op.f("pk_workflow_steps")),
        comment="Steps of executed runs",
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_workflow_steps_awaits",
        "workflow_steps",
        ["queue", "awaits"],
        unique=False,
        postgresql_where=sa.text("awaits IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_steps_due",
        "workflow_steps",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_workflow_steps_open",
        "workflow_steps",
        ["workflow_run_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('runnable', 'running') OR due_at IS NOT NULL"),
    )
    op.create_index("ix_workflow_steps_order", "workflow_steps", ["workflow_run_id", "sequence"], unique=False)
    op.create_index("ix_workflow_steps_scope", "workflow_steps", ["workflow_run_id", "scope"], unique=False)
    op.create_table(
        "workflow_warnings",
        sa.Column("warning_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of writing"),
        sa.Column("workflow_run_id", sa.Uuid(), nullable=False, comment="Whose warning"),
        sa.Column("path", sa.Text(), nullable=False, comment="The step"),
        sa.Column("code", sa.Text(), nullable=False, comment="What kind of warning, such as unresolved_template"),
        sa.Column("expression", sa.Text(), nullable=False, comment="What it is about, such as the template's text"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="The database's time",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_executions.workflow_run_id"],
            name=op.f("fk_workflow_warnings_workflow_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("warning_id", name=op.f("pk_workflow_warnings")),
        comment="Warnings of executed runs, each once",
    )
    op.create_index("ix_workflow_warnings_run", "workflow_warnings", ["workflow_run_id", "warning_id"], unique=False)
    op.create_index(
        "uq_workflow_warnings", "workflow_warnings", ["workflow_run_id", "path", "code", "expression"], unique=True
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "workflow_id",
            sa.Uuid(),
            nullable=True,
            comment="Registered definition that the service executes; NULL: the run is tracked for its caller",
        ),
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "rerun_of_workflow_run_id",
            sa.Uuid(),
            nullable=True,
            comment="Run that it does again from one of its steps; NULL: none",
        ),
    )
    op.add_column(
        "workflow_runs",
        sa.Column("schedule_id", sa.Uuid(), nullable=True, comment="Schedule that created it; NULL: none did"),
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "data_interval_start",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Set at creation; NULL: not executed",
        ),
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "data_interval_end",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Set at creation; NULL: not executed",
        ),
    )
    op.add_column(
        "workflow_runs",
        sa.Column(
            "paused_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Executed, and hands out no work since this time; NULL: it does, or has ended",
        ),
    )
    op.create_index(
        "ix_workflow_runs_open_of_schedule",
        "workflow_runs",
        ["schedule_id"],
        unique=False,
        postgresql_where=sa.text("schedule_id IS NOT NULL AND status IN ('pending', 'running')"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_workflow_runs_open_of_schedule",
        table_name="workflow_runs",
        postgresql_where=sa.text("schedule_id IS NOT NULL AND status IN ('pending', 'running')"),
    )
    op.drop_column("workflow_runs", "paused_at")
    op.drop_column("workflow_runs", "data_interval_end")
    op.drop_column("workflow_runs", "data_interval_start")
    op.drop_column("workflow_runs", "schedule_id")
    op.drop_column("workflow_runs", "rerun_of_workflow_run_id")
    op.drop_column("workflow_runs", "workflow_id")
    op.drop_index("uq_workflow_warnings", table_name="workflow_warnings")
    op.drop_index("ix_workflow_warnings_run", table_name="workflow_warnings")
    op.drop_table("workflow_warnings")
    op.drop_index("ix_workflow_steps_scope", table_name="workflow_steps")
    op.drop_index("ix_workflow_steps_order", table_name="workflow_steps")
    op.drop_index(
        "ix_workflow_steps_open",
        table_name="workflow_steps",
        postgresql_where=sa.text("status IN ('runnable', 'running') OR due_at IS NOT NULL"),
    )
    op.drop_index("ix_workflow_steps_due", table_name="workflow_steps", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_index(
        "ix_workflow_steps_awaits", table_name="workflow_steps", postgresql_where=sa.text("awaits IS NOT NULL")
    )
    op.drop_table("workflow_steps")
    op.drop_table("workflow_frames")
    op.drop_index(
        "ix_schedule_slots_run", table_name="schedule_slots", postgresql_where=sa.text("workflow_run_id IS NOT NULL")
    )
    op.drop_table("schedule_slots")
    op.drop_index("ix_workflow_executions_workflow", table_name="workflow_executions")
    op.drop_index(
        "ix_workflow_executions_due",
        table_name="workflow_executions",
        postgresql_where=sa.text("deadline_at IS NOT NULL"),
    )
    op.drop_table("workflow_executions")
    op.drop_index(
        "uq_schedules_definition", table_name="schedules", postgresql_where=sa.text("workflow_id IS NOT NULL")
    )
    op.drop_index("ix_schedules_workflow", table_name="schedules")
    op.drop_index(
        "ix_schedules_due", table_name="schedules", postgresql_where=sa.text("next_fire_at IS NOT NULL AND NOT paused")
    )
    op.drop_table("schedules")
    op.drop_index("uq_workflows_version", table_name="workflows")
    op.drop_index("ix_workflows_newest", table_name="workflows")
    op.drop_table("workflows")
    op.drop_table("event_deliveries")
