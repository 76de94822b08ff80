"""Conditions: a small typed grammar over templates, paths and literals, and what holds in a context."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from app.domain.highway.language.budgets import current_budget
from app.domain.highway.language.expressions import (
    Expression,
    Literal,
    Path,
    has_template,
    parse_number,
    read_path,
    read_template,
    skip_blanks,
    unquote,
    whole_template,
)
from app.domain.highway.language.templates import UNKNOWN, Context, as_text, follow, read_json, resolve, value_of
from app.domain.json_texts import Json

DEPTH_MOST = 50

_CACHED_LENGTH_MOST = 4096
_CHARACTERS_AN_ELEMENT = 4
"""Of a condition that is kept read; of a text that is compared or searched, which is much less work, so many more."""
_COMPARED_AT_ONCE = 1024
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_KEYWORDS = frozenset({"and", "or", "not", "in", "contains"})
_WORD = re.compile(r"[A-Za-z]++(?![\w.\[-])")
_OPERATOR = re.compile(r"(?:[=!<>]=|<(?!>)|>|(?:not\s++in|in|contains)(?![\w-]))")
_JUNCTION = {word: re.compile(rf"{word}(?![\w-])") for word in ("and", "or")}
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![\w.\[-])")
_PLAIN = {quote: re.compile(rf"(?:[^\\{{{quote}]++|\\.|\{{(?!\{{))*+", re.DOTALL) for quote in ("'", '"')}
_NEXT = re.compile(r"[=!<>]=|&&|\|\||<>|=>|=<|\w{1,20}+|.", re.DOTALL)
_ADVICE = {
    "&&": "write `and`",
    "&": "write `and`",
    "AND": "write `and`",
    "||": "write `or`",
    "OR": "write `or`",
    "|": "a default stands within the braces of a template",
    "!": "write `not`",
    "=": "write `==`",
    "is": "write `==`",
    "=>": "write `>=`",
    "=<": "write `<=`",
    "<>": "write `!=`",
    "{": "a template is `{{path}}`, with or without `| default(...)`",
}


class ConditionSyntaxError(ValueError):
    """The text is no condition; the message says what is wrong and at which character, counted from 1."""


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text, in which templates become text."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list of operands."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and the operator between them."""

    left: "Condition"
    operator: str
    right: "Condition"


