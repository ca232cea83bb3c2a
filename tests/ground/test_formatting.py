"""In a suite about exactness a number that is not all is not written as all, and one that is not none not as none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from gcnnbench import formatting
from gcnnbench.statistics import summary


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (1.0, "100.00"),
        (49_998 / 50_000, ">99.99"),
        (0.9999, "99.99"),
        (1 / 50_000, "<0.01"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (0.5, "50.00"),
        (5e-324, "<0.01"),
    ],
)
def test_a_share_that_is_not_all_or_none_is_not_written_so(share: float, told: str) -> None:
    assert formatting.share(share) == told
    assert formatting.percent(summary([share])) == told


@pytest.mark.parametrize(
    ("part", "decimals", "told"),
    [
        (0.9996, 1, ">99.9"),
        (4e-4, 1, "<0.1"),
        (1.0, 1, "100.0"),
        (0.998, 0, ">99"),
        (0.004, 0, "<1"),
        (-0.0015, 2, "−0.15"),
    ],
)
def test_the_rule_holds_for_any_number_of_decimals(part: float, decimals: int, told: str) -> None:
    assert formatting.share(part, decimals) == told


def test_an_error_that_is_no_number_is_not_written_as_rounding() -> None:
    errors = (1e-13, 1e-3, float("inf"), float("nan"))
    assert [formatting.float64_error(error) for error in errors] == ["< 1e-12", "1.0e-03", "inf", "nan"]


def test_a_difference_of_one_decimal() -> None:
    assert [formatting.points(one, 1) for one in (4e-4, -4e-4, 0.0, 0.0123)] == ["<+0.1", ">−0.1", "0.0", "+1.2"]


def test_no_other_module_writes_a_percentage_by_itself() -> None:
    package = Path(formatting.__file__).parent
    by_itself = re.compile(r"\{100 \*[^{}]*:[^{}]*f\}|:[^{}\"]*%\}|\"%\.\df\"\|format\(100")
    sources = [path for path in package.rglob("*") if path.suffix in (".py", ".j2") and "perf" not in path.parts]
    assert len(sources) > 200
    found = {path.name for path in sources if by_itself.search(path.read_text("utf-8"))}
    assert not found - {"formatting.py"}, "gcnnbench.formatting.share knows when 100.00 would not be true"


@pytest.mark.parametrize(
    ("difference", "told"), [(0.0, "0.00"), (-0.0, "0.00"), (2e-5, "<+0.01"), (-2e-5, ">−0.01"), (-0.0083, "−0.83")]
)
def test_a_difference_that_is_some_is_not_written_as_none(difference: float, told: str) -> None:
    assert formatting.points(difference) == told


def test_an_interval_wider_than_the_scale_says_so() -> None:
    assert formatting.interval((-6.4171, 6.6666)) == "too few seeds"
    assert formatting.interval((-0.2, 0.3)) == "[−20.00, +30.00]"
    assert formatting.interval((-0.00001, 0.0)) == "[>−0.01, 0.00]"
    assert formatting.percent(summary([0.1, 0.9]), wide=True) == "50.00 ± 56.57 [too few seeds]"
    assert formatting.percent(summary([0.001, 0.002, 0.0]), wide=True) == "0.10 ± 0.10 [−0.15, 0.35]"


def test_one_thing_is_not_several() -> None:
    assert [formatting.how_many(number, "cell") for number in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]
    assert formatting.how_many(1797, "image") == "1,797 images"
    assert [formatting.how_many(number, "class", "classes") for number in (1, 2)] == ["1 class", "2 classes"]


def counts_by_themselves(code: str) -> Iterator[str]:
    """Where a text writes a length before a plural; no message is about one digit, character or byte."""
    plural = re.compile(r"((?:len|sum)\(.*\)) ([a-z]+ )?(?!digits|characters|bytes)[a-z]+s\b")
    for text in ast.walk(ast.parse(code)):
        if isinstance(text, ast.JoinedStr):
            for value, behind in pairwise(text.values):
                if isinstance(value, ast.FormattedValue) and isinstance(behind, ast.Constant):
                    told = ast.unparse(value.value) + str(behind.value)
                    if plural.match(told):
                        yield told


def test_no_other_module_counts_things_by_itself() -> None:
    package = Path(formatting.__file__).parent
    found = {
        path.name: told
        for path in package.rglob("*.py")
        if (told := list(counts_by_themselves(path.read_text("utf-8"))))
    }
    assert not found, "gcnnbench.formatting.how_many knows when there is one"
    assert list(counts_by_themselves('f"{len(cells)} cells run"')) == ["len(cells) cells run"]
