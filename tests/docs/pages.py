"""The code blocks of a page, and one shell session that runs them in order."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```([a-z]*)(?: +([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VOLATILE = {
    re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"): "<id>",
    re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"): "<time>",
    re.compile(r" +$", re.MULTILINE): "",
    re.compile(r"\r"): "",
}
MARK = "----- block "
SECONDS = 300


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, what stands behind that, its text and its place."""

    language: str
    info: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether the block is run by the test of its page."""
        return self.language in ("bash", "console", "python") and not self.info


@dataclass(frozen=True)
class Command:
    """A part of a page that is run, and what it shall print; None: anything."""

    script: str
    output: str | None
    line: int


def read_blocks(page: Path) -> list[Block]:
    """Return every code block of ``page``."""
    text = page.read_text()
    return [
        Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def commands_of(blocks: Sequence[Block]) -> Iterator[Command]:
    """Yield what is run of ``blocks``: each command of a console on its own, each other block whole."""
    for block in blocks:
        if not block.runs:
            continue
        if block.language == "console":
            yield from _console_commands(block)
        elif block.language == "python":
            yield Command(f"{shlex.quote(sys.executable)} - <<'PYTHON'\n{block.text}PYTHON\n", None, block.line)
        else:
            yield Command(block.text, None, block.line)


def _console_commands(block: Block) -> Iterator[Command]:
    script, output, line = "", "", block.line
    for number, text in enumerate(block.text.splitlines(keepends=True), block.line + 1):
        if text.startswith("$ "):
            if script:
                yield Command(script, output, line)
            script, output, line = text[2:], "", number
        elif text.startswith("> ") and not output:
            script += text[2:]
        else:
            output += text
    yield Command(script, output, line)


def run_commands(
    commands: Sequence[Command], replaced: Mapping[str, str], cwd: Path, env: Mapping[str, str]
) -> list[str]:
    """Return what each command printed in one session of bash that ends at the first failure."""
    script = "".join(f"echo; echo '{MARK}{number}'\n{command.script}\n" for number, command in enumerate(commands))
    for old, new in replaced.items():
        script = script.replace(old, new)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    outputs = re.split(rf"^{re.escape(MARK)}\d+\n", ended.stdout, flags=re.MULTILINE)[1:]
    failed = commands[len(outputs) - 1]
    assert ended.returncode == 0, f"line {failed.line} ended with {ended.returncode}: {outputs[-1]}\n{ended.stderr}"
    return outputs


def is_as_documented(expected: str, actual: str) -> bool:
    """Return whether ``actual`` is what the page shows; `...` stands for anything, ids and times for any other."""
    expected, actual = _steady(expected), _steady(actual)
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


def _steady(text: str) -> str:
    for pattern, name in _VOLATILE.items():
        text = pattern.sub(name, text)
    return text.strip()
