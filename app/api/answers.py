"""Building answers: JSON once, without a second validation, or a table for a terminal."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from app.access.idempotency import Reply
from app.domain.json_texts import write_json
from app.domain.preconditions import entity_tag
from app.domain.why.texts import write_explanation
from app.moves.leases import Answered
from milepost.schemas.why import Explanation

Model = TypeVar("Model", bound=BaseModel)


def answer(model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``model`` as JSON."""
    return Response(write_json(model), status, headers, "application/json")


def answer_revision(
    model: Any, *, request: Request | None = None, text: Callable[[Any], str] | None = None
) -> Response:
    """Return a resource that has a revision with its ETag: as JSON, or as ``text`` where that is asked for."""
    headers = {"ETag": entity_tag(model.revision)}
    if request and text:
        headers["Vary"] = "Accept"
        if prefers_text(request):
            return Response(text(model), headers=headers, media_type="text/plain")
    return answer(model, headers=headers)


def answer_put(model: Any, *, is_new: bool) -> Response:
    """Return what was put with the ETag of what it belongs to: 201 where there was none of its name before."""
    return answer(model, status=201 if is_new else 200, headers={"ETag": entity_tag(model.revision)})


def answer_plain(members: Mapping[str, Any], *, is_replayed: bool = False) -> Response:
    """Return plain values as JSON: for what is sent so often that making models of it would show."""
    headers = {"Idempotency-Replayed": "true"} if is_replayed else {}
    return Response(write_json(members), 200, headers, "application/json")


def answer_json(text: bytes, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return what has been written as JSON already, as what takes long to write is beside the event loop."""
    return Response(text, 200, headers, "application/json")


def answer_report(answered: Answered) -> Response:
    """Return what a report was answered, with the ETag where that is a resource which has a revision."""
    headers = {} if answered.revision is None else {"ETag": entity_tag(answered.revision)}
    return Response(answered.body, 200, headers, "application/json")


def answer_created(reply: Reply, location: str | None = None) -> Response:
    """Return what was created with 201, or with 200 what had been created by the same request before."""
    headers = {"Idempotency-Replayed": "true"} if reply.replayed else {}
    if location is not None:
        headers["Location"] = f"{location}/{reply.resource_id}"
        if not reply.known:
            headers["ETag"] = entity_tag(1)
    return Response(reply.body, 200 if reply.replayed or reply.known else 201, headers, "application/json")


def answer_registered(reply: Reply, address: str) -> Response:
    """Return what was created at ``address`` with 201, or with 200 what had been created there before."""
    headers = {"Location": address} | ({"Idempotency-Replayed": "true"} if reply.replayed else {})
    return Response(reply.body, 200 if reply.replayed or reply.known else 201, headers, "application/json")


def answer_queued(reply: Reply, location: str) -> Response:
    """Return what has begun with 202 and where it is found; with 200 what was only asked, or had begun before."""
    headers = {"Idempotency-Replayed": "true"} if reply.replayed else {}
    if reply.resource_id is not None:
        headers["Location"] = f"{location}/{reply.resource_id}"
    status = 200 if reply.replayed or reply.resource_id is None else 202
    return Response(reply.body, status, headers, "application/json")


def answer_started(reply: Reply, location: str) -> Response:
    """Return a run that has been started, with the ETag of how far it is already."""
    response = answer_registered(reply, f"{location}/{reply.resource_id}")
    response.headers["ETag"] = entity_tag(from_json(reply.body)["revision"])
    return response


def answer_verb(reply: Reply) -> Response:
    """Return a resource that a verb has changed, or with its key had changed before, with the ETag it had then."""
    headers = {"ETag": entity_tag(from_json(reply.body)["revision"])}
    headers |= {"Idempotency-Replayed": "true"} if reply.replayed else {}
    return Response(reply.body, 200, headers, "application/json")


def answer_page(request: Request, page: Any, table: Callable[[Any], str]) -> Response:
    """Return a page with a link to the next one: as JSON, or as ``table`` writes it where text is asked for."""
    headers = {"Vary": "Accept"}
    if page.next_cursor is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        query.append(("cursor", page.next_cursor))
        headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
    if prefers_text(request):
        return Response(table(page), headers=headers, media_type="text/plain")
    return answer(page, headers=headers)


def answer_explanation(request: Request, explanation: Explanation) -> Response:
    """Return reasons as JSON, in whose subjects stands what applies, or as sentences where text is asked for."""
    headers = {"Vary": "Accept"}
    if prefers_text(request):
        return Response(write_explanation(explanation), headers=headers, media_type="text/plain")
    return answer(explanation, headers=headers)


def prefers_text(request: Request) -> bool:
    """Return whether the caller asks for text and not for JSON. Source: RFC 9110, section 12.5.1."""
    return prefers(request, "text/plain")


def prefers(request: Request, *media_types: str) -> bool:
    """Return whether the caller asks for one of ``media_types`` and not for JSON."""
    accept = request.headers.get("accept", "")
    return max(_quality(accept, media_type) for media_type in media_types) > _quality(accept, "application/json")


def answer_text(text: str, media_type: str) -> Response:
    """Return a text to who asked for that and not for JSON."""
    return Response(text, headers={"Vary": "Accept"}, media_type=media_type)


def _quality(accept: str, media_type: str) -> float:
    """Return how much ``accept`` wants exactly ``media_type``, from 0 to 1."""
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name.lower() == media_type:
            weights = [piece[2:] for piece in parameters if piece.startswith("q=")]
            try:
                return float(weights[0]) if weights else 1.0
            except ValueError:
                return 0.0
    return 0.0
