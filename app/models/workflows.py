"""Registered definitions, and what their execution keeps of each run."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, PrimaryKeyConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.json_texts import JsonText
from app.models.base import Base


class Workflow(Base):
    """One immutable version of a definition."""

    __tablename__ = "workflows"

    workflow_id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7 made in the service")
    workflow_name: Mapped[str] = mapped_column(comment="Set at registration")
    workflow_version: Mapped[str] = mapped_column(comment="Set at registration; unique in its name")
    workflow_hash: Mapped[str] = mapped_column(comment="SHA-256 of the canonical document, in hex")
    description: Mapped[str] = mapped_column(comment="As the document says; empty: nothing")
    document: Mapped[JsonText] = mapped_column(comment="The definition as it was read, in the order it was written")
    source: Mapped[str] = mapped_column(comment="The text as it was sent")
    media_type: Mapped[str] = mapped_column(comment="Of the source: application/yaml or application/json")
    warnings: Mapped[Any] = mapped_column(comment="What its author should know, as validate shows it")
    created_by: Mapped[str] = mapped_column(comment="Name of the API key, or `anonymous`")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="Registration, the database's time")
    sequence: Mapped[int] = mapped_column(Identity(always=True), comment="Order of registration; the last is newest")

    __table_args__ = (
        Index("uq_workflows_version", "workflow_name", "workflow_version", unique=True),
        Index("ix_workflows_newest", "workflow_name", "sequence"),
        {"comment": "Registered definitions, each version once"},
    )


class WorkflowExecution(Base):
    """What the execution of a definition keeps of a whole run."""

    __tablename__ = "workflow_executions"

    workflow_run_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_runs.workflow_run_id", ondelete="CASCADE"), primary_key=True, comment="Whose execution"
    )
    workflow_id: Mapped[UUID] = mapped_column(ForeignKey("workflows.workflow_id"), comment="What is executed")
    strict_templates: Mapped[bool] = mapped_column(comment="True: a template without a value fails its step")
    run: Mapped[Any] = mapped_column(comment="What `{{run.KEY}}` reads, set at the start")
    memory: Mapped[Any] = mapped_column(comment="What workers have put into `{{memory.KEY}}`")
    breakers: Mapped[Any] = mapped_column(comment="Circuit breakers by function; {} when none has counted")
    parent_step: Mapped[str | None] = mapped_column(comment="Path of the parent's step that started it; NULL: none did")
    parent_child: Mapped[str | None] = mapped_column(comment="Which child of that step it is; NULL: none")
    deadline_at: Mapped[datetime | None] = mapped_column(comment="The run ends at this time; NULL: ended, or no limit")
    children_dropped_at: Mapped[datetime | None] = mapped_column(
        comment="Steps ended before runs that they had started, first at this time; NULL: those are cancelled"
    )

    __table_args__ = (
        Index("ix_workflow_executions_workflow", "workflow_id"),
        Index("ix_workflow_executions_due", "deadline_at", postgresql_where=text("deadline_at IS NOT NULL")),
        Index(
            "ix_workflow_executions_dropped",
            "children_dropped_at",
            postgresql_where=text("children_dropped_at IS NOT NULL"),
        ),
        {"comment": "Runs that the service executes", "postgresql_with": {"fillfactor": "85"}},
    )


class WorkflowFrame(Base):
    """The names that the steps of a run, or of one iteration of a loop, have given to their results."""

    __tablename__ = "workflow_frames"

    workflow_run_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_executions.workflow_run_id", ondelete="CASCADE"), comment="Whose names"
    )
    path: Mapped[str] = mapped_column(comment="Empty: of the run; else of the iteration, such as `loop[0]`")
    variables: Mapped[Any] = mapped_column(comment="Loop variables; {} of the run")
    names: Mapped[Any] = mapped_column(comment="Path of the step whose result each name stands for")
    value: Mapped[Any | None] = mapped_column(comment="What the iteration came to; NULL: not ended, or null")

    __table_args__ = (
        PrimaryKeyConstraint("workflow_run_id", "path"),
        {"comment": "Names of results, by run and by iteration", "postgresql_with": {"fillfactor": "80"}},
    )


class WorkflowStep(Base):
    """A step of a run: a node of its definition in one scope."""

    __tablename__ = "workflow_steps"

    workflow_run_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_executions.workflow_run_id", ondelete="CASCADE"), comment="Whose step"
    )
    path: Mapped[str] = mapped_column(comment="Where it stands, such as `loop[0].branches.left.load`")
    sequence: Mapped[int] = mapped_column(Identity(always=True), comment="Order in which the steps came into being")
    region: Mapped[str] = mapped_column(comment="Path of the run or iteration it belongs to; empty: the run")
    scope: Mapped[str] = mapped_column(comment="Path of the branch or iteration it belongs to; empty: the top level")
    operator_type: Mapped[str] = mapped_column(comment="As the definition says")
    status: Mapped[str] = mapped_column(comment="waiting, runnable, running, or how it ended")
    attempt: Mapped[int] = mapped_column(Integer, comment="0 before the first, then from 1")
    task_id: Mapped[UUID | None] = mapped_column(comment="Work item that workers get for it; NULL: none")
    result: Mapped[Any | None] = mapped_column(comment="What it came to; NULL: not completed, or null")
    error: Mapped[Any | None] = mapped_column(comment="Of its last failure; NULL: none")
    facts: Mapped[Any] = mapped_column(comment="What the execution remembers of it; {} when nothing")
    due_at: Mapped[datetime | None] = mapped_column(comment="When something happens by itself; NULL: never")
    awaits: Mapped[str | None] = mapped_column(comment="Name of the event it waits for; NULL: none")
    queue: Mapped[str] = mapped_column(comment="The run's, where it awaits and emits events")
    started_at: Mapped[datetime | None] = mapped_column(comment="Its first start; NULL: not yet")
    completed_at: Mapped[datetime | None] = mapped_column(comment="When it ended, however; NULL: it is open")

    __table_args__ = (
        PrimaryKeyConstraint("workflow_run_id", "path"),
        CheckConstraint(
            "status IN ('waiting', 'runnable', 'running', 'completed', 'failed', 'skipped', 'upstream_failed',"
            " 'cancelled')",
            name="status",
        ),
        CheckConstraint(
            "(status IN ('waiting', 'runnable', 'running')) = (completed_at IS NULL)", name="ended_has_completed_at"
        ),
        Index("ix_workflow_steps_scope", "workflow_run_id", "scope"),
        Index("ix_workflow_steps_order", "workflow_run_id", "sequence"),
        Index(
            "ix_workflow_steps_open",
            "workflow_run_id",
            postgresql_where=text("status IN ('runnable', 'running') OR due_at IS NOT NULL"),
        ),
        Index("ix_workflow_steps_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_workflow_steps_awaits", "queue", "awaits", postgresql_where=text("awaits IS NOT NULL")),
        {"comment": "Steps of executed runs", "postgresql_with": {"fillfactor": "80"}},
    )


class WorkflowWarning(Base):
    """Something in an executed run that was worth a warning."""

    __tablename__ = "workflow_warnings"

    warning_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order of writing")
    workflow_run_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_executions.workflow_run_id", ondelete="CASCADE"), comment="Whose warning"
    )
    path: Mapped[str] = mapped_column(comment="The step")
    code: Mapped[str] = mapped_column(comment="What kind of warning, such as unresolved_template")
    expression: Mapped[str] = mapped_column(comment="What it is about, such as the template's text")
    at: Mapped[datetime] = mapped_column(server_default=func.now(), comment="The database's time")

    __table_args__ = (
        Index("uq_workflow_warnings", "workflow_run_id", "path", "code", "expression", unique=True),
        Index("ix_workflow_warnings_run", "workflow_run_id", "warning_id"),
        {"comment": "Warnings of executed runs, each once"},
    )


class EventDelivery(Base):
    """An event that runs still have to be told of: written with the emit, deleted when they have been."""

    __tablename__ = "event_deliveries"

    delivery_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="Order of emits")
    queue: Mapped[str] = mapped_column(comment="Where it was emitted")
    event_name: Mapped[str] = mapped_column(comment="Steps that await this name are told")
    workflow_run_id: Mapped[UUID | None] = mapped_column(comment="Only steps of this run; NULL: of all runs")

    __table_args__ = ({"comment": "Events on their way to other runs"},)
