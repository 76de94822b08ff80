"""Steps that wait for an event, or for the report of an activity."""

from app.domain.highway.document.checks_of_values import check_filled_text, check_seconds
from app.domain.highway.document.forms import COMMON, Bond, Form, Node
from app.domain.highway.language.expressions import names_read


def _read_activities(step: Node) -> list[str]:
    return names_read(step["event_name"], "completion_event")


FORM = Form(
    members=COMMON | {"event_name": check_filled_text, "timeout_seconds": check_seconds},
    required={"event_name": "bad_value"},
    awaits="event_name",
    bond=Bond.report,
    names_read=_read_activities,
)
