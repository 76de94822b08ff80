"""JSON that has to come back exactly as it was given, and JSON that cannot be kept."""

import random
from typing import Any

KEPT: list[Any] = [
    {},
    [],
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    0.1,
    -0.0,
    1e-7,
    1.7976931348623157e308,
    5e-324,
    2**53 + 1,
    2**80,
    -(2**200),
    "",
    " ",
    "null",
    "0",
    '"',
    "\\",
    "\\u0000",
    "\b\f\n\r\t\x01\x7f\x85\u2028\ufeff\ufffe\uffff",
    "ümläut \U0001f9ea 漢字 \u0301",
    {"": ""},
    {"b": 1, "a": 2, "aa": 3, "A": 4},
    {"10": 1, "9": 2},
    {"a/b": {"~": [{}]}},
    {"__proto__": 1, "$ref": "#/", "type": "object"},
    [[], [[]], {"a": []}, None, [None]],
    [1, 1.0, True, "1"],
    "2026-01-31T00:00:00+02:00",
    "x" * 20_000,
]
"""Values that differ in type, order, size or script."""

REFUSED: dict[str, str] = {
    "NUL in a text": r'"a\u0000b"',
    "NUL in a key": r'{"a\u0000": 1}',
    "NUL deep inside": r'[[[{"a": ["\u0000"]}]]]',
    "high surrogate alone": r'"\ud800"',
    "low surrogate alone": r'"\udc00 x"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "surrogate in a key": r'{"\ud800": 1}',
    "exponent that overflows": "1e400",
    "negative exponent that overflows": "[-1E+400]",
    "exponent with zeros in front": "1e0400",
    "long number with a short exponent": "1" + 250 * "0" + "e99",
    "long fraction that overflows": "9" * 210 + ".5e99",
    "400 digits with a point": "9" * 400 + ".0",
    "10,000 digits": "9" * 10_000,
    "65 arrays": "[" * 65 + "]" * 65,
    "65 objects": '{"a":' * 65 + "0" + "}" * 65,
    "300 arrays": "[" * 300 + "]" * 300,
    "100,000 arrays": "[" * 100_000 + "]" * 100_000,
}
"""Texts that are JSON and cannot be kept: 422."""

NOT_JSON: dict[str, bytes] = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "NaN inside": b'{"a": [NaN]}',
    "Infinity behind an overflow": b"[1e400, Infinity]",
    "unfinished object": b'{"a": 1',
    "two values": b"{} {}",
    "comma too many": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "bare word": b"undefined",
    "comment": b"{} // x",
    "blank": b" ",
    "raw control character": b'"\x00"',
    "raw line break in a text": b'"a\nb"',
    "invalid UTF-8": b'"\xff\xfe"',
    "cut UTF-8": b'"\xe2\x82"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "leading zero": b"[01]",
    "hexadecimal": b"[0x10]",
    "plus": b"[+1]",
    "invalid escape": rb'"\x41"',
    "form": b"a=1&b=2",
    "yaml": b"a: 1",
}
"""Texts that are no JSON: 400."""


def random_json(source: random.Random, depth: int = 4) -> Any:
    """Return any JSON value."""
    kind = source.randrange(9 if depth else 6)
    match kind:
        case 0:
            return None
        case 1:
            return source.random() < 0.5
        case 2:
            return source.randrange(-(10 ** source.randrange(1, 40)), 10 ** source.randrange(1, 40))
        case 3:
            return source.uniform(-1, 1) * 10.0 ** source.randrange(-300, 300)
        case 4 | 5:
            return _random_text(source)
        case 6 | 7:
            return {_random_text(source): random_json(source, depth - 1) for _ in range(source.randrange(5))}
        case _:
            return [random_json(source, depth - 1) for _ in range(source.randrange(5))]


def _random_text(source: random.Random) -> str:
    scripts = (
        "abcXYZ019 _-/~\"'\\%",
        "\x01\t\n\r\x7f",
        "äßéñ",
        "漢字かな",
        "\U0001f9ea\U0001f600",
        "\u2028\ufeff\u0301",
    )
    return "".join(source.choice(source.choice(scripts)) for _ in range(source.randrange(12)))
