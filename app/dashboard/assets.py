"""The built files of the page, read once: their names change with what is in them."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

BUILT = Path(__file__).with_name("built")
"""What `npm run build` writes in `web/`."""
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_PACKED = {"br": ".br", "gzip": ".gz"}
"""By the name of a coding, what the name of a file packed by it ends with: those that pack better first."""


class Asset(NamedTuple):
    """A file of the page."""

    media_type: str
    bodies: Mapping[str, bytes]
    """What is sent, by its coding; `identity` as it is."""

    def body_for(self, accepted: str) -> tuple[str, bytes]:
        """Return the coding, and what is sent to whom sent this `Accept-Encoding`."""
        codings = accepted_codings(accepted)
        coding = next((name for name in _PACKED if name in codings and name in self.bodies), "identity")
        return coding, self.bodies[coding]


class Document(NamedTuple):
    """The page itself, which every screen begins with."""

    text: str
    etag: str


def accepted_codings(accepted: str) -> frozenset[str]:
    """Return the codings that an `Accept-Encoding` names, without those that it refuses."""
    named = [part.partition(";") for part in accepted.lower().split(",")]
    refused = ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return frozenset(name.strip() for name, _, weight in named if weight.replace(" ", "") not in refused)


@lru_cache(maxsize=1)
def read_document() -> Document:
    """Return the page."""
    text = (BUILT / "index.html").read_text()
    return Document(text, f'"{sha256(text.encode()).hexdigest()[:16]}"')


@lru_cache(maxsize=1)
def read_assets() -> Mapping[str, Asset]:
    """Return what the page loads, by name."""
    return {path.name: _read_asset(path) for path in sorted((BUILT / "assets").iterdir()) if path.suffix in TYPES}


def _read_asset(path: Path) -> Asset:
    packed = {coding: path.with_name(path.name + ending) for coding, ending in _PACKED.items()}
    bodies = {coding: file.read_bytes() for coding, file in packed.items() if file.exists()}
    return Asset(TYPES[path.suffix], bodies | {"identity": path.read_bytes()})
