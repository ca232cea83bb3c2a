"""What a user's mistake is told as goes from a worker process to its parent whole."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gcnnbench.cards import reading
from gcnnbench.errors import OtherCopyError, UserError
from gcnnbench.submissions import findings


@pytest.mark.parametrize(
    "error",
    [
        OtherCopyError("another copy"),
        reading.CardsError(reading.Finding(Path("card.yaml"), line, 1, "", "wrong") for line in range(1, 100)),
        findings.Refused(findings.Finding(check="size", what=f"file {n}", remedy="a smaller one") for n in range(999)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error: UserError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))
