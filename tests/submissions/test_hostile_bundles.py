"""Bundles made to deceive or to break the verifier: each is refused by the check named for what was done to it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from gcnnbench.errors import UserError
from gcnnbench.runs.store import Store
from gcnnbench.submissions import cell_jobs, checking
from gcnnbench.submissions.accepting import accept
from gcnnbench.submissions.findings import MOST_FINDINGS, Finding, Refused
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.manifest import MANIFEST, Manifest
from gcnnbench.submissions.tree import DEPTH, FILES
from gcnnbench.submissions.verifying import verify_bundle
from tests.submissions.contained import uncontained
from tests.submissions.tampering import (
    CARD,
    SEED_0,
    edit_card,
    edit_manifest,
    edit_record,
    refused,
    replace_outputs,
    reseal,
)

OUTPUTS = "results/outputs"
SIZES = "exact_at: [12]\napproximate_at: [11]"


def _nested(bundle: Path) -> None:
    place = bundle
    for _ in range(300):
        place = place / "d"
    place.mkdir(parents=True)
    (place / "file").touch()


def _deep_spec(bundle: Path) -> None:
    text = (bundle / SEED_0).read_text()
    place = text.index('"spec": {') + len('"spec": {')
    (bundle / SEED_0).write_text(text[:place] + '"x": ' + "[" * 50_000 + "]" * 50_000 + "," + text[place:])
    reseal(bundle)


def _sparse(bundle: Path) -> None:
    """A file of a terabyte that holds nothing, as the manifest says."""
    name = f"{OUTPUTS}/{'0' * 64}.safetensors"
    with (bundle / name).open("wb") as file:
        file.truncate(2**40)
    edit_manifest(lambda data: data["files"].update({name: {"sha256": "0" * 64, "bytes": 2**40}}))(bundle)


def _sparse_record(bundle: Path) -> None:
    with (bundle / SEED_0).open("ab") as file:
        file.truncate(2**40)
    edit_manifest(lambda data: data["files"][SEED_0].update(bytes=2**40))(bundle)


def _many_files(bundle: Path) -> None:
    for number in range(FILES + 1):
        (bundle / "models" / "mynet" / f"{number}.py").touch()


def _outputs(shape: tuple[int, ...], **more: Any) -> Callable[[Path], None]:
    def make(bundle: Path) -> None:
        tensors = {"logits": torch.zeros(shape), "angle_classes": torch.zeros(2, 48, dtype=torch.int16)}
        replace_outputs(bundle, safetensors.torch.save(tensors | {"labels": torch.zeros(48, dtype=torch.int64)} | more))

    return make


def _misnamed(bundle: Path) -> None:
    path = next((bundle / OUTPUTS).iterdir())
    path.rename(path.with_name(f"{'a' * 64}.safetensors"))
    reseal(bundle)


def _unreferenced(bundle: Path) -> None:
    content = b"whatever its author likes"
    path = bundle / OUTPUTS / f"{hashlib.sha256(content).hexdigest()}.safetensors"
    path.write_bytes(content)
    reseal(bundle)


def _text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _rewrite(name: str, text: str) -> Callable[[Path], None]:
    def write(bundle: Path) -> None:
        (bundle / name).write_text(text)
        reseal(bundle)

    return write


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of the manifest."""

    def replace(bundle: Path) -> None:
        (bundle / MANIFEST).unlink()
        make(bundle / MANIFEST)

    return replace


_uncommitted = edit_record(lambda data: data["weights"].update(committed=False))


def _empty_counts(data: dict[str, Any]) -> None:
    data["counts"].update(elements={}, angles={}, flips={})


READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "macs on the card": (edit_card("macs: ", "macs: 1"), "macs"),
    "sizes swapped on the card": (
        edit_card(SIZES, "exact_at: [11]\napproximate_at: [12]"),
        "exactness",
    ),
    "weights outside that are not there": (
        edit_record(lambda data: data["weights"].update(committed=False)),
        "missing-file",
    ),
    "counts of nothing": (edit_record(_empty_counts), "record"),
    "counts of a class too many": (
        edit_record(lambda data: [row.append(0) for row in data["counts"]["elements"]["upright"]]),
        "record",
    ),
    "a spec 50,000 deep": (_deep_spec, "record"),
    "a record that is a list": (_rewrite(SEED_0, "[]"), "record"),
    "an empty record": (_rewrite(SEED_0, ""), "record"),
    "no outputs": (edit_record(lambda data: data.update(outputs=None)), "completeness"),
    "a spec without its evaluation": (edit_record(lambda data: data["spec"].pop("evaluation")), "record"),
    "a spec of numbers": (edit_record(lambda data: data["spec"].update(evaluation=7, recipe=[])), "record"),
    "300 nested folders": (_nested, "size-limit"),
    "more files than are read": (_many_files, "size-limit"),
    "a sparse file of 1 TiB": (_sparse, "size-limit"),
    "a sparse record of 1 TiB": (_sparse_record, "size-limit"),
    "outputs named by another sha256": (_misnamed, "path"),
    "outputs of no record": (_unreferenced, "completeness"),
    "a manifest of a list": (lambda b: (b / MANIFEST).write_text("[]"), "manifest"),
    "a manifest 5,000 deep": (lambda b: (b / MANIFEST).write_text("[" * 5000), "manifest"),
    "a manifest with NaN": (lambda b: _text(b / MANIFEST, '"form": 1', '"form": NaN'), "manifest"),
    "a manifest that is a folder": (_instead(Path.mkdir), "manifest"),
    "a manifest that is a pipe": (_instead(os.mkfifo), "manifest"),
    "negative bytes": (edit_manifest(lambda data: data["files"][SEED_0].update(bytes=-1)), "manifest"),
    "a trial twice": (edit_manifest(lambda data: data["trials"].append(data["trials"][0])), "manifest"),
    "another model's name": (edit_manifest(lambda data: data.update(model="p4cnn")), "path"),
    "an escape sequence for a path": (
        edit_manifest(lambda data: data["files"].update({"models/mynet/\x1b[2J.py": {"sha256": "0" * 64, "bytes": 0}})),
        "path",
    ),
    "a card that is no YAML": (_rewrite(CARD, "{"), "card"),
    "a card of two megabytes": (_rewrite(CARD, "#" * 2_000_000), "size-limit"),
    "logits of another shape": (_outputs((4, 48, 7)), "record"),
    "logits of two axes": (_outputs((4, 48)), "record"),
    "outputs without labels": (_outputs((4, 48, 10), labels=torch.zeros(0)), "record"),
    "logits that are not finite": (_outputs((4, 48, 10), logits=torch.full((4, 48, 10), torch.nan)), "record"),
    "a class that is none": (_outputs((4, 48, 10), angle_classes=torch.full((2, 48), 77).short()), "record"),
    "outputs that are no tensors": (lambda b: replace_outputs(b, b"\xff" * 64), "record"),
}
"""What reading finds: the attack, and the check that is named for it."""

