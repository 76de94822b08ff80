"""Walks through definitions: at each step one of the things that can happen there, chosen by chance."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from highway_dsl import JoinMode, RetryPolicy, Workflow, WorkflowBuilder

from tests.executing import Json
from tests.playing import Player

RESULTS: tuple[Any, ...] = (None, 1, 2, "x", True, {"a": 1, "n": 3}, [1, 2], "[7]", [])
SECONDS = (1, 3, 7, 11, 19, 31, 67)
STEPS_MOST = 40


async def walk(player: Player, chance: Random, inputs: Any = None) -> None:
    """Let what can happen happen until the run has ended, or for some time."""
    await player.begin(inputs)
    for _ in range(STEPS_MOST):
        if player.final["run_status"] != "running":
            return
        await player.take(
            chance.choice([*choices(player, chance), {"do": "advance", "seconds": chance.choice(SECONDS)}])
        )


def choices(player: Player, chance: Random) -> Iterator[Json]:
    """Return what can happen now but that time passes: reports, events, ends of children, and rarely a cancel."""
    stands: Mapping[str, str] = player.final["tasks"]
    for path in player.held:
        if stands.get(path) in ("runnable", "running") or path in submitted(player):
            done = {"do": "complete", "task": path, "result": chance.choice(RESULTS)}
            failed = {"do": "fail", "task": path, "error": "broke", "retryable": chance.random() < 0.8}
            yield from (done, done, done, failed)
    for awaiting in caused(player, "awaiting"):
        if stands[awaiting["task"]] == "running" and not awaiting["event"].startswith("$"):
            yield {"do": "event", "event": awaiting["event"], "payload": chance.choice(RESULTS)}
    for child in caused(player, "children"):
        if stands[child["task"]] == "running" and not has_ended(player, child):
            status = chance.choice(["completed", "completed", "failed", "cancelled"])
            yield {"do": "child", "task": child["task"], "child": child["child"], "status": status, "result": 1}
    if chance.random() < 0.02:
        yield {"do": "cancel"}


def caused(player: Player, name: str) -> list[Any]:
    return [item for trace in player.traces for item in trace["then"].get(name, [])]


def submitted(player: Player) -> set[str]:
    reported = {trace["task"] for trace in player.traces if trace["do"] == "complete"}
    return set(caused(player, "submitted")) - reported


def has_ended(player: Player, child: Json) -> bool:
    names = ("task", "child")
    return any(trace["do"] == "child" and all(trace[n] == child[n] for n in names) for trace in player.traces)


def document_of(builder: Any) -> Json:
    """Return what a builder has built, as it is sent."""
    workflow: Workflow = builder.build()
    document: Json = json.loads(workflow.to_json())
    return document


def build_containers() -> Json:
    builder: Any = WorkflowBuilder("containers")
    builder.set_default_retry_policy(RetryPolicy(max_retries=1, delay=timedelta(seconds=2), backoff_factor=2.0))
    builder.task("list", "f.list", result_key="items")
    builder.foreach("each", '["a", "b", "c"]', _add_iteration, parallel=True, result_key="values")
    builder.foreach("slow", "[1, 2]", lambda body: body.task("one", "f.one", args=["{{item}}"]).task("two", "f.two"))
    builder.task("last", "f.last", args=["{{values}}", "{{slow_results}}", "{{nothing}}"], trigger_rule="all_done")
    return document_of(builder)


def _add_iteration(body: Any) -> Any:
    body.task("look", "f.look", args=["{{item}}", "{{index}}"], result_key="seen")
    return body.parallel(
        "both",
        {
            "x": lambda y: y.task("left", "f.left", args=["{{seen}}"]).on_failure("undo").task("undo", "f.undo"),
            "y": lambda y: y.while_loop("again", "iteration < 2", lambda z: z.task("turn", "f.turn")),
        },
        timeout=29,
    )


def build_events() -> Json:
    builder: Any = WorkflowBuilder("events", deadline_seconds=300, deadline_action="cancel")
    builder.parallel_with_join(
        "fork",
        {
            "hear": lambda y: y.wait_for_event("hears", "said_{{run.id}}", timeout_seconds=17).task("heard", "f.heard"),
            "say": lambda y: y.task("think", "f.think").emit_event(
                "say", "said_{{run.id}}", payload={"a": "{{think}}"}
            ),
            "rest": lambda y: y.wait("rests", timedelta(seconds=5)).wait_for_event("late", "late_{{run.id}}"),
        },
        timeout_seconds=43,
    )
    builder.activity("ask", "f.ask", result_key="asked", dependencies=["fork_join"])
    builder.wait_for_event("answer", "{{asked.completion_event}}", timeout_seconds=13).task(
        "use", "f.use", args=["{{answer.payload}}"]
    )
    return document_of(builder)


def build_routes() -> Json:
    builder: Any = WorkflowBuilder("routes")
    builder.task("a", "f.a", result_key="k").task("b", "f.b", dependencies=[]).retry(2, timedelta(seconds=5), 3.0)
    builder.timeout(timedelta(seconds=23)).on_failure("undo").task("undo", "f.undo")
    builder.condition(
        "gate",
        "{{k}} == 1 or {{k.n}} > 2",
        if_true=lambda y: y.task("yes", "f.yes").task("more", "f.more"),
        if_false=lambda y: y.task("no", "f.no"),
        dependencies=["a"],
    )
    builder.switch("route", "{{k}}", {"x": "on_x", "true": "on_true"}, default="on_x", dependencies=["a"])
    builder.task("on_x", "f.on_x", dependencies=["route"]).task("on_true", "f.on_true", dependencies=["route"])
    builder.join("any", ["on_x", "on_true", "b"], JoinMode.ANY_OF)
    builder.join("one", ["yes", "b"], JoinMode.ONE_SUCCESS, dependencies=[])
    builder.task("after", "f.after", dependencies=["any", "gate"], trigger_rule="none_failed")
    builder.task("always", "f.always", dependencies=["one", "after"], trigger_rule="all_done")
    return document_of(builder)


def build_children() -> Json:
    builder: Any = WorkflowBuilder("families")
    children = {name: {"workflow_name": "child", "inputs": {"name": name}} for name in ("a", "b")}
    builder.multi_choice(
        "choose",
        {
            "runs": ("true", lambda y: y.child_workflows("kin", children, result_key="born", timeout_seconds=37)),
            "loop": (
                "true",
                lambda y: y.foreach("each", "[1, 2]", lambda z: z.child_workflow("kid", "child", {"n": "{{item}}"})),
            ),
        },
    )
    builder.reflexive("judge", "f.write", "f.check", max_turns=2, dependencies=["choose"], trigger_rule="all_done")
    builder.terminate("stop", "failed", {"born": "{{born}}"}, "enough", dependencies=["judge"])
    return document_of(builder)


DEFINITIONS: Mapping[str, Json] = {
    document["name"]: document for document in (build_containers(), build_events(), build_routes(), build_children())
}
