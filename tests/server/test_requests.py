"""What is read as a request, and what is refused before it is one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.factories import RUNS, run_body
from tests.server.peers import Peer, in_chunks, request

LIVEZ = request("GET", "/livez")
BODY = json.dumps(run_body(workflow_name="as_it_was_sent")).encode()
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAAB",
)
CHUNKED = request("POST", RUNS, b"", *H2C, "Content-Type: application/json", "Transfer-Encoding: chunked")
POST_JAVA = """
import java.net.URI;
import java.net.http.*;

public class Post {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        for (var body : new String[] {arguments[1], arguments[1]}) {
            var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


def in_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


class TestUpgrade:
    @pytest.mark.parametrize("sent", [request("POST", RUNS, BODY, *H2C), CHUNKED + in_chunks(BODY)])
    @pytest.mark.parametrize("pieces", [lambda data: [data], in_bytes, lambda data: [data[:60], data[60:]]])
    def test_body_is_read_and_the_connection_goes_on(self, url: str, sent: bytes, pieces: object) -> None:
        assert callable(pieces)
        with Peer(url) as peer:
            for _ in range(2):
                created = peer.send(*pieces(sent)).answer()
                assert created.status == 201, created
                assert created.json()["workflow_name"] == "as_it_was_sent"
            assert peer.send(LIVEZ).answer().status == 200

    def test_request_that_follows_in_the_same_packet_is_answered(self, url: str) -> None:
        with Peer(url) as peer:
            peer.send(request("POST", RUNS, BODY, *H2C) + CHUNKED + in_chunks(BODY) + LIVEZ)
            assert [peer.answer().status for _ in range(3)] == [201, 201, 200]

    def test_websocket_is_answered_as_plain_http(self, url: str) -> None:
        with Peer(url) as peer:
            asked = peer.send(request("GET", "/livez", b"", "Connection: Upgrade", "Upgrade: websocket")).answer()
            assert asked.status == 200

    @pytest.mark.skipif(not shutil.which("java"), reason="needs java")
    def test_java_client_as_it_comes_can_post(self, url: str, tmp_path: Path) -> None:
        (tmp_path / "Post.java").write_text(POST_JAVA)
        said = subprocess.run(
            ["java", tmp_path / "Post.java", f"{url}{RUNS}", BODY.decode()],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert said.returncode == 0, said.stderr
        for line in said.stdout.splitlines():
            status, _, created = line.partition(" ")
            assert (status, json.loads(created)["workflow_name"]) == ("201", "as_it_was_sent")


class TestPipeline:
    def test_requests_in_one_packet_are_answered_in_their_order(self, url: str) -> None:
        bodies = [run_body(workflow_name=f"number_{number}") for number in range(30)]
        with Peer(url) as peer:
            peer.send(b"".join(request("POST", RUNS, json.dumps(body).encode()) for body in bodies))
            assert [peer.answer().json()["workflow_name"] for _ in bodies] == [body["workflow_name"] for body in bodies]

    def test_many_are_answered_though_they_are_more_than_one_read(self, url: str) -> None:
        with Peer(url) as peer:
            peer.send(request("GET", "/livez", b"", f"X-Long: {'x' * 2_000}") * 400)
            assert {peer.answer().status for _ in range(400)} == {200}

    def test_line_end_before_a_request_is_passed_over(self, url: str) -> None:
        with Peer(url) as peer:
            peer.send(b"\r\n" + request("POST", RUNS, BODY) + b"\r\n" + LIVEZ)
            assert [peer.answer().status for _ in range(2)] == [201, 200]


class TestTrailers:
    def test_trailer_ends_the_body_and_is_no_header(self, url: str) -> None:
        body = in_chunks(BODY).removesuffix(b"\r\n") + b"Idempotency-Key: a trailer\r\n\r\n"
        with Peer(url) as peer:
            for pieces in ([CHUNKED + body], in_bytes(CHUNKED + body), [CHUNKED, body]):
                assert peer.send(*pieces).answer().status == 201
            assert peer.send(LIVEZ).answer().status == 200


TOO_MUCH = {
    "line": (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long"),
    "line without end": (b"GET /" + b"a" * 17_000, 414, "uri-too-long"),
    "header": (b"GET / HTTP/1.1\r\nA: " + b"b" * 66_000 + b"\r\n\r\n", 431, "headers-too-large"),
    "header without end": (b"GET / HTTP/1.1\r\nA: " + b"b" * 66_000, 431, "headers-too-large"),
    "lines": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431, "headers-too-large"),
    "extension": (CHUNKED + b"1;" + b"a" * 20_000, 431, "headers-too-large"),
    "trailer": (CHUNKED + b"0\r\nA: " + b"b" * 20_000, 431, "headers-too-large"),
    "trailers": (CHUNKED + b"0\r\n" + b"A: b\r\n" * 4_000, 431, "headers-too-large"),
}
MALFORMED = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method": b"FETCH / HTTP/1.1\r\n\r\n",
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    "text": b"hello\r\n",
    "line": b"GET\r\n\r\n",
    "version": b"GET / HTTP/3.1\r\n\r\n",
    "line ends": b"GET / HTTP/1.1\nHost: milepost\n\n",
    "header": b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
    "both": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunk": CHUNKED + b"five\r\n",
    "chunk end": CHUNKED + b"1\r\nab\r\n",
    "address": b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
}


class TestRefusals:
    @pytest.mark.parametrize("what", TOO_MUCH)
    def test_too_much_of_anything_is_a_problem_and_the_end(self, url: str, what: str) -> None:
        sent, status, code = TOO_MUCH[what]
        with Peer(url) as peer:
            assert peer.send(sent).answer().is_problem(status, code)
            assert peer.wait_closed() == b""

