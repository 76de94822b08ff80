"""Activities: workers do them, and another step may wait for their report."""

from app.domain.highway.document.forms import CALL, COMMON, Bond, Form

FORM = Form(members=COMMON | CALL, required={"function": "missing_function"}, is_work=True, offers=Bond.report)
