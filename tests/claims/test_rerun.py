"""Which cells claims wait for, and that they are run by the ordinary executor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.next_steps import awaited_cells
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.cli.verify_claims_verb import _run_awaited
from gcnnbench.runs.store import Store

if TYPE_CHECKING:
    from tests.toy_results import Study

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


def claim(benchmark: str, entry: str, **changes: Any) -> dict[str, Any]:
    fixed = {"kind": "number", "quantity": "accuracy.upright", "unit": "accuracy-percent", "tolerance": "accuracy"}
    told = {"printed": "90.2", "value": 90.2, "where": "arXiv 1602.07576, Table 1, row P4CNN", "standing": "first-hand"}
    return {**fixed, **told, "id": entry.replace("@", "-"), "benchmark": benchmark, "entry": entry, **changes}


def rows(registry: Registry, results: Path, *claims: dict[str, Any]) -> list[ClaimRow]:
    tolerances = {"accuracy": {"points": 1.0, "because": "a test"}}
    content = {"source": "cohen2016", "title": "t", "summary": "s", "tolerances": tolerances, "claims": list(claims)}
    return judge_claims(registry, [ClaimsCard.model_validate_json(json.dumps(content))], gather(registry, results))


def test_only_what_undecided_claims_lack_is_awaited(study: Study) -> None:
    for seed in (1, 2):
        study.path("p4cnn@28", seed).unlink()
    for seed in range(3):
        study.path("p4cnn@27", seed).unlink()
    claims = [
        claim("toy", "p4cnn@28"),
        claim("toy", "p4cnn@28", id="again"),
        claim("toy", "z2cnn@28", printed="10.0", value=10.0),
        claim("toy", "p4cnn@27", differs=["other images"]),
    ]
    judged = rows(study.registry, study.results, *claims)
    assert [row.verdict for row in judged] == ["inconclusive", "inconclusive", "refuted", "not comparable"]
    cells = awaited_cells(study.registry, judged, Store(study.results), "cpu", Path())
    assert [(cell.entry, cell.seed) for cell in cells] == [("p4cnn@28", 1), ("p4cnn@28", 2)]


def test_what_is_awaited_is_run_and_judged(tmp_path: Path) -> None:
    registry = Registry.load([TINY])
    card = registry.benchmark("tiny").model_copy(update={"seeds": 1})
    registry = replace(registry, benchmarks={**registry.benchmarks, "tiny": card})
    wanted = claim("tiny", "z2cnn@8")
    before = rows(registry, tmp_path, wanted)
    assert [row.verdict for row in before] == ["not run"]
    assert _run_awaited(registry, before, tmp_path, "cpu", tmp_path) == 0
    assert [path.name for path in tmp_path.glob("tiny@1/*/*.json")] == ["seed-0.json"]
    (after,) = rows(registry, tmp_path, wanted)
    assert (after.verdict, after.seeds) == ("inconclusive", 1)
    assert _run_awaited(registry, [after], tmp_path, "cpu", tmp_path) == 0, "nothing is left to run"
