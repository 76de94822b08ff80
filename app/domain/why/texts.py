"""How moments, amounts and whole explanations stand in sentences."""

from datetime import datetime

from app.domain.json_texts import write_json
from app.domain.text_tables import write_cell
from milepost.schemas.why import Explanation, WhyReason


def at(moment: datetime) -> str:
    """Return a moment to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def many(count: int, noun: str) -> str:
    """Return how many of something there are."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def write_explanation(explanation: Explanation) -> str:
    """Return an explanation as lines that a person reads: the summary, then each reason with what would change it."""
    lines = [explanation.summary, ""]
    for number, reason in enumerate(explanation.reasons, 1):
        lines += [f"{number}. {_capital(reason.text)}. [{reason.code}]", *_fix_lines(reason)]
    if explanation.more:
        lines.append(f"... and {explanation.more} more")
    return "".join(write_cell(line) + "\n" for line in lines)


def _fix_lines(reason: WhyReason) -> list[str]:
    fix = reason.fix
    return [] if fix is None else [f"   to change it: {fix.method} {fix.path} {write_json(fix.body).decode()}"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
