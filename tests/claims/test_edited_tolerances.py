"""A tolerance that was edited after the records were made is flagged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gcnnbench.claims.rows import warn_of_edits
from gcnnbench.claims.tolerances import tolerances_since
from tests.toy_claims import NUMBER, card, judged

if TYPE_CHECKING:
    from tests.toy_results import Study


def committing(folder: Path) -> Callable[..., None]:
    """Runs git in a folder, at a time."""

    def git(*arguments: str, at: str = "2024-01-01T00:00:00+00:00") -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        environment = {**os.environ, "GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        command = ["git", "-C", str(folder), *identity, *arguments]
        subprocess.run(command, check=True, env=environment, capture_output=True)

    return git


def test_an_edited_tolerance_is_flagged(study: Study, tmp_path: Path) -> None:
    path, git = tmp_path / "cohen2016.yaml", committing(tmp_path)

    def write(*claims: dict[str, Any], points: float = 1.0, **more: Any) -> None:
        content = card(*claims, points=points)
        content["tolerances"] |= more
        path.write_text(yaml.safe_dump(content), "utf-8")

    write(NUMBER)
    assert tolerances_since(path) == {}, "no history, no knowledge"
    git("init", "-q")
    git("add", "cohen2016.yaml")
    git("commit", "-q", "-m", "claims")
    first = {"exact-upright": datetime(2024, 1, 1, tzinfo=UTC)}
    assert tolerances_since(path) == first
    wide = {"points": 9.0, "because": "wider"}
    write({**NUMBER, "note": "a text"}, {**NUMBER, "id": "another", "tolerance": "wide"}, wide=wide)
    git("commit", "-q", "-a", "-m", "another claim with a tolerance of its own", at="2024-06-01T00:00:00+00:00")
    assert tolerances_since(path) == first | {"another": datetime(2024, 6, 1, tzinfo=UTC)}
    (tmp_path / "moved").mkdir()
    git("mv", "cohen2016.yaml", "moved/cohen2016.yaml")
    git("commit", "-q", "-m", "a move edits nothing", at="2024-09-01T00:00:00+00:00")
    path = tmp_path / "moved" / "cohen2016.yaml"
    assert tolerances_since(path) == first | {"another": datetime(2024, 6, 1, tzinfo=UTC)}
    write(NUMBER, points=9.0)
    assert tolerances_since(path)["exact-upright"] > datetime(2025, 1, 1, tzinfo=UTC), "an edit that is not committed"
    edits: dict[str, dict[str, Any]] = {
        "wider": {"points": 9.0},
        "another tolerance of the card": {"wide": wide},
        "a larger spread to multiply": {},
    }
    for edit, content in edits.items():
        claim = {**NUMBER, **({"tolerance": "wide"} if "another" in edit else {})}
        claim |= {"spread": {"value": 90.2, "kind": "sample"}} if "spread" in edit else {}
        write(claim, **content)
        git("commit", "-q", "-a", "-m", edit, at="2026-03-01T00:00:00+00:00")
        since = {"cohen2016": tolerances_since(path)}
        (warned,) = warn_of_edits(judged(study, NUMBER), since)
        assert "edited after these records were begun (2026-03-01" in warned.warning, edit
        write(NUMBER)
        git("commit", "-q", "-a", "-m", "back", at="2026-03-02T00:00:00+00:00")


def test_a_tolerance_that_stood_before_the_records_is_not_flagged(study: Study) -> None:
    rows = judged(study, NUMBER)
    early = {"exact-upright": datetime(2024, 1, 1, tzinfo=UTC)}
    histories: list[dict[str, dict[str, datetime]]] = [{"cohen2016": early}, {"cohen2016": {}}, {}]
    for since in histories:
        assert [row.warning for row in warn_of_edits(rows, since)] == [""]


def test_a_shallow_clone_says_nothing_of_when(tmp_path: Path) -> None:
    whole, git = tmp_path / "whole", committing(tmp_path / "whole")
    whole.mkdir()
    git("init", "-q")
    for points, year in ((1.0, 2024), (2.0, 2025)):
        (whole / "cohen2016.yaml").write_text(yaml.safe_dump(card(NUMBER, points=points)), "utf-8")
        git("add", "cohen2016.yaml")
        git("commit", "-q", "-m", "claims", at=f"{year}-01-01T00:00:00+00:00")
    assert tolerances_since(whole / "cohen2016.yaml") == {"exact-upright": datetime(2025, 1, 1, tzinfo=UTC)}
    git("clone", "-q", "--depth", "1", f"file://{whole}", str(tmp_path / "shallow"))
    assert tolerances_since(tmp_path / "shallow" / "cohen2016.yaml") == {}
