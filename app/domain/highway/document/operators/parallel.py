"""Steps all branches of which begin at once."""

from app.domain.highway.document.checks_of_values import (
    check_anything,
    check_seconds,
    check_step_id,
    check_texts,
    object_of,
)
from app.domain.highway.document.forms import COMMON, Bond, Form, Inside, texts_in

FORM = Form(
    members=COMMON
    | {
        "branches": object_of(check_texts, "lists of task ids", check_step_id),
        "branch_workflows": check_anything,
        "timeout": check_seconds,
    },
    inside=Inside.branches,
    takes_from_beside=True,
    repair_branch=texts_in,
    offers=Bond.branches,
)
