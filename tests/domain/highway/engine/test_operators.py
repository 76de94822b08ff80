"""An operator is known by its files and its rows alone, wherever operators are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.highway.compiler.examination import examine_document
from app.domain.highway.compiler.graphs import make_graph
from app.domain.highway.document.checks_of_values import check_filled_text
from app.domain.highway.document.forms import COMMON, Form, Inside
from app.domain.highway.document.operators.table import FORMS
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.state import StepState
from app.domain.highway.engine.steps import complete, mark_started, resolve_work, run_out_of_time
from app.domain.highway.engine.turn import Phases, Turn
from app.domain.highway.simulation import simulate
from milepost.mermaid import write_mermaid
from tests.domain.highway.built_workflows import define, found_in
from tests.domain.highway.scripts import START

APP = Path(__file__).parents[4] / "app"
KNOWN = APP / "domain/highway"
TABLES = {KNOWN / room / "operators" for room in ("document", "engine")}
OWN_WORDS = {"task", "wait", "join"}
"""Also words of the service, which say nothing of operators outside of what knows definitions."""
EXCEPTIONS = {
    "domain/highway/document/operators/multi_choice.py": {"condition"},  # a member of its branches
    "domain/highway/engine/operators/multi_choice.py": {"condition"},
    "domain/highway/engine/rules.py": {"wait"},  # what a trigger rule comes to
    "domain/highway/simulation.py": {"task"},  # how scripts name a step
    "cli/demo/definitions.py": {"foreach", "parallel", "wait_for_event"},  # definitions, as callers write them
}


def names_in(path: Path) -> Iterator[str]:
    """Yield the operators that a file names in its texts, and those whose file it imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Constant(value=str(text)) if text in FORMS:
                yield text
            case ast.ImportFrom(module=str(module), names=names) if ".operators" in module:
                yield from (name.name for name in names if module.endswith(".operators"))
                yield from () if module.endswith((".operators", ".table")) else (module,)


def allowed_in(path: Path) -> set[str]:
    """Return the operators that a file may name: its own, or words that mean something else there."""
    if path.parent in TABLES:
        own = "while" if path.stem == "while_loop" else path.stem
        words = {own, *FORMS[own].members} if own in FORMS else set()
    else:
        words = set() if path.is_relative_to(KNOWN) or path.is_relative_to(APP / "execution") else OWN_WORDS
    return words | EXCEPTIONS.get(path.relative_to(APP).as_posix(), set())


def start_remark(turn: Turn, state: StepState) -> None:
    """Complete with what is said."""
    work = resolve_work(turn, state, {"text": turn.step_of(state).spec["text"]})
    if work is not None:
        complete(turn, mark_started(turn, state), work["text"])


REMARK_FORM = Form(members=COMMON | {"text": check_filled_text}, required={"text": "bad_value"})
REMARK_PHASES = Phases(start_remark, run_out_of_time, begin_anew)


@pytest.fixture
def remark(monkeypatch: pytest.MonkeyPatch) -> str:
    """Add an operator, by one row in each of the two tables."""
    monkeypatch.setitem(FORMS, "remark", REMARK_FORM)
    monkeypatch.setitem(OPERATORS, "remark", REMARK_PHASES)
    return "remark"


class TestOperators:
    def test_each_has_a_row_in_both_tables(self) -> None:
        assert list(FORMS) == list(OPERATORS)

    def test_those_that_contain_steps_are_told_when_these_are_over(self) -> None:
        containing = {name for name, form in FORMS.items() if form.inside is not Inside.nothing}
        assert {name for name, phases in OPERATORS.items() if phases.end_inside is not None} == containing

    def test_those_that_contain_iterations_take_turns(self) -> None:
        loops = {name for name, form in FORMS.items() if form.inside is Inside.iterations}
        assert {name for name, phases in OPERATORS.items() if phases.takes_turns} == loops

    def test_those_that_workers_do_say_what_is_to_be_done(self) -> None:
        work = {name for name, form in FORMS.items() if form.is_work}
        assert {name for name, phases in OPERATORS.items() if phases.assignment is not None} == work

    def test_those_that_contain_branches_repair_them(self) -> None:
        branching = {name for name, form in FORMS.items() if form.inside is Inside.branches}
        assert {name for name, form in FORMS.items() if form.repair_branch is not None} == branching

    def test_each_has_one_file_beside_each_table(self) -> None:
        for folder in TABLES:
            files = {path.stem for path in folder.glob("*.py")} - {"__init__", "table"}
            assert files == {"while_loop" if name == "while" else name for name in FORMS}

    def test_no_other_file_names_one(self) -> None:
        found = {
            path.relative_to(APP).as_posix(): names
            for path in APP.rglob("*.py")
            if path.name != "table.py" or path.parent not in TABLES
            if (names := set(names_in(path)) - allowed_in(path))
        }
        assert found == {}

    def test_exceptions_are_needed(self) -> None:
        assert all(words <= set(names_in(APP / path)) for path, words in EXCEPTIONS.items())


class TestOneMore:
    def test_its_members_are_checked(self, remark: str) -> None:
        assert found_in(define(r={"task_id": "r", "operator_type": remark})) == [("bad_value", "/tasks/r/text")]
        wrong = define(r={"task_id": "r", "operator_type": remark, "text": "x", "foo": 1})
        assert found_in(wrong) == [("bad_value", "/tasks/r/foo")]

    def test_it_is_compiled_drawn_and_done(self, remark: str) -> None:
        end = {"task_id": "end", "operator_type": "terminate", "dependencies": ["r"], "result": {"said": "{{r}}"}}
        document = define(r={"task_id": "r", "operator_type": remark, "text": "{{inputs.who}} was here"}, end=end)
        plan = examine_document(document).plan
        assert plan is not None
        assert '["r (remark)"]' in write_mermaid(make_graph(plan))
        assert simulate(plan, [START], {"who": "Ada"})["final"]["result"] == {"said": "Ada was here"}