@dataclass(frozen=True, slots=True)
class Negation:
    """True if its part is not."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Junction:
    """Two parts and more, of which each (`and`) or some (`or`) has to be true."""

    word: str
    parts: tuple["Condition", ...]


Condition = Literal | Text | Items | Comparison | Negation | Junction | Expression | Path


def parse_condition(text: str) -> Condition:
    """Return what `text` means. Raises ConditionSyntaxError."""
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH_MOST else _parse(text)


def evaluate(text: str, context: Context) -> bool:
    """Return whether the condition holds; what has no value is null. Raises ConditionSyntaxError, BudgetSpentError."""
    is_kept = len(text) <= _CACHED_LENGTH_MOST
    current_budget().take_elements(1 + len(text) // (_CHARACTERS_AN_ELEMENT if is_kept else 1))
    return is_true(_value(parse_condition(text), context))


def is_true(value: Json) -> bool:
    """Return whether a value is true: neither null, false, 0, "", "false" in any case, nor an empty list or object."""
    if isinstance(value, str):
        return value.lower() not in {"", "false"}
    return value is not UNKNOWN and bool(value)


def equals(left: Json, right: Json) -> bool:
    """Return whether two values are equal: a number also to a numeric text, a boolean also to its name in any case.

    null and what has no value equal only null. Lists and objects are equal if they are the same JSON; 1 is 1.0.
    """
    left, right = (None if value is UNKNOWN else value for value in (left, right))
    current_budget().take_elements()
    match left, right:
        case (bool(), str()) | (str(), bool()):
            return str(left).lower() == str(right).lower()
        case (bool(), _) | (_, bool()):
            return left is right
        case (int() | float(), str()) | (str(), int() | float()):
            return compare(left, right) == 0
    return _are_same(left, right)


def compare(left: Json, right: Json) -> int | None:
    """Return -1, 0 or 1 as `left` is less than, equal to or more than `right`; None: there is no order between them.

    Numbers and numeric texts are ordered as numbers, other texts by their characters. Nothing else has an order.
    """
    numbers = _number_of(left), _number_of(right)
    if None not in numbers:
        return _order(*numbers)
    return _order(left, right) if isinstance(left, str) and isinstance(right, str) else None


def _order(left: Json, right: Json) -> int | None:
    if left < right:
        return -1
    if left > right:
        return 1
    return 0 if left == right else None  # not a number has no order


def _number_of(value: Json) -> int | float | None:
    if isinstance(value, str):
        return parse_number(value.strip())
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _are_same(left: Json, right: Json) -> bool:
    # Without recursion, because values that workers report may be nested deeply.
    budget = current_budget()
    pairs = [(left, right)]
    while pairs:
        match pairs.pop():
            case (dict() as one, dict() as other) if one.keys() == other.keys():
                budget.take_elements(len(one))
                pairs += [(one[key], other[key]) for key in one]
            case (list() as one, list() as other) if len(one) == len(other):
                budget.take_elements(len(one))
                pairs += zip(one, other, strict=True)
            case (dict() | list(), dict() | list()):
                return False
            case (one, other):
                if one != other or isinstance(one, bool) != isinstance(other, bool):
                    return False
    return True


def _contains(whole: Json, part: Json) -> bool:
    """Return whether a list has an equal element, an object the key, or a text the text; JSON text is what it says."""
    match read_json(whole) if isinstance(whole, str) else whole:
        case list() as items:
            return any(equals(part, item) for item in items)
        case dict() | str() as members if isinstance(part, str | int | float):
            if isinstance(members, str):
                current_budget().take_elements(len(members) // _COMPARED_AT_ONCE)
            return as_text(part) in members
    return False


def _value(node: Condition, context: Context) -> Json:
    match node:
        case Literal(value):
            return value
        case Text(text):
            return _value_of_text(text, context)
        case Items(items):
            return [_value(item, context) for item in items]
        case Comparison(left, operator, right):
            return _holds(_value(left, context), operator, _value(right, context))
        case Negation(part):
            return not is_true(_value(part, context))
        case Junction(word, parts):
            truths = (is_true(_value(part, context)) for part in parts)
            return all(truths) if word == "and" else any(truths)
        case Expression():
            value = value_of(node, context)
        case path:
            value = follow(path, context)
    return None if value is UNKNOWN else value


def _value_of_text(text: str, context: Context) -> str | None:
    if not has_template(text):
        return text
    resolved = resolve(text, context)
    if resolved.unresolved and whole_template(text) is not None:
        return None
    return as_text(resolved.value)


def _holds(left: Json, operator: str, right: Json) -> bool:
    match operator:
        case "==":
            return equals(left, right)
        case "!=":
            return not equals(left, right)
        case "contains":
            return _contains(left, right)
        case "in":
            return _contains(right, left)
        case "not in":
            return not _contains(right, left)
    order = compare(left, right)
    return order is not None and order in {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[operator]


def _parse(text: str) -> Condition:
    parser = _Parser(text, skip_blanks(text, 0))
    if parser.at == len(text):
        raise ConditionSyntaxError("The condition is empty at character 1")
    condition = parser.read_any()
    if parser.at < len(text):
        parser.refuse("an operator or the end belongs here")
    return condition


_parse_cached = lru_cache(maxsize=2048)(_parse)


@dataclass(slots=True)
class _Parser:
    """Reads a condition from left to right; `at` is where the next character that is no blank stands."""

    text: str
    at: int
    depth: int = 0

    def refuse(self, advice: str) -> NoReturn:
        found = _NEXT.match(self.text, self.at)
        if found is None:
            raise ConditionSyntaxError(f"Unexpected end at character {self.at + 1}: {advice}")
        # Half a surrogate pair could not be sent to anybody.
        shown = found[0].encode(errors="replace").decode()
        advice = _ADVICE.get(shown, advice)
        raise ConditionSyntaxError(f"Unexpected `{shown}` at character {self.at + 1}: {advice}")

    def move_to(self, at: int) -> None:
        self.at = skip_blanks(self.text, at)

    def take(self, pattern: re.Pattern[str]) -> str | None:
        if found := pattern.match(self.text, self.at):
            self.move_to(found.end())
            return found[0]
        return None

    def read_any(self) -> Condition:
        parts = [self.read_all()]
        while self.take(_JUNCTION["or"]):
            parts.append(self.read_all())
        return parts[0] if len(parts) == 1 else Junction("or", tuple(parts))

    def read_all(self) -> Condition:
        parts = [self.read_negation()]
        while self.take(_JUNCTION["and"]):
            parts.append(self.read_negation())
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def read_negation(self) -> Condition:
        count = 0
        while (word := _WORD.match(self.text, self.at)) and word[0] == "not":
            self.move_to(word.end())
            count += 1
        comparison = self.read_comparison()
        # Two of them are not nothing: they make a value a boolean.
        return comparison if not count else Negation(comparison) if count % 2 else Negation(Negation(comparison))

    def read_comparison(self) -> Condition:
        left = self.read_operand()
        if (operator := self.take(_OPERATOR)) is None:
            return left
        right = self.read_operand()
        if _OPERATOR.match(self.text, self.at):
            self.refuse("comparisons cannot be chained, join two with `and`")
        return Comparison(left, " ".join(operator.split()), right)

    def read_operand(self) -> Condition:
        character = self.text[self.at : self.at + 1]
        if character in {"(", "["}:
            return self.read_nested(character)
        if character in {"'", '"'}:
            return self.read_quoted(character)
        if character == "{":
            return self.read_template()
        if number := _NUMBER.match(self.text, self.at):
            return self.read_number(number)
        if word := _WORD.match(self.text, self.at):
            if word[0] in _KEYWORDS:
                self.refuse("a value or a path belongs here")
            if word[0] in _CONSTANTS:
                self.move_to(word.end())
                return Literal(_CONSTANTS[word[0]])
        if (path := read_path(self.text, self.at)) is None:
            self.refuse("a value or a path belongs here")
        self.move_to(path[1])
        return path[0]

    def read_nested(self, opening: str) -> Condition:
        start = self.at
        self.depth += 1
        if self.depth > DEPTH_MOST:
            self.refuse(f"a condition is nested at most {DEPTH_MOST} deep")
        self.move_to(start + 1)
        nested = self.read_any() if opening == "(" else self.read_items()
        if not self.text.startswith(")" if opening == "(" else "]", self.at):
            self.refuse(f"an operator or the end of the `{opening}` at character {start + 1} belongs here")
        self.move_to(self.at + 1)
        self.depth -= 1
        return nested

    def read_items(self) -> Items:
        items: list[Condition] = []
        while not self.text.startswith("]", self.at):
            items.append(self.read_operand())
            if not self.text.startswith(",", self.at):
                break
            self.move_to(self.at + 1)
        return Items(tuple(items))

    def read_quoted(self, quote: str) -> Text:
        start = self.at
        pieces: list[str] = []
        at = start + 1
        while plain := _PLAIN[quote].match(self.text, at):
            pieces.append(unquote(quote + plain[0] + quote))
            at = plain.end()
            if not self.text.startswith("{", at):
                break
            # A quote within a template does not end the text.
            template = read_template(self.text, at)
            end = template[1] if template and template[0].source else at + 1
            pieces.append(self.text[at:end])
            at = end
        if not self.text.startswith(quote, at):
            raise ConditionSyntaxError(f"The text that begins at character {start + 1} has no end")
        self.move_to(at + 1)
        return Text("".join(pieces))

    def read_template(self) -> Expression:
        template = read_template(self.text, self.at)
        if template is None or template[0].source is None:
            self.refuse("")
        self.move_to(template[1])
        return template[0]

    def read_number(self, number: re.Match[str]) -> Literal:
        value = parse_number(number[0])
        if value is None:
            self.refuse("the number is too large")
        self.move_to(number.end())
        return Literal(value)
