"""Numbers, words and text mean the same to every reader of YAML, or they are refused."""

from __future__ import annotations

import json
import math

import pytest
import yaml

from gcnnbench.cards.scalars import GuessError, canonical_float, plain

CANONICAL = ("0", "7", "-12", "0.5", "-3.25", "1.0e-3", "1.0e-05", "2.5e+10", "true", "false", "null")
TEXT = ("p4cnn", "3x3", "1.5.2", "v1", "e-3", "_1", "1e", "0e", "nano", "none", "yes!", "rot90")
NUMBERS = (
    "1e-3",
    "1E3",
    ".5",
    "5.",
    "1.0e3",
    "1.0E+3",
    "+5",
    "+0.5",
    "-0",
    "00",
    "010",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
)
OTHERS = ("1:30", "1:30:00", ".inf", "-.inf", ".NaN", "2020-01-02", "2001-12-14t21:59:43.10-05:00", "=", "<<")
WORDS = ("yes", "No", "ON", "off", "y", "N", "True", "FALSE", "~", "Null", "NULL")


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_scalars_mean_the_same_in_yaml_and_json(text: str) -> None:
    value = plain(text)
    assert value == yaml.safe_load(text) == json.loads(text)
    assert type(value) is type(yaml.safe_load(text))


@pytest.mark.parametrize("text", TEXT)
def test_text_stays_text(text: str) -> None:
    assert plain(text) == text == yaml.safe_load(text)


@pytest.mark.parametrize("text", [*NUMBERS, *OTHERS, *WORDS])
def test_guesses_are_refused_and_named(text: str) -> None:
    with pytest.raises(GuessError, match=r"write|quote it"):
        plain(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [("1e-3", "0.001"), ("5.", "5.0"), ("1E9", "1000000000.0"), ("1e30", "1.0e+30"), ("1e-7", "1.0e-07"), ("+5", "5")],
)
def test_the_right_form_is_one_that_is_accepted(text: str, right: str) -> None:
    with pytest.raises(GuessError) as caught:
        plain(text)
    assert f"write {right}, or quote it" in str(caught.value)
    assert plain(right) == float(text)


@pytest.mark.parametrize("value", [0.1, 1e-5, 1e22, 5e-324, 1.7976931348623157e308, -2.5e-8, 3.0])
def test_canonical_floats_are_read_back_bit_for_bit(value: float) -> None:
    assert plain(canonical_float(value)) == value == yaml.safe_load(canonical_float(value))


def test_no_number_is_infinite() -> None:
    with pytest.raises(GuessError, match="too large for a float"):
        plain("1.0e+400")
    assert canonical_float(math.inf) == "a finite number"
    with pytest.raises(GuessError, match="at most 18"):
        plain("1" * 400)
