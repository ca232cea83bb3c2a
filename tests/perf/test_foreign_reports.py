"""What a report from elsewhere says is shown as it is written: no escape sequence, no further line, no markup."""

from __future__ import annotations

import json

import pytest

from gcnnbench.errors import UserError
from gcnnbench.perf.report import compared, read_report
from gcnnbench.perf.text import compare_as_markdown, report_as_markdown
from gcnnbench.perf.timing import Timing
from tests.fit_text import is_line
from tests.perf.test_perf_reports import comparison, report


@pytest.mark.parametrize(
    ("field", "text"), [("device_name", "a\x1b]0;title\x07"), ("started", "2025-01-01T00:00:00+00:00\n- B: faster")]
)
def test_a_report_whose_text_does_not_show_is_refused(field: str, text: str) -> None:
    changed = report(comparison(nchw=1.0)).model_dump(mode="json") | {field: text}
    with pytest.raises(UserError, match=f"no report of gcnnbench perf: {field}: "):
        read_report("a file", json.dumps(changed).encode())


def test_what_a_report_says_is_no_markup() -> None:
    hostile = "<img src=x> [x](javascript:alert(2))"
    made = report(comparison(title=hostile, ours=1.0, nchw=1.0)).model_copy(update={"device_name": hostile})
    for text in (report_as_markdown(made), compare_as_markdown(made, made)):
        assert "<img" not in text
        assert "](" not in text


def test_a_reason_of_any_length_is_kept_as_a_line() -> None:
    (_, why) = compared("training", "t", {"a": Timing((1.0,))}, reference="a", missing={"b": "x\n" * 1000}).rows
    assert is_line(str(why.why))
