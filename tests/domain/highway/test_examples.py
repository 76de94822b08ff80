"""The examples of the specification: definitions with scripts and what they cause."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.highway.compiler.compilation import compile_document
from app.domain.highway.document.checks import check_form
from app.domain.highway.document.texts import read_yaml
from app.domain.highway.simulation import simulate

EXAMPLES = Path(__file__).parent / "examples"
REGISTERED = json.loads((EXAMPLES / "REGISTER.expect.json").read_text())
SCENARIOS = [
    pytest.param(played["workflow"], scenario, id=f"{path.name.split('.')[0]}: {scenario['name']}")
    for path in sorted(EXAMPLES.glob("*.expect.json"))
    if (played := json.loads(path.read_text())).get("scenarios")
    for scenario in played["scenarios"]
]


def _read(name: str) -> Any:
    return read_yaml((EXAMPLES / name).read_text())


def _in_order(value: Any) -> Any:
    """Return a trace with all lists in one order, since the order says nothing."""
    if isinstance(value, dict):
        return {name: _in_order(member) for name, member in value.items()}
    if isinstance(value, list):
        return sorted((_in_order(member) for member in value), key=lambda member: json.dumps(member, sort_keys=True))
    return value


class TestExamples:
    @pytest.mark.parametrize(("definition", "scenario"), SCENARIOS)
    def test_script_causes_what_is_expected(self, definition: str, scenario: dict[str, Any]) -> None:
        plan = compile_document(_read(definition)).plan
        script = [{name: value for name, value in step.items() if name != "then"} for step in scenario["steps"]]
        played = json.loads(json.dumps(simulate(plan, script, scenario.get("inputs"), scenario.get("run"))))
        assert _in_order([step["then"] for step in played["steps"]]) == _in_order(
            [step["then"] for step in scenario["steps"]]
        )
        assert played["final"] == scenario["final"]

    @pytest.mark.parametrize("name", sorted(REGISTERED))
    def test_registration_finds_what_is_expected(self, name: str) -> None:
        document = _read(f"{name}.yaml")
        compiled = compile_document(document)
        assert check_form(document) == []
        found = {"errors": compiled.errors, "warnings": compiled.warnings}
        for kind, findings in found.items():
            expected = [finding["code"] for finding in _told_once(REGISTERED[name][kind])]
            assert sorted(finding.code for finding in findings) == sorted(expected)


def _told_once(findings: Sequence[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Yield what is expected but for what is said again of the copies of loop bodies: each is told once."""
    places = [finding["at"] for finding in findings]
    return (finding for finding in findings if not any(place.endswith(f"[].{finding['at']}") for place in places))
