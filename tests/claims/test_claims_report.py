"""What is said beside the verdicts: reasons, next steps, devices, and the report as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.text import claims_as_json, claims_as_markdown
from tests.toy_claims import NUMBER, curve, judged

if TYPE_CHECKING:
    from tests.toy_results import Study


def test_without_a_record_every_claim_has_its_reason(tmp_path: Path) -> None:
    registry = Registry.load()
    rows = judge_claims(registry, read_claims(registry), gather(registry, tmp_path))
    assert {row.verdict for row in rows} == {"not run", "not covered", "not comparable"}
    assert all(row.next for row in rows)
    assert not any(row.fails for row in rows)


def test_what_is_next_names_enough_seeds(study: Study) -> None:
    study.path("p4cnn@28", 2).unlink()
    assert curve(study, [90.2] * 4, seeds=0).next == (
        "a curve is judged from 3 seeds on: gcnnbench run toy --entry p4cnn@28 --seeds 0-2"
    )
    study.path("p4cnn@28", 1).unlink()
    study.path("p4cnn@28", 0).unlink()
    assert curve(study, [90.2] * 4, seeds=0).next == "gcnnbench run toy --entry p4cnn@28"


def test_devices_that_share_a_mean_are_told(study: Study) -> None:
    study.edit("p4cnn@28", 1, provenance__device="cuda")
    rows = judged(study, NUMBER)
    assert rows[0].devices == ("cpu", "cuda")
    assert "1. the mean mixes devices (cpu, cuda)" in claims_as_markdown(rows)


def test_the_report_reads_well_and_parses(study: Study) -> None:
    rows = judged(study, NUMBER, {**NUMBER, "id": "other", "differs": ["other images"]})
    text = claims_as_markdown(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("| exact-upright "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:5] == ["90.20±0.20 (100)", "90.20±0.20 (3)", "0.00 [−0.20, +0.20]", "[−0.33, +0.33]"]
    assert cells[5:] == ["1.00", "0.33", "2", "reproduced, compatible (p = 1.000, Holm 1.000)", "a"]
    assert "a: under the assumption dropout-rate." in " ".join(text.split())
    assert "1. other images" in text
    assert "2 claims; 1 was tested and could have come out otherwise: 1 reproduced." in " ".join(text.split())
    assert "Not judged: 1 not comparable." in " ".join(text.split())
    document = json.loads(claims_as_json(rows))
    assert document["summary"] == {"reproduced": 1, "not comparable": 1}
    assert document["rows"][0]["ours"]["n"] == 3
