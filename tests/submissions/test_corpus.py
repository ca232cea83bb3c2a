"""Every bad submission of the corpus is refused by the check that is named for it, and harms nothing.

Bad folders stand in `test_folder.py`, bad bundles in `test_bundle.py`; here is bad code, and what running it shows.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from torch.nn import functional

from gcnnbench.submissions import cell_jobs, sandbox
from gcnnbench.submissions.containment import Isolation
from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.limits import Limits
from gcnnbench.submissions.verifying import verify_bundle
from tests.submissions.contained import BAD, CHEATS, HONEST, LIMITS, needs_isolation, submission, uncontained
from tests.submissions.tampering import SEED_0, reseal

HARMLESS = {
    "all_tied": "ties",
    "adapting_to_the_test": "state",
    "batch_leakage": "batch-independence",
    "bound_to_the_cpu": "portability",
    "broken_import": "import",
    "carried_state": "state",
    "double_precision": "interface",
    "ensemble_in_disguise": "passes",
    "hidden_training": "state",
    "in_place": "input",
    "look_up": "look-up",
    "no_network": "build",
    "not_a_number": "not-finite",
    "order_dependent": "order",
    "patched_torch": "integrity",
    "random_forward": "determinism",
    "unused_parameter": "gradient",
    "wrong_parameter_count": "parameters",
}
"""Wrong as networks, harmless as programs: they meet the job in the process of the tests."""

HARMFUL = {
    "endless_loop": "time-limit",
    "file_flood": "output-limit",
    "forged_report": "unreadable-result",
    "huge_output": "output-limit",
    "memory_hog": "memory-limit",
    "memory_hog_in_disguise": "memory-limit",
    "memory_of_many": "memory-limit",
    "process_flood": "process-limit",
    "silent_exit": "crash",
}
"""Run in a container only."""


def test_the_corpus_is_the_folder() -> None:
    assert {path.stem for path in BAD.glob("*.py")} == {*HARMLESS, *HARMFUL, *CHEATS, "honest", "learnt", "nosy"}
    assert len(HARMLESS) + len(HARMFUL) + len(CHEATS) >= 25


def test_the_honest_network_passes(tmp_path: Path) -> None:
    assert submission(tmp_path, "honest").run_here(tmp_path) == {}


@pytest.mark.parametrize(("name", "check"), HARMLESS.items())
def test_is_refused_by_the_check_named_for_it(
    name: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "cross_entropy", functional.cross_entropy)  # to be put back
    assert check in submission(tmp_path, name).run_here(tmp_path)


def test_false_claims_of_exactness_are_refused(tmp_path: Path) -> None:
    """The mean over the image makes no 3×3 convolution invariant."""
    claims = HONEST.model_copy(update={"group": "p4", "exact_at": (8,)})
    found = submission(tmp_path, "honest", model=claims).run_here(tmp_path)
    assert set(found) == {"exactness"}
    assert "the card says exact at 8, and the audit finds approximate" in found["exactness"]


def test_claims_of_a_learnt_symmetry_are_tried(tmp_path: Path) -> None:
    """The pathway's free half stands anywhere; without it the mean over the image is invariant."""
    counted = HONEST.parameters[0].model_copy(update={"count": 234, "macs": 9256})
    learnt = HONEST.model_copy(update={"group": "p4", "learnt_at": (8,), "parameters": (counted,)})
    assert submission(tmp_path, "learnt", model=learnt).run_here(tmp_path) == {}
    exact = learnt.model_copy(update={"learnt_at": (), "exact_at": (8,)})
    found = submission(tmp_path / "exact", "learnt", model=exact).run_here(tmp_path)
    assert "the card says exact at 8, and the audit finds approximate" in found["exactness"]
    claims = HONEST.model_copy(update={"group": "p4", "learnt_at": (8,)})
    found = submission(tmp_path / "none", "honest", model=claims).run_here(tmp_path)
    assert "the card says learnt at 8, and no module of the network has `symmetric()`" in found["exactness"]


def test_a_wrong_number_of_macs_is_refused(tmp_path: Path) -> None:
    counted = HONEST.parameters[0].model_copy(update={"macs": 3515})
    claims = HONEST.model_copy(update={"parameters": (counted,)})
    found = submission(tmp_path, "honest", model=claims).run_here(tmp_path)
    assert found == {"macs": "one image takes 3516 multiply-accumulates, and the card says 3515"}


def test_a_look_up_of_test_images_is_refused_when_they_are_scored(tmp_path: Path) -> None:
    assert "look-up" in submission(tmp_path, "look_up").run_here(tmp_path, "score")


def test_swapped_weights_are_found_by_scoring_them_again(
    bundle: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds bring each other's weights, and records and manifest were made to agree."""
    places = [bundle / SEED_0, bundle / SEED_0.replace("seed-0", "seed-1")]
    records = [json.loads(place.read_text()) for place in places]
    weights = [place.with_suffix(".safetensors").read_bytes() for place in places]
    for place, record, other, content in zip(places, records, records[::-1], weights[::-1], strict=True):
        place.write_text(json.dumps(record | {"weights": other["weights"], "checksum": None}))
        place.with_suffix(".safetensors").write_bytes(content)
    reseal(bundle)
    monkeypatch.setattr(cell_jobs, "run_isolated", uncontained(tmp_path))
    with pytest.raises(Refused) as caught:
        verify_bundle(bundle, Path("unused"), depth="rescore", include=[mini])
    assert {finding.check for finding in caught.value.findings} == {"rescore"}
    assert len({finding.what.partition(":")[0] for finding in caught.value.findings}) == 2


@needs_isolation
@pytest.mark.parametrize(("name", "check"), HARMFUL.items())
def test_is_stopped_by_the_limit_named_for_it(name: str, check: str, tmp_path: Path) -> None:
    limits = Limits(**{**vars(LIMITS), "seconds": 10 if name == "endless_loop" else 120})
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    start = time.monotonic()
    outcome = submission(tmp_path, name).run(limits=limits)
    assert [finding.check for finding in outcome.findings] == [check], outcome
    assert time.monotonic() - start < 240
    assert outcome.tensors == {}
    assert len(outcome.log.encode()) <= 3 * 2**16
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before
    assert {path.name for path in (tmp_path / "bad").iterdir()} == {"honest.py", "model.py"}


def test_trusted_code_is_stopped_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a container there are still limits, and an end that is no result."""
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation("none", "not wanted"))
    bad = submission(tmp_path, "silent_exit")
    outcome = sandbox.run_isolated("probe", bad.code, bad.arguments, bad.tensors("probe"), LIMITS, trust=True)
    assert [finding.check for finding in outcome.findings] == ["crash"]
    assert "exit code 0 and no report" in outcome.findings[0].what