    @pytest.mark.parametrize("what", MALFORMED)
    def test_what_cannot_be_read_is_a_problem_and_the_end(self, url: str, what: str) -> None:
        with Peer(url) as peer:
            assert peer.send(LIVEZ, MALFORMED[what] + LIVEZ).answer().status == 200
            assert peer.answer().is_problem(400, "malformed-request")
            assert peer.wait_closed() == b""

    def test_problem_names_the_path_and_the_request_where_they_were_read(self, url: str) -> None:
        with Peer(url) as peer:
            refused = peer.send(
                request("POST", f"{RUNS}?x=1", b"", "X-Request-ID: mine", "Transfer-Encoding: gzip")
            ).answer()
        assert refused.is_problem(400, "malformed-request")
        assert (refused.json()["instance"], refused.json()["request_id"]) == (RUNS, "mine")

    def test_request_that_cannot_be_read_to_its_end_does_nothing(self, url: str) -> None:
        with Peer(url) as peer:
            path = f"{RUNS}/{peer.send(request('POST', RUNS, BODY)).answer().json()['workflow_run_id']}"
            refused = peer.send(
                request("POST", f"{path}/cancel", b"", "Transfer-Encoding: chunked") + b"x\r\n"
            ).answer()
            assert refused.is_problem(400, "malformed-request")
        with Peer(url) as peer:
            assert peer.send(request("GET", path)).answer().json()["status"] == "pending"


class TestRefusedBodies:
    def test_rest_of_a_large_body_is_not_swallowed_without_end(self, url: str) -> None:
        with Peer(url) as peer:
            peer.send(request("POST", RUNS, b"", "Content-Type: application/json", f"Content-Length: {1 << 40}"))
            refused = peer.answer()
            assert (refused.status, refused.headers["connection"]) == (413, "close")
            assert peer.send_until_refused(bytes(65_536), 1 << 30) < 1 << 26

    def test_answer_reaches_who_sends_the_whole_body_first(self, url: str) -> None:
        with Peer(url) as peer:
            peer.send(request("POST", RUNS, b"x" * (4 << 20)))
            assert peer.answer().status == 413
            assert peer.wait_closed() == b""

    def test_connection_of_a_small_refused_body_goes_on(self, url: str) -> None:
        sent = request("POST", "/nowhere", b"x" * 20_000)
        with Peer(url) as peer:
            assert peer.send(sent[:-5]).answer().status == 404
            assert peer.send(sent[-5:] + LIVEZ).answer().status == 200
