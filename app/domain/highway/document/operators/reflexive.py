"""Reflexive steps: workers generate, verify and correct."""

from app.domain.highway.document.checks_of_values import check_filled_text, check_object, check_text, whole_number
from app.domain.highway.document.forms import COMMON, Form

_TURNS_MOST = 10

FORM = Form(
    members=COMMON
    | {
        "generator": check_filled_text,
        "generator_kwargs": check_object,
        "verifier": check_filled_text,
        "verifier_kwargs": check_object,
        "max_turns": whole_number(1, _TURNS_MOST),
        "correction_prompt_template": check_text,
    },
    required={"generator": "bad_value", "verifier": "bad_value"},
    is_work=True,
)
