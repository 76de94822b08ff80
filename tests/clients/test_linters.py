"""The linters of OpenAPI documents have nothing to say."""

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from openapi_spec_validator.readers import read_from_filename

from tests.clients.node import run_tool

REDOCLY = "extends: [recommended-strict]\nrules:\n  operation-4xx-response: off  # probes cannot be asked wrongly\n"


class TestLinters:
    def test_document_is_valid_openapi(self, document: Path) -> None:
        spec, _ = read_from_filename(str(document))
        validate(spec, cls=OpenAPIV31SpecValidator)

    def test_spectral_finds_nothing(self, document: Path, tmp_path: Path) -> None:
        ruleset = tmp_path / "spectral.yaml"
        ruleset.write_text('extends: ["spectral:oas"]\n')
        found = run_tool("spectral", "lint", document, "--ruleset", ruleset, "--fail-severity", "hint", cwd=tmp_path)
        assert found.startswith("No results")

    def test_redocly_finds_nothing(self, document: Path, tmp_path: Path) -> None:
        (tmp_path / "redocly.yaml").write_text(REDOCLY)
        run_tool("redocly", "lint", document, "--config", "redocly.yaml", cwd=tmp_path)
