"""Heads of requests as bytes: where they end, and what is passed over in them."""

import re

from app.errors import HeadersTooLarge, MalformedRequest, Refusal, UriTooLong
from app.server.limits import Limits

LINE_END = b"\r\n"
END = b"\r\n\r\n"
"""What ends every head, and every chunked body."""
_UPGRADE = re.compile(rb"(?im)^upgrade:[^\r\n]*\r\n")
_METHOD_BEGINS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def check_part(part: bytes, limits: Limits) -> Refusal | None:
    """Return why the beginning of a head cannot become one that is taken; None while it can."""
    if part[0] not in _METHOD_BEGINS and part != b"\r":
        return MalformedRequest("this is not HTTP/1.1: a request begins with its method; TLS is not spoken here")
    if part.endswith(b"\n\n"):
        return MalformedRequest("lines end with CR LF")
    return check_size(part, limits)


def check_size(head: bytes, limits: Limits) -> Refusal | None:
    """Return why a head, or what has arrived of it, is too large; None when it is not."""
    if len(head) <= limits.request_line_bytes:
        return None
    if not 0 <= head.find(LINE_END) <= limits.request_line_bytes:
        return UriTooLong(f"at most {limits.request_line_bytes} bytes are taken as the first line of a request")
    if len(head) > limits.head_bytes:
        return HeadersTooLarge(f"at most {limits.head_bytes} bytes are taken before the body")
    return None


def without_upgrade(head: bytes) -> bytes:
    """Return ``head`` without its wish for another protocol: none is spoken here, and the parser would switch."""
    if b"upgrade" not in head.lower():
        return head
    return _UPGRADE.sub(b"", head)
