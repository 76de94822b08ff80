"""HEAD wherever GET is: the same request, answered by its headers alone."""

from starlette.types import Message, Scope, Send

_ASKS_FOR_HEAD = "milepost.asks_for_head"


def as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Return a HEAD request as the GET that it stands for, and a way to answer that drops the body.

    Source: RFC 9110, section 9.3.2.
    """

    async def send_head(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
        elif not message.get("more_body"):
            await send({"type": "http.response.body", "body": b""})

    return {**scope, "method": "GET", _ASKS_FOR_HEAD: True}, send_head


def asks_for_head(scope: Scope) -> bool:
    """Return whether only the headers are wanted: what would wait for something answers at once."""
    return _ASKS_FOR_HEAD in scope
