"""How tags are found again."""

import pytest

from app.domain.tags import tag_texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        ("true", "true"),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (-1.5, "-1.5"),
        (2**80, str(2**80)),
    ],
)
def test_text_is_that_of_the_value(value: str | float, text: str) -> None:
    assert tag_texts({"k": value}) == {"k": text}


def test_no_tags_have_no_texts() -> None:
    assert tag_texts({}) is None
