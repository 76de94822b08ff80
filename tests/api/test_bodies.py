"""Reading bodies: what is looked for first finds all that is looked for."""

from hypothesis import given
from hypothesis import strategies as st

from app.api.bodies import _SUSPICIOUS, _is_suspicious

PARTS = st.lists(
    st.sampled_from([b"1", b"e", b"E", b"+", b"-", b".", b",", b"[", b"\\u", b"0000", b"d8", b"7" * 150, b"x" * 90]),
    max_size=12,
)


class TestIsSuspicious:
    @given(PARTS)
    def test_every_text_that_could_hold_what_cannot_be_kept_is_found(self, parts: list[bytes]) -> None:
        body = b"".join(parts)
        assert _is_suspicious(body) == bool(_SUSPICIOUS.search(body))

    @given(st.integers(0, 450), st.integers(195, 205))
    def test_long_number_is_found_wherever_it_begins(self, before: int, digits: int) -> None:
        assert _is_suspicious(b"x" * before + b"1" * digits) == (digits >= 200)
