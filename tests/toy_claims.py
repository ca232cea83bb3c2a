"""Claims about the toy benchmark, as cards say them, and how they are judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.rows import ClaimRow

if TYPE_CHECKING:
    from tests.toy_results import Study

NUMBER: dict[str, Any] = {
    "kind": "number",
    "id": "exact-upright",
    "benchmark": "toy",
    "entry": "p4cnn@28",
    "quantity": "accuracy.upright",
    "printed": "90.2 ± 0.2",
    "value": 90.2,
    "unit": "accuracy-percent",
    "spread": {"value": 0.2, "kind": "population"},
    "runs": 100,
    "where": "arXiv 1602.07576, Table 1, row P4CNN",
    "standing": "first-hand",
    "tolerance": "accuracy",
}
STATEMENT: dict[str, Any] = {
    "kind": "statement",
    "id": "statement",
    "benchmark": "toy",
    "where": "arXiv 1602.07576, abstract",
    "standing": "first-hand",
    "says": "So it is.",
}


def card(*claims: dict[str, Any], points: float = 1.0) -> dict[str, Any]:
    tolerance = {"points": points, "deviations": 1.0, "because": "a test"}
    return {
        "source": "cohen2016",
        "title": "Claims",
        "summary": "Made up.",
        "tolerances": {"accuracy": tolerance, "parameters": {"points": 0.0, "because": "a count"}},
        "claims": list(claims),
    }


def judged(study: Study, *claims: dict[str, Any], points: float = 1.0) -> list[ClaimRow]:
    parsed = ClaimsCard.model_validate_json(json.dumps(card(*claims, points=points)))
    return judge_claims(study.registry, [parsed], gather(study.registry, study.results))


def reading(**test: Any) -> dict[str, Any]:
    return {**STATEMENT, "readings": [{"name": "one", "printed": "as printed", "test": test}]}


def curve(study: Study, mean: list[float], seeds: int) -> ClaimRow:
    for seed in range(3, seeds):
        study.add(study.record("p4cnn@28", seed, 0.9 + seed % 3 / 500, 0.9 + seed % 3 / 500))
    points = {"at": [0, 90, 180, 270], "mean": mean, "deviation": [0.2] * 4, "deviation_kind": "sample", "runs": 100}
    shared = {key: NUMBER[key] for key in ("benchmark", "entry", "unit", "where", "standing", "tolerance")}
    (row,) = judged(study, {"kind": "curve", "id": "curve", "quantity": "accuracy.angle", **shared, **points})
    return row
