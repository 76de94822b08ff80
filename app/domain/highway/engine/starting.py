"""How each kind of step starts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.domain.highway.engine.effects import Awaiting, Child, RunEnd
from app.domain.highway.engine.looping import Looping
from app.domain.highway.engine.rules import judge_join
from app.domain.highway.engine.sizes import is_too_large, size_of, too_large
from app.domain.highway.engine.state import Emitted, StepState
from app.domain.highway.engine.stepping import whole_number
from app.domain.highway.engine.working import DROPPED
from app.domain.highway.language.conditions import evaluate
from app.domain.highway.language.durations import DurationError, parse_wait
from app.domain.highway.language.guards import failed_guard
from app.domain.highway.language.operators import JoinMode, Operator
from app.domain.highway.language.paths import scope_of
from app.domain.highway.language.storable_values import ACTIVITY_EVENT, UnstorableError, read_event_name
from app.schemas.steps import StepStatus
from app.schemas.workflow_runs import RunStatus


class Starting(Looping):
    """The operators."""

    def start(self, state: StepState) -> None:
        """Start a step whose time has come, unless a precondition of it does not hold."""
        with self.within_budget(state):
            if not self._is_kept_out(state):
                self._starters()[state.operator](state)

    def _is_kept_out(self, state: StepState) -> bool:
        """Fail a step one of whose preconditions does not hold; whether it was."""
        guards = self.step_of(state).spec.get("preconditions")
        message = failed_guard(guards, self.names(state)) if guards else None
        if message is not None:
            self.fail(state, {"name": "PreconditionFailed", "message": message})
        return message is not None

    def _starters(self) -> Mapping[Operator, Callable[[StepState], None]]:
        return {
            Operator.task: self._start_task,
            Operator.activity: self.start_work,
            Operator.reflexive: self.start_work,
            Operator.condition: self._start_condition,
            Operator.switch: self._start_switch,
            Operator.wait: self._start_wait,
            Operator.emit_event: self._start_emit,
            Operator.wait_for_event: self._start_await,
            Operator.parallel: self.start_parallel,
            Operator.multi_choice: self.start_multi_choice,
            Operator.foreach: self.start_foreach,
            Operator.while_: self.start_while,
            Operator.child_workflow: self._start_children,
            Operator.terminate: self._terminate,
        }

    def _start_task(self, state: StepState) -> None:
        if self.step_of(state).waits_for_branches:
            self.start_wait_for_branches(state)
        else:
            self.start_work(state)

    # Choosing

    def _start_condition(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        value = evaluate(spec["condition"], self.names(state))
        self._choose(state, spec.get("if_true" if value else "if_false"), value)

    def _start_switch(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        work = self.resolve_work(state, {"switch_on": spec["switch_on"]})
        if work is None:
            return
        value = work["switch_on"]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        cases: Mapping[str, str] = spec.get("cases", {})
        self._choose(state, cases.get(text, spec.get("default")), text)

    def _choose(self, state: StepState, target: str | None, value: Any) -> None:
        chosen = None if target is None else self.step_of(state).targets[target]
        self.complete(self.mark_started(state), value, chosen=chosen)

    # Waiting

    def _start_wait(self, state: StepState) -> None:
        work = self.resolve_work(state, {"wait_for": self.step_of(state).spec["wait_for"]})
        if work is None:
            return
        try:
            wakes_at = parse_wait(work["wait_for"], self.now)
        except DurationError as failure:
            self.fail(state, {"name": "BadDuration", "message": str(failure)})
            return
        if wakes_at <= self.now:
            self.complete(self.mark_started(state))
            return
        self.effects.timers.append((state.path, whole_number((wakes_at - self.now).total_seconds())))
        self.mark_started(state, due_at=wakes_at)

    def _start_emit(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        work = self.resolve_work(state, {"event_name": spec["event_name"], "payload": spec.get("payload", {})})
        event = None if work is None else self._read_event_name(state, work["event_name"])
        if work is None or event is None:
            return
        self.complete(self.mark_started(state), {"event": event})
        if self.current(state).status is StepStatus.completed:
            self.emit(event, work["payload"])

    def _start_await(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        work = self.resolve_work(state, {"event_name": spec["event_name"]})
        event = None if work is None else self._read_event_name(state, work["event_name"])
        if event is None:
            return
        if event.startswith(ACTIVITY_EVENT) and self._take_report(state, event):
            return
        emitted = self.draft.event(event)
        if emitted is not None and self._counts(spec, emitted):
            self.complete(self.mark_started(state), {"event": event, "payload": emitted.payload})
            return
        timeout = spec.get("timeout_seconds")
        self.effects.awaiting.append(Awaiting(state.path, event, timeout))
        self.mark_started(state, awaits=event, due_at=None if timeout is None else self.after(timeout))

    def _read_event_name(self, state: StepState, value: Any) -> str | None:
        """Return the event that a step means; None, and the step fails, if none can be called like that."""
        try:
            return read_event_name(value)
        except UnstorableError as failure:
            self.fail(state, failure.error)
            return None

    def _counts(self, spec: Mapping[str, Any], emitted: Emitted) -> bool:
        """Return whether a wait accepts an event that was emitted before it began."""
        began = self.draft.run.started_at
        return spec.get("metadata", {}).get("after") != "run" or began is None or emitted.at >= began

    def _take_report(self, state: StepState, event: str) -> bool:
        """End a wait for an activity that has been reported already; whether it has been."""
        path = event.removeprefix(ACTIVITY_EVENT)
        activity = self.draft.find(scope_of(path), path)
        match None if activity is None else activity.facts.get("submitted"):
            case "done":
                payload = activity and activity.facts.get("report")
                self.complete(self.mark_started(state), {"event": event, "payload": payload})
            case "failed":
                self.fail(self.mark_started(state), activity and activity.facts.get("report"))
            case "dropped":
                self.fail(self.mark_started(state), DROPPED)
            case _:
                return False
        return True

    def judge(self, state: StepState) -> None:
        """End a join whose dependencies are resolved, if the steps that it joins say so."""
        step = self.step_of(state)
        joined = [self.standing(state, need) for need in step.joins]
        match judge_join(JoinMode(step.spec.get("join_mode", JoinMode.all_of)), joined):
            case None:
                pass
            case StepStatus.completed:
                with self.within_budget(state):
                    if not self._is_kept_out(state):
                        self.complete(state)
            case StepStatus.failed:
                self.fail(state, {"name": "JoinFailed", "message": "a step that is joined did not succeed"})
            case status:
                self.set_aside(state, status)

    # Other runs

    def _start_children(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        children: Mapping[str, Any] = spec.get("children", {})
        inputs = self.resolve_work(state, {name: child.get("inputs") or {} for name, child in children.items()})
        if inputs is None:
            return
        started = self.mark_started(state, facts={**state.facts, "open": len(children), "children": {}})
        if not children:
            self.complete(started, {})
            return
        for name, child in children.items():
            self.effects.children.append(Child(state.path, name, child["workflow_name"], inputs[name]))
        if (timeout := spec.get("timeout_seconds")) is not None:
            self.draft.put(replace(started, due_at=self.after(timeout)))

    def _terminate(self, state: StepState) -> None:
        spec = self.step_of(state).spec
        work = self.resolve_work(state, {"result": spec.get("result", {})})
        if work is None:
            return
        result = work["result"]
        if is_too_large(size_of(result)):
            self.fail(self.mark_started(state), too_large("the parts of the result"))
            return
        self.succeed(self.mark_started(state), result)
        status = RunStatus(spec.get("status", "completed"))
        reason = spec.get("reason") or None
        error = {"name": "Terminated", "message": reason or f"terminated by {state.path}"}
        self.end_run(RunEnd(status, result, None if status is RunStatus.completed else error, "terminated"))

    def end_run(self, end: RunEnd) -> None:
        """End the run at once: what is open is cancelled or skipped."""
        self.forget()
        for state in self.draft.open_below(""):
            self.drop(state)
        self.finish_run(end)

    def finish_run(self, end: RunEnd) -> None:
        """Note that the run has ended."""
        self.effects.run = end
        self.draft.change_run(status=end.status, deadline_at=None)
