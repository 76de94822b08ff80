"""Steps that end the run."""

from app.domain.highway.document.checks_of_values import check_object, check_text, one_of
from app.domain.highway.document.forms import COMMON, Form

FORM = Form(
    members=COMMON
    | {"status": one_of("completed", "failed", "cancelled"), "result": check_object, "reason": check_text},
)
