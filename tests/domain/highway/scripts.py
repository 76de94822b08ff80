"""Scripts in a short form, and what they cause in a short form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.highway.compiler.compilation import Compiled, compile_document
from app.domain.highway.document.checks import check_form
from app.domain.highway.simulation import simulate
from tests.definitions import task, workflow

Step = dict[str, Any]
_MEMBERS: Mapping[str, Sequence[str]] = {
    "retry_in": ("task", "seconds", "next_attempt"),
    "timers": ("task", "seconds"),
    "awaiting": ("task", "event", "timeout"),
    "emitted": ("event", "payload"),
    "activated": ("task", "branches"),
    "children": ("task", "child", "workflow", "inputs"),
}


def step(operator: str, task_id: str, *dependencies: str, **members: Any) -> Step:
    """Return a step of any operator."""
    return {"task_id": task_id, "operator_type": operator, "dependencies": list(dependencies), **members}


def parallel(task_id: str, *dependencies: str, branches: Mapping[str, Sequence[Step]], **members: Any) -> Step:
    """Return a parallel whose branches have these steps."""
    return step("parallel", task_id, *dependencies, branch_workflows=named(branches), **members)


def multi_choice(task_id: str, *dependencies: str, branches: Mapping[str, Sequence[Any]], **members: Any) -> Step:
    """Return a multi_choice; the first member of each branch is its condition."""
    return step(
        "multi_choice",
        task_id,
        *dependencies,
        branches={name: {"condition": branch[0]} for name, branch in branches.items()},
        branch_workflows=named({name: branch[1:] for name, branch in branches.items()}),
        **members,
    )


def named(branches: Mapping[str, Sequence[Step]]) -> dict[str, Any]:
    """Return branches as workflows."""
    return {name: {"name": name, "tasks": {s["task_id"]: s for s in steps}} for name, steps in branches.items()}


def fork(task_id: str, *dependencies: str, branches: Mapping[str, Sequence[Step]], **members: Any) -> list[Step]:
    """Return a parallel and the task that waits for its branches; ``members`` are those of the task."""
    join = task(f"{task_id}_join", task_id, args=["{{" + task_id + "_data}}"], **members)
    join["function"] = "tools.workflow.wait_for_parallel_branches"
    return [parallel(task_id, *dependencies, branches=branches, result_key=f"{task_id}_data"), join]


def foreach(task_id: str, *dependencies: str, body: Sequence[Step], items: str = "[1, 2]", **members: Any) -> Step:
    """Return a loop over items."""
    return step("foreach", task_id, *dependencies, items=items, loop_body=list(body), **members)


def while_(task_id: str, *dependencies: str, body: Sequence[Step], condition: str, **members: Any) -> Step:
    """Return a loop with a condition."""
    return step("while", task_id, *dependencies, condition=condition, loop_body=list(body), **members)


def retry(most: int, delay: float = 10, factor: float = 2.0) -> Step:
    """Return a retry policy."""
    return {"max_retries": most, "delay": delay, "backoff_factor": factor}


def complete(path: str, result: Any = None, **members: Any) -> Step:
    return {"do": "complete", "task": path, "result": result, **members}


def fail(path: str, error: Any = "boom", **members: Any) -> Step:
    return {"do": "fail", "task": path, "error": error, **members}


def emit(event: str, payload: Any = None) -> Step:
    return {"do": "event", "event": event, "payload": payload}


def child(path: str, name: str, status: str = "completed", result: Any = None) -> Step:
    return {"do": "child", "task": path, "child": name, "status": status, "result": result}


def advance(seconds: float) -> Step:
    return {"do": "advance", "seconds": seconds}


START: Step = {"do": "start"}
CANCEL: Step = {"do": "cancel"}


@dataclass
class Trace:
    """What a script caused."""

    steps: Sequence[Step]
    final: Mapping[str, Any]

    def then(self, place: int = -1) -> Step:
        """Return what one step of the script caused, in the short form."""
        return brief(self.steps[place]["then"])

    @property
    def offers(self) -> dict[str, Step]:
        """Return the last offer of each work item."""
        return {item["task"]: item for s in self.steps for item in s["then"].get("runnable", [])}

    @property
    def unresolved(self) -> list[str]:
        """Return all expressions that had no value."""
        return [text for s in self.steps for text in s["then"].get("unresolved", [])]

    @property
    def tasks(self) -> Mapping[str, str]:
        """Return how each step stands at the end."""
        return {path: str(status) for path, status in self.final["tasks"].items()}

    @property
    def status(self) -> str:
        """Return how the run stands at the end."""
        return str(self.final["run_status"])


def brief(then: Mapping[str, Any]) -> Step:
    """Return what was caused: lists in order, work items by their paths, anything else as tuples."""
    short: Step = {}
    for name, things in then.items():
        if name == "run":
            short[name] = str(things)
        elif name == "runnable":
            short[name] = sorted(item["task"] for item in things)
        elif name in _MEMBERS:
            short[name] = sorted((tuple(thing[member] for member in _MEMBERS[name]) for thing in things), key=str)
        else:
            short[name] = sorted(things)
    return short


def play(*steps: Step, script: Sequence[Step] = (), inputs: Any = None, **members: Any) -> Trace:
    """Return what a script causes in a workflow of these steps, after its start."""
    return play_document(workflow(*steps, **members), [START, *script], inputs)


def play_document(document: Step, script: Sequence[Step], inputs: Any = None, **options: Any) -> Trace:
    """Return what a script causes in a workflow that has to be right."""
    assert check_form(document) == []
    compiled = compile_document(document)
    assert compiled.errors == []
    return Trace(**simulate(compiled.plan, script, inputs, **options))


def compiled(*steps: Step, **members: Any) -> Compiled:
    """Return what becomes of a workflow of these steps."""
    return compile_document(workflow(*steps, **members))


def errors_of(*steps: Step, **members: Any) -> list[tuple[str, str]]:
    """Return (code, pointer) of each error."""
    return [(finding.code, finding.pointer) for finding in compiled(*steps, **members).errors]


def warnings_of(*steps: Step, **members: Any) -> list[tuple[str, str]]:
    """Return (code, pointer) of each warning; there must be no errors."""
    found = compiled(*steps, **members)
    assert found.errors == []
    return [(finding.code, finding.pointer) for finding in found.warnings]
