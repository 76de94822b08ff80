"""Loops over items, one after another or all beside each other."""

from app.domain.highway.document.checks_of_values import check_anything, check_filled_text, check_flag
from app.domain.highway.document.forms import COMMON, Form, Inside

FORM = Form(
    members=COMMON
    | {"items": check_filled_text, "loop_body": check_anything, "parallel": check_flag, "dynamic": check_flag},
    required={"items": "bad_value"},
    inside=Inside.iterations,
)
