"""Workflows made by chance: all operators, nested, with every kind of link between them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Node = dict[str, Any]
Nodes = dict[str, Node]

RULES = ("all_success", "all_done", "one_success", "one_done", "none_failed")
STEADY_RULES = ("all_success", "all_done", "none_failed")
MODES = ("all_of", "any_of", "all_success", "one_success")
STEADY_MODES = ("all_of", "all_success")
CONDITIONS = ("true", "false", "{{flag}}", "{{nope}} == null", "{{flag}} and false")
DEPTH_MOST = 3


def seeded(seed: int) -> Random:
    """Return chance that can be repeated."""
    return Random(seed)  # noqa: S311 - nothing is kept secret with it


@dataclass
class Generator:
    """Makes one definition. A steady one ends the same, in whatever order its work is done."""

    random: Random
    is_steady: bool = False
    count: int = 0
    outer: list[str] = field(default_factory=list)
    """Steps of the scopes around, that steps further in may depend on."""
    handlers: list[str] = field(default_factory=list)

    def document(self) -> Node:
        """Return a definition."""
        made: Node = {"name": "generated", "version": "1", "tasks": self.scope(0)}
        if self.chance(0.2):
            made["default_retry_policy"] = {"max_retries": 1, "delay": "PT1S"}
        if not self.is_steady and self.chance(0.1):
            made["deadline_seconds"] = 40
        return made

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def scope(self, depth: int) -> Nodes:
        """Return the steps of one scope."""
        nodes: Nodes = {}
        inside: list[str] = []
        handlers = [self.name("h") for _ in range(self.random.choice((0, 0, 1, 2)))]
        called = [*self.handlers, *handlers]
        outer = self.outer
        for _ in range(self.random.randint(1, 5 if depth == 0 else 3)):
            self.outer = [*outer, *nodes]
            self.handlers, kept = called, self.handlers
            known = [*nodes, *inside]
            for node in self.steps(depth, list(nodes), inside):
                self.link(node, known, outer, called)
                nodes[node["task_id"]] = node
            self.handlers = kept
        self.outer = outer
        self.route(nodes)
        for handler in handlers:
            node = self.work(handler)
            self.link(node, list(nodes), [], [])
            nodes[handler] = node
        return dict(self.random.sample(sorted(nodes.items()), len(nodes)))

    def link(self, node: Node, beside: list[str], outer: list[str], handlers: list[str]) -> None:
        if "dependencies" not in node:
            most = min(len(beside), 2)
            node["dependencies"] = self.random.sample(beside, self.random.randint(0, most))
            if outer and self.chance(0.15):
                node["dependencies"].append(self.random.choice(outer))
        if self.chance(0.3):
            node["trigger_rule"] = self.random.choice(STEADY_RULES if self.is_steady else RULES)
        for member in ("on_failure_task_id", "on_success_task_id"):
            if handlers and self.chance(0.2):
                node[member] = self.random.choice(handlers)
        if self.chance(0.05):
            node["preconditions"] = [{"variable": "nope", "check": "not_null"}]
        if self.chance(0.04):
            node["postconditions"] = [{"variable": "result", "check": "equals", "value": 7}]

    def route(self, nodes: Nodes) -> None:
        """Give routers their targets: steps written after them."""
        names = list(nodes)
        for index, name in enumerate(names):
            after = [other for other in names[index + 1 :] if nodes[other]["operator_type"] != "join"]
            node = nodes[name]
            if node["operator_type"] == "condition":
                for member in ("if_true", "if_false"):
                    if after and self.chance(0.7):
                        node[member] = self.target(nodes, name, self.random.choice(after))
            elif node["operator_type"] == "switch":
                node["cases"] = {
                    key: self.target(nodes, name, self.random.choice(after)) for key in ("a", "true") if after
                }

    def target(self, nodes: Nodes, router: str, target: str) -> str:
        if self.chance(0.7) and router not in nodes[target]["dependencies"]:
            nodes[target]["dependencies"].append(router)
        for node in nodes.values():
            known = node["dependencies"]
            if target in known and router not in {*known, node["task_id"]} and self.chance(0.4):
                known.append(router)
        return target

    def steps(self, depth: int, beside: list[str], inside: list[str]) -> list[Node]:
        kinds: list[Callable[[], list[Node]]] = [
            lambda: [self.work(self.name("t"))],
            lambda: [self.work(self.name("t"))],
            lambda: [self.condition()],
            lambda: [{**self.node("switch", "s"), "switch_on": self.random.choice(("a", "{{flag}}", "b"))}],
            lambda: [{**self.node("wait", "w"), "wait_for": self.random.choice(("PT0S", 5, "PT20S"))}],
            lambda: [{**self.node("emit_event", "e"), "event_name": f"event{self.random.randint(1, 3)}"}],
            lambda: [self.event_wait()],
            lambda: [self.children()],
        ]
        if beside or inside:
            kinds += [lambda: [self.join([*beside, *inside])]] * 2
        if depth < DEPTH_MOST:
            kinds += [
                lambda: [self.parallel(depth, inside)],
                lambda: [self.parallel(depth, inside)] if self.is_steady else self.fork(depth, inside),
                lambda: [self.multi_choice(depth, inside)],
                lambda: [self.foreach(depth)],
                lambda: [self.while_(depth)],
            ] * 2
        if not self.is_steady:
            kinds += [self.submitted, lambda: [self.terminate()]]
        return self.random.choice(kinds)()

    def node(self, operator: str, kind: str) -> Node:
        return {"task_id": self.name(kind), "operator_type": operator}

    def work(self, name: str) -> Node:
        node: Node = {
            "task_id": name,
            "operator_type": self.random.choice(("task", "task", "activity")),
            "function": "f",
        }
        if self.chance(0.1):
            node = {"task_id": name, "operator_type": "reflexive", "generator": "g", "verifier": "v"}
        elif self.chance(0.2):
            node["args"] = ["{{item}}", "{{ds}}"]
        if self.chance(0.2):
            node["retry_policy"] = {"max_retries": self.random.randint(0, 2), "delay": self.random.choice((0, 3))}
        if not self.is_steady and self.chance(0.2):
            node["timeout_policy"] = {"timeout": 10}
        if self.chance(0.3):
            node["result_key"] = f"key_{name}"
        if not self.is_steady and self.chance(0.1):
            node["circuit_breaker_policy"] = {"failure_threshold": 1, "isolation_duration": 7}
        return node

    def condition(self) -> Node:
        return {**self.node("condition", "c"), "condition": self.random.choice(CONDITIONS)}

    def event_wait(self) -> Node:
        node = {**self.node("wait_for_event", "v"), "event_name": f"event{self.random.randint(1, 4)}"}
        if not self.is_steady and self.chance(0.4):
            node["timeout_seconds"] = 15
        return node

    def children(self) -> Node:
        node = {**self.node("child_workflow", "k"), "children": {"x": {"workflow_name": "child"}}}
        if not self.is_steady and self.chance(0.3):
            node["timeout_seconds"] = 15
        return node

    def join(self, known: list[str]) -> Node:
        joined = self.random.sample(known, self.random.randint(1, min(3, len(known))))
        mode = self.random.choice(STEADY_MODES if self.is_steady else MODES)
        return {**self.node("join", "j"), "join_tasks": joined, "join_mode": mode}

    def branches(self, depth: int, inside: list[str]) -> dict[str, Node]:
        made: dict[str, Node] = {}
        outer = self.outer
        for index in range(self.random.randint(0 if self.chance(0.1) else 1, 3)):
            nodes = self.scope(depth + 1)
            inside += nodes
            self.outer = [*self.outer, *nodes]
            made[f"b{index}"] = {"name": "branch", "tasks": nodes}
        self.outer = outer
        return made

    def parallel(self, depth: int, inside: list[str]) -> Node:
        node = {**self.node("parallel", "p"), "branch_workflows": self.branches(depth, inside)}
        if not self.is_steady and self.chance(0.3):
            node["timeout"] = 12
        return node

    def fork(self, depth: int, inside: list[str]) -> list[Node]:
        fork = {**self.node("parallel", "p"), "branch_workflows": self.branches(depth, inside)}
        fork["result_key"] = f"data_{fork['task_id']}"
        join = {**self.node("task", "q"), "function": "tools.workflow.wait_for_parallel_branches"}
        join |= {"args": [f"{{{{{fork['result_key']}}}}}"]}
        if self.chance(0.8):
            join["dependencies"] = [fork["task_id"]]
        if not self.is_steady and self.chance(0.4):
            join["kwargs"] = {"timeout_seconds": 8}
        return [fork, join]

    def multi_choice(self, depth: int, inside: list[str]) -> Node:
        node = {**self.node("multi_choice", "m"), "branch_workflows": self.branches(depth, inside)}
        node["branches"] = {name: {"condition": self.random.choice(CONDITIONS)} for name in node["branch_workflows"]}
        node["minimum_branches"] = self.random.choice((0, 0, 1))
        return node

    def foreach(self, depth: int) -> Node:
        items = self.random.choice(("[1, 2, 3]", "range(2)", "{{list}}", "list", "[]", "{{nope}}"))
        body = list(self.scope(depth + 1).values())
        return {**self.node("foreach", "l"), "items": items, "parallel": self.chance(0.5), "loop_body": body}

    def while_(self, depth: int) -> Node:
        body = list(self.scope(depth + 1).values())
        condition = self.random.choice(("iteration < 2", "{{iteration}} < 3", "false"))
        return {**self.node("while", "r"), "condition": condition, "loop_body": body}

    def submitted(self) -> list[Node]:
        activity = {**self.node("activity", "a"), "function": "f"}
        activity["result_key"] = f"key_{activity['task_id']}"
        if self.chance(0.3):
            activity["retry_policy"] = {"max_retries": 1, "delay": 2}
        wait = {**self.node("wait_for_event", "v"), "event_name": f"{{{{{activity['result_key']}.completion_event}}}}"}
        wait["dependencies"] = [activity["task_id"]]
        return [activity, wait]

    def terminate(self) -> Node:
        if self.chance(0.7):
            return self.work(self.name("t"))
        return {**self.node("terminate", "x"), "status": self.random.choice(("completed", "failed", "cancelled"))}
