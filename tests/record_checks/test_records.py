"""Records that agree with themselves are recomputed; every tampering is refused, and named."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gcnnbench.leaderboard.tables import TABLES
from gcnnbench.record_checks.across_records import Cells
from gcnnbench.record_checks.rates_and_macs import mac_count
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rows import RecordRow, counted, records_as_json, records_as_text
from gcnnbench.runs.spec import spec_digest
from tests.fit_text import is_line, is_text
from tests.toy_records import Toy

if TYPE_CHECKING:
    from tests.toy_results import Study


def verified(study: Study) -> list[RecordRow]:
    return verify_records(study.registry, study.results, count=mac_count(study.registry))


def test_honest_records_are_recomputed(study: Study) -> None:
    rows = verified(study)
    assert [row.findings for row in rows] == [()] * 9
    assert counted(rows) == {"recomputed": 9}
    assert {row.id for row in rows} == {
        str(path.relative_to(study.results)) for path in study.results.glob("toy@2/*/*.json")
    }


def moved_image(study: Study) -> None:
    counts = json.loads(study.path().read_text("utf-8"))["counts"]
    counts["elements"]["rot90"][0][0] += 1
    counts["elements"]["rot90"][0][1] -= 1
    study.edit("p4cnn@28", 0, counts__elements=counts["elements"])


def more_images(study: Study) -> None:
    counts = json.loads(study.path().read_text("utf-8"))["counts"]
    counts["angles"]["90"][0][0] += 50
    study.edit("p4cnn@28", 0, counts__angles=counts["angles"])


def dropped_angle(study: Study) -> None:
    counts = json.loads(study.path().read_text("utf-8"))["counts"]
    del counts["angles"]["180"]
    study.edit("p4cnn@28", 0, counts__angles=counts["angles"])


def swapped_seeds(study: Study) -> None:
    one, two = study.path(seed=0), study.path(seed=1)
    spare = one.with_name("spare")
    one.rename(spare)
    two.rename(one)
    spare.rename(two)


def copied_seed(study: Study) -> None:
    for suffix in (".json", ".safetensors"):
        shutil.copy(study.path(seed=0).with_suffix(suffix), study.path(seed=2).with_suffix(suffix))
    study.edit("p4cnn@28", 2, seed=2)


def copied_record_with_other_weights(study: Study) -> None:
    weights = json.loads(study.path(seed=2).read_text("utf-8"))["weights"]
    shutil.copy(study.path(seed=0), study.path(seed=2))
    study.edit("p4cnn@28", 2, seed=2, weights=weights)


def other_weights(study: Study) -> None:
    one, two = (study.path(entry).with_suffix(".safetensors") for entry in ("p4cnn@28", "p4cnn@27"))
    shutil.copy(two, one)


def flipped_bit(study: Study) -> None:
    path = study.path().with_suffix(".safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def removed_seed(study: Study) -> None:
    study.path(seed=1).unlink()


def removed_seed_and_weights(study: Study) -> None:
    for suffix in (".json", ".safetensors"):
        study.path(seed=1).with_suffix(suffix).unlink()


def removed_last_seed(study: Study) -> None:
    for suffix in (".json", ".safetensors"):
        study.path(seed=2).with_suffix(suffix).unlink()


def edited_protocol(study: Study) -> None:
    protocol = json.loads(study.path().read_text("utf-8"))["spec"]
    protocol["recipe"]["epochs"] = 2
    study.edit("p4cnn@28", 0, spec=protocol)


def edited_table(study: Study) -> None:
    path = study.results / TABLES / "toy@2.md"
    text = path.read_text("utf-8")
    assert "90.20" in text
    path.write_text(text.replace("90.20", "99.20"), "utf-8")


def half_written(study: Study) -> None:
    path = study.path()
    path.write_text(path.read_text("utf-8")[:-500], "utf-8")


def invented_table(study: Study) -> None:
    (study.results / TABLES / "other@1.md").write_text("# 99.9%\n", "utf-8")


def learning_rate(study: Study) -> None:
    (epoch,) = json.loads(study.path().read_text("utf-8"))["training"]["history"]
    study.edit("p4cnn@28", 0, training__history=[epoch | {"learning_rate": 0.02}])


def probed_epoch(study: Study) -> None:
    (epoch,) = json.loads(study.path().read_text("utf-8"))["training"]["history"]
    study.edit("p4cnn@28", 0, training__history=[epoch | {"probes": {"degree": {}}}])


def key_twice(study: Study) -> None:
    text = study.path().read_text("utf-8")
    study.path().write_text(text.replace('"official": true', '"official": false, "official": true'), "utf-8")


def pipe(study: Study) -> None:
    study.path().unlink()
    os.mkfifo(study.path())


def folder(study: Study) -> None:
    study.path().unlink()
    study.path().mkdir()


def folder_of_weights(study: Study) -> None:
    study.path().with_suffix(".safetensors").unlink()
    study.path().with_suffix(".safetensors").mkdir()


TAMPERINGS: list[tuple[str | Callable[[Study], None], str, str]] = [
    (
        "metrics__accuracy.upright=0.99",
        "p4cnn@28/seed-0.json",
        "metrics.accuracy.upright is 0.99, but",
    ),
    ("metrics__flips=0.0001", "p4cnn@28/seed-0.json", "metrics.flips is 0.0001"),
    ("metrics__invariance_error=0.0", "p4cnn@28/seed-0.json", "metrics.invariance_error is 0.0"),
    ("metrics__accuracy.best=1.0", "p4cnn@28/seed-0.json", "metrics.accuracy.best is no metric"),
    ("spec_digest=" + "c" * 64, "p4cnn@28/seed-0.json", "spec: it does not have the digest"),
    ("cost__parameters=24989", "p4cnn@28/seed-0.json", "cost.parameters: 24989, but p4cnn has 24990"),
    ("training__tested_epoch=2", "p4cnn@28/seed-0.json", "training.tested_epoch: 2, but the history chooses 1"),
    ("training__steps=49", "p4cnn@28/seed-0.json", "training.steps: 49, but the recipe makes 50"),
    (
        "provenance__numeric_mode=tf32",
        "p4cnn@28/seed-0.json",
        "provenance.numeric_mode: tf32, but",
    ),
    ("provenance__finished=2025-12-01T00:00:00+00:00", "p4cnn@28/seed-0.json", "finished before it was started"),
    ("official=false", "p4cnn@28/seed-0.json", "official: a record is official, or says"),
    ("weights__bytes=7", "p4cnn@28/seed-0.json", "weights.bytes: 7, but"),
    ("equivariance__exactness_after__decision=approximate", "p4cnn@28/seed-0.json", "certificate says exact"),
    ('equivariance__relaxation={"logits": -0.1}', "p4cnn@28/seed-0.json", "relaxation.logits: -0.1 is not"),
    ("entry=p4cnn@27", "p4cnn@28/seed-0.json", "says that it is toy@2 p4cnn@27 seed 0"),
    ("surprise=1", "p4cnn@28/seed-0.json", "no record: surprise"),
    ("cost__test_seconds=NaN", "p4cnn@28/seed-0.json", "no record: NaN is no number of JSON|expected"),
    ("cost__test_seconds=1e308", "p4cnn@28/seed-0.json", "no record: cost.test_seconds: Input should be less"),
    ("cost__test_images_per_second=-5.0", "p4cnn@28/seed-0.json", "no record: cost.test_images_per_second: Input"),
    ("cost__test_images_per_second=1234.5", "p4cnn@28/seed-0.json", "does not give whole passes over the test images"),
    ("cost__train_images_per_second=11.0", "p4cnn@28/seed-0.json", "does not give the images of the recipe's epochs"),
    ("cost__train_seconds=9.0", "p4cnn@28/seed-0.json", "the seconds of the epochs do not add up to it"),
    ("cost__macs=7", "p4cnn@28/seed-0.json", "cost.macs: 7, but p4cnn@28 makes "),
    ("provenance__started=1970-01-01T00:00:00+00:00", "p4cnn@28/seed-0.json", "before there was this suite"),
    ("provenance__finished=2099-01-01T00:00:00+00:00", "p4cnn@28/seed-0.json", "which is still to come"),
    ("provenance__device_name=a\nb", "p4cnn@28/seed-0.json", "no record: provenance.device_name: "),
    (
        "equivariance__exactness_after__first_break=\u202ecnn",
        "p4cnn@28/seed-0.json",
        "no record: equivariance.exactness_after.first_break: ",
    ),
    ("checksum=" + "c" * 64, "p4cnn@28/seed-0.json", "checksum: not that of the record's content"),
    (
        learning_rate,
        "p4cnn@28/seed-0.json",
        "training.history: epoch 1 says the learning rate 0.02, the schedule gives",
    ),
    (probed_epoch, "p4cnn@28/seed-0.json", "history[1].probes: degree, but the protocol asks for nothing"),
    ('probes={"degree": {}}', "p4cnn@28/seed-0.json", "probes: degree, but the protocol asks for nothing"),
    (key_twice, "p4cnn@28/seed-0.json", "no record: the key 'official' stands twice"),
    (pipe, "p4cnn@28/seed-0.json", "cannot be read: it is no plain file"),
    (folder, "p4cnn@28/seed-0.json", "cannot be read: it is no plain file"),
    (folder_of_weights, "p4cnn@28/seed-0.json", "weights: seed-0.safetensors cannot be read: it is no plain file"),
    (moved_image, "p4cnn@28/seed-0.json", "counts.flips.rot90: its column sums"),
    (more_images, "p4cnn@28/seed-0.json", "counts.angles.90 has other test labels"),
    (dropped_angle, "p4cnn@28/seed-0.json", "counts.angles: not every 90 degrees"),
    (swapped_seeds, "p4cnn@28/seed-0.json", "says that it is toy@2 p4cnn@28 seed 1"),
    (copied_seed, "p4cnn@28/seed-2.json", "weights: the same as those of"),
    (copied_record_with_other_weights, "p4cnn@28/seed-2.json", "counts: the same as those of"),
    (other_weights, "p4cnn@28/seed-0.json", "seed-0.safetensors is not the file"),
    (flipped_bit, "p4cnn@28/seed-0.json", "seed-0.safetensors is not the file"),
    (removed_seed, "p4cnn@28/seed-1.safetensors", "weights without a record"),
    (removed_seed_and_weights, "toy@2/p4cnn@28", "seed 1 missing below others and not failed"),
    (removed_last_seed, "tables/toy@2.md", "not the table that the records make"),
    (edited_protocol, "p4cnn@28/seed-0.json", "spec: it does not have the digest"),
    (edited_table, "tables/toy@2.md", "not the table that the records make"),
    (half_written, "p4cnn@28/seed-0.json", "no record: EOF while parsing"),
    (invented_table, "tables/other@1.md", "there is no record from which it could be made"),
]


@pytest.mark.parametrize(("tampering", "place", "told"), TAMPERINGS)
def test_every_tampering_is_refused_by_name(
    study: Study, tampering: str | Callable[[Study], None], place: str, told: str
) -> None:
    if isinstance(tampering, str):
        key, _, value = tampering.partition("=")
        try:
            study.edit("p4cnn@28", 0, **{key: json.loads(value)})
        except json.JSONDecodeError:
            study.edit("p4cnn@28", 0, **{key: value})
    else:
        tampering(study)
    rows = [row for row in verified(study) if row.id.endswith(place)]
    assert [row.grade for row in rows] == ["refused"]
    assert any(re.search("|".join(map(re.escape, told.split("|"))), one) for one in rows[0].findings), rows[0].findings
    assert all(is_line(finding) for finding in rows[0].findings)


def test_a_failed_seed_leaves_no_gap(study: Study) -> None:
    record = study.record("p4cnn@28", 1, 0.9, 0.9)
    removed_seed_and_weights(study)
    failure = {
        "phase": "training",
        "epoch": 1,
        "reason": "the loss is NaN",
        "at": "2026-01-01T00:00:00Z",
        "schema_version": 1,
    }
    cell = {"benchmark": "toy@2", "entry": "p4cnn@28", "seed": 1, "spec_digest": record.spec_digest}
    study.path(seed=1).with_suffix(".failed.json").write_text(json.dumps(failure | cell), "utf-8")
    study.write_tables()
    rows = verified(study)
    assert not any(row.findings for row in rows)
    assert [row.notes for row in rows if row.grade == "not checkable"] == [("failed: the loss is NaN",)]


@pytest.mark.parametrize(
    ("tested", "findings"), [(2, []), (3, ["training.tested_epoch: 3, but the history chooses 2"])]
)
def test_the_tested_epoch_is_the_first_best_one(study: Study, tested: int, findings: list[str]) -> None:
    data = json.loads(study.path().read_text("utf-8"))
    protocol = data["spec"]
    protocol["recipe"] |= {"epochs": 3, "tested_model": "best-validation"}
    protocol["split"]["validation"] = {"part": "all", "images": 10}
    (epoch,) = data["training"]["history"]
    history = [epoch | {"epoch": n, "validation_accuracy": score} for n, score in ((1, 0.5), (2, 0.9), (3, 0.9))]
    training = {"history": history, "steps": 150, "tested_epoch": tested}
    cost = {"cost__train_seconds": 30.0}
    study.edit("p4cnn@28", 0, spec=protocol, spec_digest=spec_digest(protocol), training=training, **cost)
    (row,) = [row for row in verified(study) if row.id.endswith("p4cnn@28/seed-0.json")]
    assert list(row.findings) == findings
    changed = "recipe.epochs is 3, now 1, recipe.tested_model is best-validation, now last, "
    changed += "split.validation is {'part': 'all', 'images': 10}, now absent"
    assert row.notes == (f"stale: not on the leaderboard ({changed})",)


def test_what_does_not_count_is_noted_and_still_recomputed(study: Study) -> None:
    study.add(study.record("p4cnn@28", SEEDS_OF_PROTOCOL, 0.91, 0.91))
    study.write_tables()
    (extra,) = [row for row in verified(study) if row.id.endswith(f"seed-{SEEDS_OF_PROTOCOL}.json")]
    assert (extra.grade, extra.notes) == ("recomputed", ("extra seed: not on the leaderboard",))


SEEDS_OF_PROTOCOL = 3


def test_the_report_reads_well_and_parses(study: Study) -> None:
    study.edit("p4cnn@28", 0, **{"metrics__accuracy.upright": 0.99})
    rows = verified(study)
    text = records_as_text(rows)
    assert "refused        toy@2/p4cnn@28/seed-0.json\n    metrics.accuracy.upright is 0.99" in text
    assert text.endswith("8 recomputed, 5 refused.\n"), "four of the kept tables show the record"
    assert json.loads(records_as_json(rows))["summary"] == {"recomputed": 8, "refused": 5}


def test_names_of_files_are_shown_and_take_no_hold_of_a_terminal(study: Study) -> None:
    """Names come from outside, too: with escape sequences, turned writing, or bytes that are no text."""
    folder = study.path().parent
    hostile = [
        b"seed-\x1b[2J.json",
        "seed-\u202e.json".encode(),
        b"seed-\xff.json",
        b"seed-\n.json",
        b"\x1b.safetensors",
    ]
    for name in hostile:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"{}")
    rows = verified(study)
    assert sum(row.grade == "refused" for row in rows) == len(hostile)
    assert is_text(records_as_text(rows))
    assert records_as_json(rows).encode("utf-8")


def test_cells_that_train_alike_and_are_scored_otherwise_may_share_their_weights() -> None:
    """As a network and its average over turned copies; a copy under another name has the counts or another training."""

    def findings(**changes: Any) -> list[str]:
        cells, network = Cells({}), Toy.record("p4cnn@28", 0, 0.9, 0.7)
        averaged = Toy.record("p4cnn@27", 0, 0.8, 0.8).model_copy(update=changes)
        rows = []
        for record in (network, averaged):
            place = f"{record.entry}/seed-{record.seed}.json"
            cells.add(place, "seed", record)
            rows.append(RecordRow(place, "recomputed"))
        return [one for row in cells.compared(rows, {}) for one in row.findings]

    assert findings() == []
    course = Toy.record("p4cnn@27").training
    faster = course.history[0].model_copy(update={"train_loss": 0.5})
    otherwise = course.model_copy(update={"history": (faster, *course.history[1:])})
    for change in ({"counts": Toy.record("p4cnn@28", 0, 0.9, 0.7).counts}, {"training": otherwise}, {"seed": 1}):
        assert len(findings(**change)) == 2, change
    assert findings(weights=Toy.record("p4cnn@27").weights.model_copy(update={"sha256": "c" * 64})) == []
