"""Loops that go on while a condition holds."""

from app.domain.highway.document.checks_of_expressions import check_condition
from app.domain.highway.document.checks_of_values import check_anything
from app.domain.highway.document.forms import COMMON, Form, Inside

FORM = Form(
    members=COMMON | {"condition": check_condition, "loop_body": check_anything},
    required={"condition": "bad_condition"},
    inside=Inside.iterations,
    is_named_outside=True,
)
