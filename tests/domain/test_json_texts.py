"""Stored JSON is passed on as it stands, wherever it is in an answer."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field, JsonValue

from app.domain import json_texts
from app.domain.json_texts import JsonText, read_json, write_json

TEXTS = [
    b"{}",
    b"null",
    b'"\\u0000"',
    b'{"b": 1,  "a": [1.0, 1e400, 12345678901234567890123456789]}',
    '{"ä": "\\u00e4", "a": 1, "a": 2}'.encode(),
    b"[" * 64 + b"]" * 64,
]


class Answer(BaseModel):
    name: str
    value: Any = Field(serialization_alias="result")
    listed: list[Any] = []


@dataclass
class Facts:
    value: Any


class TestWriting:
    @pytest.mark.parametrize("text", TEXTS)
    def test_text_is_passed_on_as_it_stands(self, text: bytes) -> None:
        assert write_json(JsonText(text)) == text
        assert write_json({"a": [JsonText(text), 1]}) == b'{"a":[' + text + b",1]}"

    def test_every_text_stands_in_its_place(self) -> None:
        texts = [JsonText(str(number).encode()) for number in range(12)]
        assert (
            write_json({"first": texts[::-1], "again": texts[3]}) == b'{"first":[11,10,9,8,7,6,5,4,3,2,1,0],"again":3}'
        )

    def test_text_in_a_model_stands_under_its_alias(self) -> None:
        answer = Answer(name="n", value=JsonText(b"[ 1 ]"), listed=[JsonText(b"{ }")])
        assert write_json(answer) == b'{"name":"n","result":[ 1 ],"listed":[{ }]}'
        assert write_json([Facts(answer)]) == b'[{"value":{"name":"n","result":[ 1 ],"listed":[{ }]}}]'

    def test_what_a_caller_sends_is_never_taken_for_the_place_of_a_text(self) -> None:
        sent = [f"{json_texts._SECRET}:0", "<0>", "\x00:0", "%s"]
        inside = JsonText(write_json(sent))
        assert write_json([inside, JsonText(b"7"), *sent[1:]]) == b"[" + inside.text + b',7,"<0>","\\u0000:0","%s"]'

    def test_plain_values_are_written_as_before(self) -> None:
        value: dict[str, JsonValue] = {"ä": [1, 2.5, None, True, "\n"], "": {}}
        assert write_json(value) == '{"ä":[1,2.5,null,true,"\\n"],"":{}}'.encode()

    def test_what_is_no_json_is_refused(self) -> None:
        with pytest.raises(ValueError, match="object is no JSON"):
            write_json({"a": object()})


class TestReading:
    def test_value_of_a_text(self) -> None:
        assert read_json(JsonText(b'{"a": 12345678901234567890123456789}')) == {"a": 12345678901234567890123456789}

    def test_what_is_no_text_is_a_value_already(self) -> None:
        assert read_json({"a": 1}) == {"a": 1}
        assert read_json(None) is None
