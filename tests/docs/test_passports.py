"""The passport of p4cnn in the docs is what its command writes; `passports.py` looks after the others, at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.passports import NUMBER, ROOT, commands, made, stale

ARITHMETIC = "Where exactness survives"


def test_every_passport_stands_under_its_command() -> None:
    named = {word for command in commands() for word in command.split() if word.startswith("docs/passports/")}
    assert named == {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/passports").iterdir()}
    assert len(commands()) == 3


def test_the_passport_of_p4cnn_is_what_its_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.passport.passport.arithmetics", lambda *_: ())
    monkeypatch.chdir(ROOT)
    command = next(one for one in commands() if one.startswith("audit p4cnn "))
    section, badge = sorted(made(command, tmp_path).items())
    kept = (ROOT / section[0]).read_text()
    before, weights = kept[: kept.index(ARITHMETIC)], kept[kept.index("Weights: ") :]
    assert NUMBER.sub("#", section[1]) == NUMBER.sub("#", before + weights)
    assert stale(dict([badge])) == []
    assert stale({badge[0]: badge[1].replace("exact at 28", "exact at 27")}) == [badge[0]]
