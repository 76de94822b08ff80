"""Raw HTTP/1.1 requests."""

API_KEY = "mp_benchmark_and_no_secret"
_HEAD = "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + API_KEY + "\r\n"


def make_request(method: str, target: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return the bytes of a request; ``headers`` are whole lines."""
    head = _HEAD.format(method=method, target=target) + headers
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