RESCORED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a group claimed after the run": (edit_card("group: p4", "group: p4m"), "exactness"),
    "an exact size claimed after the run": (
        edit_card(SIZES, "exact_at: [11, 12]"),
        "exactness",
    ),
}
"""What running the submission's code finds."""


@pytest.mark.parametrize(("attack", "check"), READ.values(), ids=READ)
def test_is_refused_on_reading(bundle: Path, mini: Path, attack: Callable[[Path], object], check: str) -> None:
    attack(bundle)
    begun = time.monotonic()
    assert check in refused(bundle, mini)
    assert time.monotonic() - begun < 60, "nothing large was read"


@pytest.mark.parametrize(("attack", "check"), RESCORED.values(), ids=RESCORED)
def test_is_refused_on_scoring(
    bundle: Path,
    mini: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Path], object],
    check: str,
) -> None:
    attack(bundle)
    monkeypatch.setattr(cell_jobs, "run_isolated", uncontained(tmp_path))
    assert check in refused(bundle, mini, "rescore")


def test_whatever_check_refuses_verifying_refuses_by_the_same_name(
    bundle: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the weights are not scored again; only what runs nothing says that it ran nothing."""
    found = Finding(check="look-up", what="these images are known by heart", remedy="let the logits be continuous")
    monkeypatch.setattr(checking, "_probe", lambda *_, **__: (found,))
    monkeypatch.setattr(cell_jobs, "run_isolated", lambda *_, **__: pytest.fail("nothing is scored after a refusal"))
    assert refused(bundle, mini, "check") == {"look-up": str(found)}
    assert refused(bundle, mini, "rescore") == {"look-up": str(found)}
    told: list[str] = []
    verify_bundle(bundle, Path("unused"), depth="read", include=[mini], say=told.append)
    assert "nothing of it was run: the checks of `submit --check` were not made" in told


def test_anything_that_goes_wrong_inside_is_a_refusal(
    bundle: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of the suite's own making")

    monkeypatch.setattr(Store, "record", broken)
    found = refused(bundle, mini)["unreadable"]
    assert "ZeroDivisionError at test_hostile_bundles.py" in found
    assert "of the suite's own making" in found


def test_a_bundle_that_changes_after_it_was_verified_is_not_accepted(bundle: Path, mini: Path, tmp_path: Path) -> None:
    report = verify_bundle(bundle, Path("unused"), depth="read", include=[mini])
    (bundle / SEED_0).write_text((bundle / SEED_0).read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match=r"seed-0\.json changed while the bundle was verified; nothing was accepted"):
        accept(report, tmp_path / "models", tmp_path / "results", [mini])
    assert not (tmp_path / "models").exists()


def test_findings_are_bounded_and_their_text_shows() -> None:
    found = Refused(Finding(check="x", what=f"\x1b[2J{n}\n\u202e" + "y" * 9999, remedy="") for n in range(1000))
    assert len(found.findings) == MOST_FINDINGS + 1
    assert found.findings[-1].what == "950 more findings are not shown"
    assert found.findings[0].what.startswith("\\x1b[2J0 \\u202eyyy")
    assert len(str(found)) < 40_000


def test_a_folder_that_nests_too_deep_is_no_submission(folder: Path, mini: Path) -> None:
    place = folder
    for _ in range(DEPTH + 1):
        place = place / "d"
    place.mkdir(parents=True)
    with pytest.raises(Refused, match=f"nested more than {DEPTH} deep"):
        read_submission(folder, [mini])


def test_a_manifest_that_is_right_is_read(bundle: Path) -> None:
    """The corpus above refuses by its attacks, and not by the way they are made."""
    before = (bundle / MANIFEST).read_bytes()
    edit_record(lambda _: None)(bundle)
    edit_manifest(lambda _: None)(bundle)
    assert json.loads(before)["model"] == Manifest.model_validate_json((bundle / MANIFEST).read_bytes()).model
