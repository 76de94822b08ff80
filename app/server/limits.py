"""What one connection, and all together, may cost."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes, seconds and numbers; the defaults are what a service runs with."""

    request_line_bytes: int = 16 * KIB
    """Room for every filter and cursor; more than proxies let through as they come."""
    head_bytes: int = 64 * KIB
    head_lines: int = 100
    framing_bytes: int = 16 * KIB
    """Chunk extensions and trailers of one body, beside `FRAMING_RATIO` bytes for each byte of it."""
    rest_bytes: int = 64 * KIB
    """Rest of a refused body that is read, so that its connection can be used again; over it, it is closed."""
    linger_bytes: int = 16 * MIB
    """What is read after the last answer: who still sends would lose the answer to a reset."""
    linger_seconds: float = 5
    head_seconds: float = 10
    """From the first byte of a head to its last."""
    body_pause_seconds: float = 30
    """Longest time in which nothing of a body arrives."""
    body_seconds: float = 600
    """For all of a body: 1 MiB at 2 kB/s."""
    write_seconds: float = 30
    """Longest time in which a peer takes nothing of an answer that waits for it."""
    last_write_seconds: float = 3
    """The same once the process is about to stop: one who does not read a stream would hold it up."""
    keep_alive_seconds: float = 75
    """Without a request; the proxies in front give up earlier (60 s), so they never meet a closed connection."""
    connections: int = 10_000
    """In one process, where the limit of descriptors allows as many; an idle one costs about 10 kB."""
    other_descriptors: int = 128
    """For the database, files and the embedded Postgres' pipes."""
    refused_at_once: int = 64
    """Connections over the limit that are told so at the same time; those over that are just closed."""
    arriving_bytes: int = 32 * MIB
    """Of requests in memory, over all connections; those up to `free_bytes` are not counted."""
    unsent_bytes: int = 128 * MIB
    """Of answers whose readers do not read, over all connections."""
    free_bytes: int = 8 * KIB
    drain_seconds: float = 20
    """How long a stop may last: the first quarter requests are served as ever, then those under way are answered."""

    @property
    def leave_taking_seconds(self) -> float:
        """How long a stop serves on and sends everybody away, before it stops to listen."""
        return self.drain_seconds / 4

    @property
    def last_call_seconds(self) -> float:
        """Then, how long a connection that was just opened or used is kept for a request that is on its way."""
        return min(0.5, self.drain_seconds / 4)


FRAMING_RATIO = 8
"""A chunk of one byte costs five around it."""
