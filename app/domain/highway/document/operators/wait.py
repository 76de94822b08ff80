"""Steps that wait for a moment."""

from app.domain.highway.document.checks_of_expressions import check_wait
from app.domain.highway.document.forms import COMMON, Form

FORM = Form(members=COMMON | {"wait_for": check_wait}, required={"wait_for": "bad_duration"})
