"""The one error of the embedded Postgres."""


class EmbeddedPostgresError(Exception):
    """No server can be had; the text says what was tried and what to do."""
