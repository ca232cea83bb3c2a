"""Two results directories cell by cell: equal to the bit or not, and a planted disagreement is found and named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.compare.directories import SetComparison, compare_sets
from gcnnbench.compare.text import sets_as_markdown
from gcnnbench.errors import UserError
from gcnnbench.runs.record import sealed
from gcnnbench.runs.store import read_record
from gcnnbench.statistics import paired, summary, welch
from gcnnbench.strict_json import json_document

if TYPE_CHECKING:
    from tests.toy_records import Toy


@pytest.fixture
def folders(toy: Toy, tmp_path: Path) -> tuple[Path, Path]:
    """The same three seeds of two entries in both."""
    for name in ("first", "second"):
        for entry in ("p4cnn@28", "z2cnn@28"):
            for seed in range(3):
                toy.write(tmp_path / name, toy.record(entry, seed, 0.9 + 0.01 * seed))
    return tmp_path / "first", tmp_path / "second"


def states(found: SetComparison, entry: str = "p4cnn@28") -> list[tuple[str, tuple[str, ...]]]:
    return [(pair.state, pair.differs) for pair in found.cells if pair.entry == entry]


def changed(toy: Toy, folder: Path, seed: int, **changes: Any) -> None:
    toy.write(folder, toy.record("p4cnn@28", seed, **{"upright": 0.9 + 0.01 * seed, **changes}))


def test_the_same_records_differ_in_nothing(folders: tuple[Path, Path]) -> None:
    found = compare_sets(*folders)
    assert {pair.state for pair in found.cells} == {"same file"}
    assert len(found.cells) == 6
    assert (found.protocol, found.surroundings, found.comparisons) == ((), (), ())
    assert "In the common cells the protocols are the same." in sets_as_markdown(found)


def test_a_planted_disagreement_is_found_named_and_measured(toy: Toy, folders: tuple[Path, Path]) -> None:
    changed(toy, folders[1], 1, upright=0.95)
    found = compare_sets(*folders)
    assert states(found) == [("same file", ()), ("other numbers", ("counts", "metrics")), ("same file", ())]
    assert states(found, "z2cnn@28") == [("same file", ())] * 3
    (comparison,) = found.comparisons
    upright = next(metric for metric in comparison.metrics if metric.metric == "accuracy.upright")
    assert upright.welch == welch(summary([0.9, 0.91, 0.92]), summary([0.9, 0.95, 0.92]))
    assert upright.paired == paired([0.0, 0.91 - 0.95, 0.0])
    text = sets_as_markdown(found)
    assert "| other numbers | counts, metrics |" in text
    assert "−1.33" in text
    assert max(len(line) for line in text.splitlines() if str(folders[0].parent) not in line) <= 100


def test_only_the_common_seeds_are_compared(toy: Toy, folders: tuple[Path, Path]) -> None:
    changed(toy, folders[1], 1, upright=0.95)
    (folders[1] / "toy@2/p4cnn@28/seed-2.json").unlink()
    (comparison,) = compare_sets(*folders).comparisons
    upright = next(metric for metric in comparison.metrics if metric.metric == "accuracy.upright")
    assert (upright.first, upright.second) == (summary([0.9, 0.91]), summary([0.9, 0.95]))


def test_other_machines_with_the_same_numbers(toy: Toy, folders: tuple[Path, Path]) -> None:
    changed(toy, folders[1], 2, device_name="another CPU")
    found = compare_sets(*folders)
    assert states(found)[2] == ("same numbers", ())
    (change,) = found.surroundings
    assert (change.field, change.first, change.second, change.cells) == ("device_name", "a CPU", "another CPU", 1)
    assert found.comparisons == ()


def test_readings_of_probes_are_numbers_too(toy: Toy, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "results" / "degree-digits-halves@1" / "p4cnn-free@12" / "seed-0.json"
    record = read_record(path)
    for name, reading in (("first", 0.25), ("second", 0.5)):
        toy.write(tmp_path / name, sealed(record.model_copy(update={"probes": {"degree": {"layer": reading}}})))
    found = compare_sets(tmp_path / "first", tmp_path / "second")
    assert states(found, "p4cnn-free@12") == [("other numbers", ("probes",))]


def test_another_protocol_is_told_field_by_field(toy: Toy, folders: tuple[Path, Path]) -> None:
    for seed in range(3):
        changed(toy, folders[1], seed, spec=toy.protocol("p4cnn@28", epochs=5, drop_last=True))
    found = compare_sets(*folders)
    assert states(found) == [("other numbers", ("protocol", "training"))] * 3
    assert [(change.field, change.first, change.second, change.cells) for change in found.protocol] == [
        ("recipe.drop_last", "False", "True", 3),
        ("recipe.epochs", "1", "5", 3),
    ]


def test_cells_in_one_directory_only(toy: Toy, folders: tuple[Path, Path]) -> None:
    (folders[0] / "toy@2/p4cnn@28/seed-0.json").unlink()
    (folders[1] / "toy@2/p4cnn@28/seed-2.json").unlink()
    (folders[1] / "toy@2/z2cnn@28/seed-0.json").write_text("{}")
    found = compare_sets(*folders)
    assert [state for state, _ in states(found)] == ["only second", "same file", "only first"]
    assert next(state for state, _ in states(found, "z2cnn@28")) == "only first"
    assert "no record" in found.unreadable[0]


def test_numeric_modes_may_differ_between_the_sides_but_not_within_one(toy: Toy, folders: tuple[Path, Path]) -> None:
    for seed in range(3):
        other = toy.protocol("p4cnn@28", numeric_mode="tf32")
        changed(toy, folders[1], seed, upright=0.8, numeric_mode="tf32", spec=other)
    assert len(compare_sets(*folders).comparisons) == 1
    changed(toy, folders[1], 0, upright=0.8)
    with pytest.raises(UserError, match=r"several numeric modes \(fp32, tf32\)"):
        compare_sets(*folders)


def test_flipped_predictions_are_counted_image_by_image(toy: Toy, folders: tuple[Path, Path]) -> None:
    """One image right only in the first and seven only in the second: McNemar's exact p is 0.0703."""
    labels = np.zeros(1000, dtype=np.int64)
    for folder, wrong in zip(folders, (slice(0, 7), slice(7, 8)), strict=True):
        right = np.ones(1000, dtype=bool)
        right[wrong] = False
        logits = np.eye(2, dtype=np.float32)[np.where(right, 0, 1)]
        content = save({"logits": np.stack([logits] * 4), "labels": labels})
        sha256 = hashlib.sha256(content).hexdigest()
        (folder / "outputs").mkdir()
        (folder / "outputs" / f"{sha256}.safetensors").write_bytes(content)
        changed(toy, folder, 0, outputs={"sha256": sha256, "bytes": len(content)})
    found = compare_sets(*folders)
    assert states(found)[0] == ("other numbers", ("outputs",))
    (image,) = found.comparisons[0].images
    assert (image.seed, image.first_only, image.second_only) == (0, 1, 7)
    assert image.p == pytest.approx(0.0703, abs=5e-5)
    assert found.comparisons[0].bootstrap is not None
    low, high = found.comparisons[0].bootstrap
    assert low < -0.006 < high
    assert any(gap.startswith("seeds 1–2 not compared image by image") for gap in found.comparisons[0].gaps)


