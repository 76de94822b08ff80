"""Links of workflow runs on the wire."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from typing_extensions import TypeAliasType

from milepost.schemas.wire import Answer, Body

LINKS_MOST = 50
LINK_NAME_MAX_LENGTH = 100
URL_MAX_LENGTH = 2000


def _check_url(url: str) -> str:
    """Return ``url`` if a browser may follow it without running anything. Raises ValueError."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        is_whole = is_whole and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or not url.isprintable() or any(sign.isspace() or sign == "\\" for sign in url):
        raise ValueError("must be a whole http or https URL, such as https://example.com/report")
    return url


Url = Annotated[str, Field(max_length=URL_MAX_LENGTH), AfterValidator(_check_url)]


class LinkPut(Body):
    """Where a link leads."""

    url: Url = Field(description="http or https.", examples=["https://grafana.example.com/d/etl"])
    title: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="What a person reads.")


class RunLink(Answer):
    """Where a link of a workflow run leads."""

    url: str = Field(examples=["https://grafana.example.com/d/etl"])
    title: str | None = Field(examples=["Dashboard"])


Links = TypeAliasType("Links", Annotated[dict[str, RunLink], Field(description="Where a person finds more, by name.")])


class Link(RunLink):
    """A link of a workflow run, as it was put."""

    name: str = Field(examples=["dashboard"])
    revision: int
    """Of the run then; its `ETag`."""
