"""Every operator is known wherever operators are."""

from app.domain.highway.document.checks_of_steps import FIELDS
from app.domain.highway.engine.operators.table import OPERATORS
from app.domain.highway.language.operators import FORKING, LOOPS, Operator


class TestOperators:
    def test_each_has_its_row_and_its_members(self) -> None:
        assert OPERATORS.keys() == set(Operator)
        assert FIELDS.keys() == set(Operator)

    def test_those_that_contain_steps_are_told_when_these_are_over(self) -> None:
        assert {name for name, phases in OPERATORS.items() if phases.end_inside is not None} == FORKING | LOOPS
