"""Joins: steps that end by how others have ended."""

from app.domain.highway.document.checks_of_values import check_texts, one_of
from app.domain.highway.document.forms import COMMON, Form
from app.domain.highway.language.rules import JoinMode

FORM = Form(
    members=COMMON | {"join_tasks": check_texts, "join_mode": one_of(*JoinMode)},
    required={"join_tasks": "bad_value"},
    joins="join_tasks",
)