@pytest.mark.parametrize(
    ("second", "benchmarks", "told"),
    [
        ("first", (), "compared with itself; name another results directory in --against"),
        ("nowhere", (), "no record there; a results directory is what `gcnnbench run` writes"),
        ("second", ("toys",), "has no record of toys; did you mean toy"),
    ],
)
def test_what_cannot_be_compared(
    folders: tuple[Path, Path], second: str, benchmarks: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        compare_sets(folders[0], folders[0].parent / second, benchmarks)


def test_directories_without_a_common_cell(toy: Toy, folders: tuple[Path, Path], tmp_path: Path) -> None:
    toy.write(tmp_path / "third", toy.record("p4cnn@27", 9))
    with pytest.raises(UserError, match="have no cell in common"):
        compare_sets(folders[0], tmp_path / "third")


def test_the_verb_takes_benchmarks_and_prints_one_document(folders: tuple[Path, Path]) -> None:
    words = ["compare", "toy", "--results", str(folders[0]), "--against", str(folders[1])]
    result = CliRunner().invoke(build_app(), [*words, "--format", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(json_document(compare_sets(*folders, ("toy@2",))))
    clash = CliRunner().invoke(build_app(), [*words, "--against-revision", "HEAD"])
    assert isinstance(clash.exception, UserError)
    assert "--against and --against-revision are two comparisons" in str(clash.exception)
    alone = CliRunner().invoke(build_app(), ["compare", "toy/p4cnn@28"])
    assert "compare what with what? write one of" in str(alone.exception)
