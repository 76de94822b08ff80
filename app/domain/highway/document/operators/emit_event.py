"""Steps that emit an event."""

from app.domain.highway.document.checks_of_values import check_filled_text, check_object
from app.domain.highway.document.forms import COMMON, Form

FORM = Form(
    members=COMMON | {"event_name": check_filled_text, "payload": check_object},
    required={"event_name": "bad_value"},
    emits="event_name",
)
