"""Reading request bodies: JSON, or YAML where it is taken, of bounded size, without what Postgres cannot hold."""

import asyncio
import json
import re
from typing import Any

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from app.domain.highway.document import texts
from app.domain.highway.document.texts import DocumentUnreadable
from app.domain.json_names import find_repeated_name
from app.domain.json_values import DEPTH_MOST, find_unstorable
from app.errors import NotJson, NotYaml, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from app.execution.examination import SentDocument
from app.execution.threads import EXAMINING
from app.services.workflows import YAML

JSON = "application/json"
JSON_TYPES = frozenset({JSON, "application/merge-patch+json"})
YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml"})
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|(?:^|[\[,:\s])-?\d[\d.]*[eE]\+?\d{3}|\d{200}")
"""What every text has that could hold a NUL, half a surrogate pair or a number too large for a float.

With an exponent of two digits a number needs more than 200 others to reach 1e308.
"""
_EXPONENT = re.compile(rb"[eE]\+?\d{3}")
_DIGITS = b"0123456789"


_LARGE_BYTES = 65_536
"""What is larger is read beside the event loop: everybody else's requests go on meanwhile."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonRequest(Request):
    """A request whose body was read and parsed before the endpoint sees it."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self.value = value
        """The parsed body; None when there was none."""

    async def json(self) -> Any:
        """Return the parsed body."""
        return self.value


class DocumentRequest(JsonRequest):
    """A request whose body is a workflow definition."""

    def __init__(self, request: Request, body: bytes, document: SentDocument) -> None:
        super().__init__(request, body, document.value)
        self.document = document


async def read_json(request: Request, most_bytes: int) -> JsonRequest:
    """Return ``request`` with its body parsed.

    Raises NotJson, PayloadTooLarge, UnsupportedMediaType, ValidationFailed.
    """
    body = await _read_body(request, most_bytes)
    if not body:
        return JsonRequest(request, body, None)
    media_type = _media_type_of(request)
    if media_type not in JSON_TYPES:
        raise UnsupportedMediaType(
            f"the body is announced as {media_type or 'nothing'}; send application/json, with curl by --json"
        )
    value = parse_json(body) if len(body) <= _LARGE_BYTES else await asyncio.to_thread(parse_json, body)
    if value is None:
        raise ValidationFailed.at("", "must be an object; null is not the same as no body")
    return JsonRequest(request, body, value)


async def read_document(request: Request, most_bytes: int) -> DocumentRequest:
    """Return ``request`` with the workflow definition that it brings, YAML or JSON.

    Raises NotJson, NotYaml, PayloadTooLarge, UnsupportedMediaType, ValidationFailed.
    """
    body = await _read_body(request, most_bytes)
    if not body:
        raise ValidationFailed.at("", "is required: a workflow definition, as YAML or JSON")
    media_type = _media_type_of(request)
    if media_type in YAML_TYPES:
        document = await EXAMINING.run(_parse_yaml, body)
    elif media_type == JSON:
        document = await EXAMINING.run(_parse_json_document, body)
    else:
        raise UnsupportedMediaType(
            f"the body is announced as {media_type or 'nothing'}; send application/yaml or application/json"
        )
    return DocumentRequest(request, body, document)


def _parse_yaml(body: bytes) -> SentDocument:
    try:
        text = body.decode()
        return SentDocument(texts.read_yaml(text), text, YAML)
    except UnicodeDecodeError as error:
        raise NotYaml(f"the text is not UTF-8: {error.reason} at byte {error.start}") from None
    except DocumentUnreadable as error:
        raise NotYaml(str(error)) from None


def _parse_json_document(body: bytes) -> SentDocument:
    """Return a document in which no name stands twice in an object: one of two steps would be lost unnoticed."""
    value = parse_json(body)
    text = body.decode()
    try:
        texts.read_json(text)
    except DocumentUnreadable as error:
        raise ValidationFailed.at("", str(error)) from None
    return SentDocument(value, text, JSON)


def _media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_body(request: Request, most_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    chunks = []
    left = most_bytes
    is_over = False
    while not is_over:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        left -= len(chunks[-1])
        if left < 0:
            raise _too_large(most_bytes)
        is_over = not message.get("more_body", False)
    return b"".join(chunks)


def _too_large(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"at most {most_bytes} bytes are taken")


def parse_json(body: bytes) -> Any:
    """Return the JSON value of ``body``. Raises NotJson, ValidationFailed."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise _explain(body, str(error)) from None
    if _is_suspicious(body) or not _is_shallow(body):
        _refuse_unstorable(value)
    if (pointer := find_repeated_name(body, value)) is not None:
        raise ValidationFailed.at(pointer, "stands twice in this object")
    return value


def _is_suspicious(body: bytes) -> bool:
    """Return whether ``body`` is `_SUSPICIOUS`; what nearly none has is looked for first, for that costs a fifth.

    Two hundred digits in a row cover one of the places that are two hundred apart.
    """
    places = body[199::200]
    may_be = b"\\u" in body or len(places.translate(None, _DIGITS)) < len(places) or _EXPONENT.search(body)
    return bool(may_be and _SUSPICIOUS.search(body))


def _is_shallow(body: bytes) -> bool:
    """Return whether the brackets of ``body`` are certainly not nested too deep; those in texts may hide it."""
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(DEPTH_MOST):
        if not brackets:
            return True
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return not brackets


def _explain(body: bytes, reason: str) -> Exception:
    """Return why ``body`` was not read: it is not JSON, or it is JSON that cannot be stored."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        return ValidationFailed.at("", f"is nested deeper than {DEPTH_MOST} levels")
    except (json.JSONDecodeError, UnicodeDecodeError):
        return NotJson(reason)
    except ValueError:
        return ValidationFailed.at("", "holds a number with too many digits to be kept")
    try:
        _refuse_unstorable(value)
    except ValidationFailed as refusal:
        return refusal
    return NotJson(reason)


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


def _refuse_unstorable(value: Any) -> None:
    if found := find_unstorable(value):
        raise ValidationFailed.at(*found)
