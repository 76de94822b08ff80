from typing import Any

import pytest

from app.domain.highway.document.checks import check_form
from tests.domain.highway.built_workflows import Document, define, define_step, found_in


class TestMembersOfSteps:
    @pytest.mark.parametrize("operator", [None, "", "try_catch", "Task", 1, [], {}])
    def test_an_operator_is_one_of_fifteen(self, operator: Any) -> None:
        assert found_in(define_step(operator)) == [("unknown_operator", "/tasks/s/operator_type")]

    def test_what_all_steps_have_is_checked_without_a_known_operator_too(self) -> None:
        assert found_in(define_step("try_catch", dependencies=1, foo=1))[1:] == [("bad_value", "/tasks/s/dependencies")]

    @pytest.mark.parametrize("operator", ["task", "activity"])
    @pytest.mark.parametrize("members", [{}, {"function": None}, {"function": ""}, {"function": " "}])
    def test_work_needs_a_function(self, operator: str, members: Document) -> None:
        assert found_in(define_step(operator, **members)) == [("missing_function", "/tasks/s/function")]

    @pytest.mark.parametrize(
        ("operator", "code", "member"),
        [
            ("condition", "bad_condition", "condition"),
            ("while", "bad_condition", "condition"),
            ("wait", "bad_duration", "wait_for"),
            ("foreach", "bad_value", "items"),
            ("switch", "bad_value", "switch_on"),
            ("join", "bad_value", "join_tasks"),
            ("emit_event", "bad_value", "event_name"),
            ("wait_for_event", "bad_value", "event_name"),
            ("multi_choice", "bad_value", "branches"),
        ],
    )
    def test_what_an_operator_cannot_do_without_is_found(self, operator: str, code: str, member: str) -> None:
        assert found_in(define_step(operator)) == [(code, f"/tasks/s/{member}")]

    def test_a_reflexive_step_needs_both_functions(self) -> None:
        pointers = ["/tasks/s/generator", "/tasks/s/verifier"]
        assert found_in(define_step("reflexive")) == [("bad_value", pointer) for pointer in pointers]

    @pytest.mark.parametrize("operator", ["parallel", "child_workflow", "terminate"])
    def test_some_need_nothing(self, operator: str) -> None:
        assert check_form(define_step(operator)) == []

    @pytest.mark.parametrize(
        ("member", "value", "place"),
        [
            ("function", 1, ""),
            ("args", {}, ""),
            ("kwargs", [], ""),
            ("dependencies", "a", ""),
            ("dependencies", ["a", 1], "/1"),
            ("trigger_rule", "any", ""),
            ("trigger_rule", ["all_success"], ""),
            ("idempotency_key", "", ""),
            ("result_key", 1, ""),
            ("metadata", [], ""),
            ("description", 1, ""),
            ("on_success_task_id", [], ""),
            ("is_internal_loop_task", "no", ""),
            ("wait_for", 1, ""),
            ("retry_policy", [], ""),
            ("retry_policy", {"max_retries": -1}, "/max_retries"),
            ("retry_policy", {"max_retries": 1.5}, "/max_retries"),
            ("retry_policy", {"max_retries": 10_000}, "/max_retries"),
            ("retry_policy", {"backoff_factor": 0}, "/backoff_factor"),
            ("retry_policy", {"backoff_factor": float("nan")}, "/backoff_factor"),
            ("retry_policy", {"backoff_factor": True}, "/backoff_factor"),
            ("retry_policy", {"jitter": 1}, "/jitter"),
            ("timeout_policy", 5, ""),
            ("timeout_policy", {"timeout": "PT5S", "kill_on_timeout": 1}, "/kill_on_timeout"),
            ("circuit_breaker_policy", {"failure_threshold": 0}, "/failure_threshold"),
            ("circuit_breaker_policy", {"success_threshold": "2"}, "/success_threshold"),
            ("circuit_breaker_policy", {"catch_exceptions": "OSError"}, "/catch_exceptions"),
            ("circuit_breaker_policy", {"ignore_exceptions": [1]}, "/ignore_exceptions/0"),
            ("preconditions", {}, ""),
            ("preconditions", [1], "/0"),
        ],
    )
    def test_wrong_members_of_a_task_are_found(self, member: str, value: Any, place: str) -> None:
        assert found_in(define(s={member: value})) == [("bad_value", f"/tasks/s/{member}{place}")]

    @pytest.mark.parametrize(
        ("operator", "member", "value", "place"),
        [
            ("foreach", "items", [1], ""),
            ("foreach", "parallel", "yes", ""),
            ("foreach", "loop_body", {}, ""),
            ("foreach", "loop_body", [1], "/0"),
            ("switch", "cases", [], ""),
            ("switch", "cases", {"a": 1}, "/a"),
            ("switch", "cases", {"a": None}, "/a"),
            ("switch", "default", 1, ""),
            ("join", "join_tasks", "a", ""),
            ("join", "join_mode", "all", ""),
            ("emit_event", "event_name", " ", ""),
            ("emit_event", "payload", [], ""),
            ("wait_for_event", "timeout_seconds", 0, ""),
            ("wait_for_event", "timeout_seconds", "60", ""),
            ("parallel", "timeout", 0, ""),
            ("parallel", "branches", [], ""),
            ("parallel", "branches", {"a": "b"}, "/a"),
            ("parallel", "branches", {"a": [1]}, "/a/0"),
            ("parallel", "branch_workflows", [], ""),
            ("parallel", "branch_workflows", False, ""),
            ("parallel", "branch_workflows", {"a": None}, "/a"),
            ("multi_choice", "minimum_branches", -1, ""),
            ("multi_choice", "timeout", -5, ""),
            ("reflexive", "max_turns", 0, ""),
            ("reflexive", "max_turns", 11, ""),
            ("reflexive", "generator", "", ""),
            ("reflexive", "verifier_kwargs", [], ""),
            ("terminate", "status", "done", ""),
            ("terminate", "result", "x", ""),
            ("terminate", "reason", 1, ""),
            ("child_workflow", "timeout_seconds", 0, ""),
            ("child_workflow", "children", [], ""),
            ("child_workflow", "children", {"a": "other"}, "/a"),
            ("child_workflow", "children", {"a": {}}, "/a/workflow_name"),
            ("child_workflow", "children", {"a": {"workflow_name": "A b"}}, "/a/workflow_name"),
            ("child_workflow", "children", {"a": {"workflow_name": "b", "inputs": []}}, "/a/inputs"),
            ("child_workflow", "children", {"a": {"workflow_name": "b", "queue": "q"}}, "/a/queue"),
        ],
    )
    def test_wrong_members_of_other_steps_are_found(self, operator: str, member: str, value: Any, place: str) -> None:
        others: Document = {
            "foreach": {"items": "x"},
            "switch": {"switch_on": "x"},
            "join": {"join_tasks": ["a"]},
            "emit_event": {"event_name": "x"},
            "wait_for_event": {"event_name": "x"},
            "multi_choice": {"branches": {}},
            "reflexive": {"generator": "g", "verifier": "v"},
        }
        document = define_step(operator, **{**others.get(operator, {}), member: value})
        assert found_in(document) == [("bad_value", f"/tasks/s/{member}{place}")]


