"""What becomes of those who wait at a listener that is closed."""

import socket

from app.server.serving import _accept_rest


class TestAcceptRest:
    def test_who_waits_is_taken_and_others_who_share_the_listener_go_on(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            own = listener.dup()
            address = listener.getsockname()
            waiting = [socket.create_connection(address) for _ in range(5)]
            taken = _accept_rest(own)
            assert {caller.getpeername() for caller in taken} == {caller.getsockname() for caller in waiting}
            assert own.fileno() == -1
            later = [socket.create_connection(address, timeout=5) for _ in range(5)]
            others = [listener.accept()[0] for _ in later]
            for each in (*waiting, *taken, *later, *others):
                each.close()

    def test_nobody_is_too_few_to_wait_for(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            assert _accept_rest(listener.dup()) == []
