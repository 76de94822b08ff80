"""What Prometheus sees of this process."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

DATABASE_REFUSALS = Counter(
    "milepost_database_refusals_total", "Requests answered 503 because of the database", ["cause"]
)
REQUESTS = Counter("milepost_http_requests_total", "Requests answered", ["operation", "status"])
REQUEST_SECONDS = Histogram(
    "milepost_http_request_seconds",
    "Time to answer a request, in seconds; long polls are left out",
    ["operation"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
BATCH_SIZE = Histogram(
    "milepost_batch_items", "Calls that shared one transaction", ["work"], buckets=(1, 2, 5, 10, 20, 50, 100, 200)
)
WAITERS = Gauge("milepost_waiters", "Long polls that are waiting now")
HOUSEKEEPING_ROWS = Counter("milepost_housekeeping_rows_total", "Rows that the housekeeping changed", ["loop"])
HOUSEKEEPING_FAILURES = Counter("milepost_housekeeping_failures_total", "Rounds that failed", ["loop"])
SET_ASIDE = Gauge("milepost_set_aside_rows", "Rows that the housekeeping has set aside and will try again", ["loop"])
GIVEN_UP = Counter("milepost_given_up_rows_total", "Rows that cannot go on, ended by the housekeeping", ["loop"])
HOUSEKEEPING_AT = Gauge("milepost_housekeeping_last_round_timestamp_seconds", "When a loop last succeeded", ["loop"])
CONNECTIONS = Gauge("milepost_http_connections", "Connections that are open now")
REFUSED_CONNECTIONS = Counter(
    "milepost_http_connections_refused_total", "Connections closed because of what their peer did", ["code"]
)
LISTENING = Gauge("milepost_listening", "1 while wake-ups of other replicas are heard, else 0")

__all__ = ["REGISTRY"]
