"""Calls about the service itself."""

from milepost.client.calls import Call, Operation, get
from milepost.schemas.operations import Health, Version


class OperationCalls:
    """Health, version and metrics."""

    @Operation
    def check_liveness(self) -> Call[Health]:
        """Return that the process answers."""
        return get("/livez", Health)

    @Operation
    def check_readiness(self) -> Call[Health]:
        """Return whether requests can be served; ``checks`` says what is wrong when not."""
        return Call(
            method="GET",
            path="/readyz",
            read=Health.model_validate_json,
            repeatable=True,
            answers=frozenset({503}),
        )

    @Operation
    def get_version(self) -> Call[Version]:
        """Return the versions of the service, of Python, of Postgres and of the schema."""
        return get("/v1/version", Version)

    @Operation
    def get_metrics(self) -> Call[str]:
        """Return the metrics of the process that answers, in the Prometheus text format."""
        return Call(method="GET", path="/metrics", read=bytes.decode, repeatable=True)
