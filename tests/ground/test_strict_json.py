"""The strict reader refuses what other readers read differently, and tells every mistake in one line."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from gcnnbench.cards.values import Natural, OutsideLine, Seconds, Share, Time
from gcnnbench.strict_json import parse_json, parse_model


class Run(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    seconds: Seconds
    accuracy: Share = 0.5
    images: Natural = 1
    device: OutsideLine = "cpu"
    at: Time = "2026-11-23T12:52:10+00:00"


def test_what_is_right_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, -0.0, 1e300, "\xc3\xa9 \\ud83d\\ude00"], "b": {"a": null}}') == {
        "a": [1, 2.5, -0.0, 1e300, "é 😀"],
        "b": {"a": None},
    }
    assert parse_model(b'{"seconds": 2, "at": "2026-11-23T12:52:10Z"}', Run).seconds == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"x": {"a\\u001b": 1, "a\\u001b": 2}}', r"the key 'a\\\\x1b' stands twice"),
        (b'{"a": NaN}', "NaN|expected"),
        (b'{"a": -Infinity}', "Infinity|expected|invalid"),
        (b'{"a": 1e400}', "the number 1e400 would be read as inf"),
        (b'{"a": -1e999}', "would be read as -inf"),
        (b'{"a": 1.0e-400}', "the number 1.0e-400 would be read as 0.0"),
        (b'{"a": ' + b"9" * 300 + b"}", "an integer of 300 digits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "an integer of 5000 digits|out of range"),
        (b'{"a": "\\ud800"}', "surrogate|hex escape"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM|expected"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b"[" * 50_000, "nested deeper than 64"),
        (b'{"a":' * 50_000, "nested deeper than 64"),
        (b"", "EOF|Expecting"),
        (b'{"a": 1} {', "trailing|Extra"),
        (b"{" + b",".join(b'"%d": 1' % key for key in range(50_000)) + b', "7": 2}', "the key '7' stands twice"),
        (b'{"a": "x\ny"}', "control character"),
    ],
)
def test_what_readers_disagree_on_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as found:
        parse_json(content)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


def test_brackets_in_strings_are_no_nesting() -> None:
    assert parse_json(b'["' + b"[" * 1000 + b'\\"' + b"{" * 1000 + b'"]')


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"seconds": -1}', "seconds: Input should be greater than or equal to 0"),
        (b'{"seconds": 1e308}', "seconds: Input should be less than or equal to"),
        (b'{"seconds": "1"}', "seconds: Input should be a valid number"),
        (b'{"seconds": 1, "accuracy": 1.5}', "accuracy: Input should be less than or equal to 1"),
        (b'{"seconds": 1, "images": 1.5}', "images: Input should be a valid integer"),
        (b'{"seconds": 1, "images": true}', "images: Input should be a valid integer"),
        (b'{"seconds": 1, "at": "1 May"}', "at: .*a time in UTC is wanted"),
        (b'{"seconds": 1, "at": "2026-11-23T12:52:10+02:00"}', "at: .*a time in UTC is wanted"),
        (b'{"seconds": 1, "device": "a\\nb"}', r"device: .*it holds U\+000A"),
        (b'{"seconds": 1, "device": "\\u202edcba"}', r"device: .*it holds U\+202E, right-to-left override"),
        (b'{"seconds": 1, "device": "' + b"a" * 501 + b'"}', "device: String should have at most 500"),
        (b'{"seconds": 1, "\\u001b[31m": 1}', r"\\x1b\[31m: Extra inputs"),
        (b"[]", "the whole file: Input should be an object"),
        (b'{"b": 1, "c": 1, "d": 1}', "; 1 more"),
    ],
)
def test_a_form_says_what_is_wrong_where(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as found:
        parse_model(content, Run)
    assert "\n" not in str(found.value)
