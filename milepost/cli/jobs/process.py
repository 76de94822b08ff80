"""The process of a command: in a group of its own, with the signals that it would have got."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import ENOEXEC

from milepost.cli.jobs.output import Pump

NOT_EXECUTABLE, NOT_FOUND, OF_SIGNALS = 126, 127, 128
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
GRACE_SECONDS = 10.0
"""How long a command may take to end after SIGTERM."""
PAUSE_SECONDS = 0.05

Heard = Callable[[bytes], None]


class CannotStart(Exception):
    """The command cannot be started."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Job:
    """A command, before, while and after it runs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._ending = threading.Event()
        self.has_ended = threading.Event()
        self._late_signal = threading.Event()

    def take_signals(self) -> None:
        """Forward from now on what is not ignored anyway."""
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda given, _: self._forward(given))

    def _forward(self, number: int) -> None:
        if self.has_ended.is_set():
            self._late_signal.set()
        elif self._process is None:
            self._early.append(number)
        else:
            self._signal(number)

    def run(self, command: Sequence[str], environment: Mapping[str, str], heard: Sequence[Heard]) -> int:
        """Return how the command ended: its exit code, or minus its signal. Raises CannotStart."""
        process = self._process = _start(command, environment)
        pgid, terminal = process.pid, _give_terminal(process.pid)
        for number in self._early:
            self._signal(number)
        ended, says_ended = os.pipe()
        assert process.stdout  # noqa: S101 - it is a pipe
        assert process.stderr  # noqa: S101 - it is a pipe
        sources = (os.dup(process.stdout.fileno()), os.dup(process.stderr.fileno()))
        process.stdout.close()
        process.stderr.close()
        pumps = [Pump(*each) for each in zip(sources, (1, 2), (ended, ended), heard, strict=True)]
        for pump in pumps:
            pump.start()
        code = process.wait()
        if terminal:
            _take_terminal()
        if self._ending.is_set():
            _end_group(pgid)
        os.close(says_ended)
        for pump in pumps:
            pump.join()
        self.has_ended.set()
        return code

    def wait_unless_told(self, over: threading.Event, seconds: float) -> None:
        """Wait until ``over``, or a signal that comes after the command has ended."""
        until = time.monotonic() + seconds
        while not (over.wait(PAUSE_SECONDS) or self._late_signal.is_set() or time.monotonic() >= until):
            pass

    def end(self) -> None:
        """End the command because its run has ended; it has some seconds to do that by itself."""
        if not self._ending.is_set():
            self._ending.set()
            self._signal(signal.SIGTERM)
            killing = threading.Timer(GRACE_SECONDS, self._signal, [signal.SIGKILL])
            killing.daemon = True
            killing.start()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Return the started command. Raises CannotStart."""
    try:
        return _open(command, environment)
    except OSError as error:
        if error.errno == ENOEXEC:  # a script without a first line that names its shell, as execvp(3) has it
            place = shutil.which(command[0]) or command[0]
            return _open(["/bin/sh", place, *command[1:]], environment)
        code = NOT_FOUND if isinstance(error, FileNotFoundError | NotADirectoryError) else NOT_EXECUTABLE
        raise CannotStart(code, f"{command[0]}: {error.strerror}") from error


def _open(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, process_group=0)  # noqa: S603


def _give_terminal(pgid: int) -> bool:
    """Return whether the terminal that was ours is the command's from now on."""
    with suppress(OSError):
        if os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp():
            os.tcsetpgrp(0, pgid)
            os.killpg(pgid, signal.SIGCONT)  # it may have asked for it before, and been stopped
            return True
    return False


def _take_terminal() -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):
        os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)


def _end_group(pgid: int) -> None:
    """Wait for the others of the command's group, and kill those that do not end by themselves."""
    until = time.monotonic() + GRACE_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until:
            os.killpg(pgid, 0)
            time.sleep(PAUSE_SECONDS)
        os.killpg(pgid, signal.SIGKILL)
