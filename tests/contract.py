"""Checks answers against the OpenAPI document."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from app.dashboard.screens import SCREENS

TEXTS = frozenset({"text/plain", "application/yaml", "text/vnd.mermaid", "text/event-stream"})
"""What is answered instead of JSON to those who ask for it."""
NAMES = frozenset({"/v1/workflows/validate", "/v1/workflows/simulate"})
"""Addresses of operations that are those of workflows, too, for methods that the operations do not take."""
PLAIN_PATHS = re.compile(rf"/|/problems(/.*)?|/docs(/.*)?|/openapi.json|/assets/.*|/({'|'.join(SCREENS)})(/.*)?")


class Contract:
    """What the OpenAPI document promises about every answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = [
            (re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path))), path) for path in document["paths"]
        ]
        self._validator = cache(self._make_validator)

    async def check(self, response: httpx.Response) -> None:
        """Fail unless the document allows this answer."""
        await response.aread()
        operation = self._find(response.request)
        if operation is None:
            assert response.status_code in (404, 405) or PLAIN_PATHS.fullmatch(response.request.url.path), response
            return
        path, method = operation
        promised = self._document["paths"][path][method]["responses"]
        status = str(response.status_code)
        assert status in promised, f"{method} {path} answered {status}, which is not documented: {response.text}"
        content = promised[status].get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.request.method == "HEAD":
            assert not response.content, f"{method} {path} answered HEAD with a body"
        if kind in TEXTS:
            return
        assert kind in content or (not content and not response.content), f"{method} {path} {status} sent {kind}"
        if response.content:
            self._validator(path, method, status, kind).validate(response.json())

    def _find(self, request: httpx.Request) -> tuple[str, str] | None:
        raw = request.url.raw_path.decode().partition("?")[0]
        method = request.method.lower().replace("head", "get")
        spelt_out = raw in self._document["paths"] and (method in self._document["paths"][raw] or raw not in NAMES)
        candidates = [raw] if spelt_out else [path for pattern, path in self._paths if pattern.fullmatch(raw)]
        for path in sorted(candidates, key=lambda path: path.count("{")):
            if method in self._document["paths"][path]:
                return path, method
        return None

    def _make_validator(self, path: str, method: str, status: str, kind: str) -> Any:
        schema = self._document["paths"][path][method]["responses"][status]["content"][kind]["schema"]
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": self._document["components"]}, validate_formats=True
        )