class TestConditions:
    @pytest.mark.parametrize("value", ["", "a ===", "a ==", "(a", 1, True, [], "__import__('os')"])
    def test_a_condition_follows_the_grammar(self, value: Any) -> None:
        for operator in ("condition", "while"):
            assert found_in(define_step(operator, condition=value)) == [("bad_condition", "/tasks/s/condition")]
        document = define_step(
            "multi_choice", branches={"a": {"condition": value}}, branch_workflows={"a": define(b={})}
        )
        assert found_in(document) == [("bad_condition", "/tasks/s/branches/a/condition")]

    def test_a_condition_may_have_one_arm_or_none(self) -> None:
        for arms in ({}, {"if_true": "a"}, {"if_false": "a"}, {"if_true": None, "if_false": None}):
            assert check_form(define_step("condition", condition="x > 1", **arms)) == []


class TestDurations:
    @pytest.mark.parametrize("value", ["PT", "PT-5S", "soon", "", True, [], {}, -1, "time:25:00", "2025-13-01"])
    def test_what_is_no_wait_is_found(self, value: Any) -> None:
        assert found_in(define_step("wait", wait_for=value)) == [("bad_duration", "/tasks/s/wait_for")]

    @pytest.mark.parametrize(
        "value", ["PT1.5H", "P2DT1H", 30, 0.5, "duration:90", "time:04:30", "2020-01-01T00:00:00", "{{delay}}", "PT0S"]
    )
    def test_waits_are_taken(self, value: Any) -> None:
        assert check_form(define_step("wait", wait_for=value)) == []

    @pytest.mark.parametrize(
        ("member", "value", "place"),
        [
            ("retry_policy", {"delay": "PT"}, "/delay"),
            ("retry_policy", {"delay": -5}, "/delay"),
            ("retry_policy", {"delay": True}, "/delay"),
            ("retry_policy", {"delay": "P20Y"}, "/delay"),
            ("timeout_policy", {}, "/timeout"),
            ("timeout_policy", {"timeout": "PT0S"}, "/timeout"),
            ("timeout_policy", {"timeout": "soon"}, "/timeout"),
            ("circuit_breaker_policy", {"isolation_duration": []}, "/isolation_duration"),
            ("circuit_breaker_policy", {"isolation_duration_seconds": -1}, "/isolation_duration_seconds"),
        ],
    )
    def test_wrong_durations_of_policies_are_found(self, member: str, value: Any, place: str) -> None:
        assert found_in(define(s={member: value})) == [("bad_duration", f"/tasks/s/{member}{place}")]


