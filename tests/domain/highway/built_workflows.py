"""Workflows made with highway-dsl, as its users make them, and documents as written by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from highway_dsl import CircuitBreakerPolicy, JoinMode, RetryPolicy, TimeoutPolicy, Workflow, WorkflowBuilder

from app.domain.highway.document.checks import check_form

EXAMPLES = sorted(Path(__file__).with_name("examples").glob("*.yaml"))
Document = dict[str, Any]
RETRY = RetryPolicy(max_retries=2, delay=timedelta(seconds=1.5), backoff_factor=1.5)


def build_all_operators() -> Workflow:
    """Return a workflow with a step of each of the fifteen operators, some in branches and loop bodies."""
    builder: Any = WorkflowBuilder("all_operators", deadline_seconds=3600, deadline_action="cancel")
    _add_work(builder)
    _add_routes(builder)
    _add_containers(builder)
    builder.set_schedule("0 2 * * *").set_start_date(datetime(2025, 1, 1, tzinfo=UTC)).set_catchup(enabled=True)
    builder.add_tags("nightly", "größe").set_max_active_runs(3).set_default_retry_policy(RETRY)
    workflow: Workflow = builder.build()
    workflow.set_variables(
        {"rate": 0.1, "large": 1e16, "small": 1e-7, "none": None, "nested": {"none": None, "n": 2.0}}
    )
    return workflow


def _add_work(builder: Any) -> None:
    builder.task("extract", "etl.extract", args=["{{ds}}", None, {"a": None}], kwargs={"limit": 2.0, "none": None})
    builder.retry(3, timedelta(days=1), 2.0).timeout(timedelta(minutes=30)).on_failure("undo")
    builder.precondition("{{ds}}", "matches_regex", r"^\d{4}").postcondition("{{result}}", "in_range", [1, 10.5])
    builder.task("undo", "etl.undo")
    builder.activity("train", "ml.train", dependencies=["extract"], result_key="model", timeout_policy=_minute())
    breaker = CircuitBreakerPolicy(isolation_duration=timedelta(seconds=30), catch_exceptions=["OSError"])
    builder.task("guarded", "api.call", circuit_breaker_policy=breaker, idempotency_key="{{run.id}}")
    builder.reflexive("write", "llm.call", "python.run", generator_kwargs={"prompt": "x"}, max_turns=2)
    builder.wait("pause", timedelta(days=2, hours=1.5)).wait("until", "time:04:30")
    builder.wait("later", datetime(2030, 1, 1, tzinfo=UTC)).wait("given", "{{delay}}")
    builder.emit_event("tell", "done_{{ds}}", payload={"n": 1, "none": None})
    builder.wait_for_event("hear", "go_{{ds}}", timeout_seconds=60)


def _minute() -> TimeoutPolicy:
    return TimeoutPolicy(timeout=timedelta(minutes=1))


def _add_routes(builder: Any) -> None:
    builder.condition(
        "is_large",
        "{{model.size}} > 10 and {{ds}} != '2025-01-01'",
        if_true=lambda branch: branch.task("large", "f"),
        if_false=lambda branch: branch,
    )
    builder.switch("route", "{{model.kind}}", {"a": "kind_a", "true": "kind_b"}, default="kind_b")
    builder.task("kind_a", "f").task("kind_b", "f")
    builder.join("together", ["kind_a", "kind_b"], JoinMode.ONE_SUCCESS)


def _add_containers(builder: Any) -> None:
    builder.parallel(
        "fork",
        {
            "Left": lambda branch: branch.task("left", "f", kwargs={"none": None}).wait("rest", timedelta(seconds=90)),
            "right": lambda branch: branch.foreach("each_right", "[1, 2]", lambda body: body.task("one_right", "f")),
        },
        timeout=600,
    )
    builder.multi_choice(
        "choose",
        {
            "cheap": ("{{amount}} < 10", lambda branch: branch.task("buy", "f")),
            "dear": ("{{amount}} >= 10", lambda branch: branch.wait("think", timedelta(hours=1)).task("ask", "f")),
        },
        minimum_branches=0,
    )
    builder.foreach("each", "{{items}}", _add_body, parallel=True)
    builder.while_loop("again", "{{i}} < 5", lambda body: body.activity("step", "f", result_key="i"))
    builder.child_workflow("child", "other", {"day": "{{ds}}", "none": None}, timeout_seconds=10)
    builder.terminate("stop", "failed", {"at": "{{ds}}"}, "enough")


def _add_body(body: Any) -> Any:
    return (
        body.activity("work", "f", args=["{{item}}"])
        .foreach("inner", "{{item.parts}}", lambda inner: inner.task("part", "f").wait("breathe", "PT1S"))
        .parallel("body_fork", {"x": lambda branch: branch.task("body_x", "f")})
    )


def build_small() -> Workflow:
    """Return a workflow of two steps, the second after a wait."""
    builder: Any = WorkflowBuilder("small", version="1.0.0-rc.1")
    workflow: Workflow = builder.wait("first", timedelta(seconds=0.25)).task("second", "f").build()
    return workflow


def define(**steps: Any) -> Document:
    """Return a definition of these steps, each with its id and, unless it says otherwise, a task."""
    work = {"operator_type": "task", "function": "f"}
    tasks = {
        name: {"task_id": name, **({} if "operator_type" in step else work), **step} for name, step in steps.items()
    }
    return {"name": "n", "version": "1.0.0", "tasks": tasks}


def define_step(operator: str, **members: Any) -> Document:
    """Return a definition with one step `s` of an operator."""
    return define(s={"operator_type": operator, **members})


def found_in(document: Any) -> list[tuple[str, str]]:
    """Return code and place of what is wrong with the form of a document."""
    return [(finding.code, finding.pointer) for finding in check_form(document)]