class TestGuards:
    @pytest.mark.parametrize(
        ("check", "value"),
        [
            ("exists", None),
            ("equals", None),
            ("in_range", [1, 2.5]),
            ("in_range", ["a", "b"]),
            ("in_range", ["1", 2]),
            ("in_range", ["{{low}}", 2]),
            ("in_set", []),
            ("in_set", [None, "a"]),
            ("matches_regex", r"^\p{Lu}+$"),
            ("matches_regex", "({{x}}"),
            ("type_check", "integer"),
            ("type_check", "String"),
        ],
    )
    def test_guards_are_taken(self, check: str, value: Any) -> None:
        guard = {"variable": "{{x}}", "check": check, "value": value, "message": ""}
        assert check_form(define(s={"preconditions": [guard], "postconditions": [guard]})) == []

    @pytest.mark.parametrize(
        ("check", "value"),
        [
            ("in_range", None),
            ("in_range", [1]),
            ("in_range", [1, "x"]),
            ("in_range", [True, 2]),
            ("in_range", [None, 2]),
            ("in_range", "1-2"),
            ("in_set", "a"),
            ("matches_regex", "("),
            ("matches_regex", 1),
            ("matches_regex", None),
            ("matches_regex", "(" * 400 + ")" * 400),
            ("matches_regex", "a" * 1001),
            ("type_check", "uuid"),
            ("type_check", ["str"]),
        ],
    )
    def test_a_value_must_fit_its_check(self, check: str, value: Any) -> None:
        guard = {"variable": "x", "check": check, "value": value}
        assert found_in(define(s={"postconditions": [guard]})) == [("bad_value", "/tasks/s/postconditions/0/value")]

    def test_variable_and_check_are_required(self) -> None:
        place = "/tasks/s/preconditions/0"
        assert found_in(define(s={"preconditions": [{}]})) == [
            ("bad_value", f"{place}/variable"),
            ("bad_value", f"{place}/check"),
        ]
        assert found_in(define(s={"preconditions": [{"variable": "x", "check": "is"}]})) == [
            ("bad_value", f"{place}/check")
        ]
