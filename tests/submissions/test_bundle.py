"""A bundle is whole and unchanged or refused, by the check that is named for what was done to it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.runs.store import read_record
from gcnnbench.submissions.bundle import open_bundle, pack
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.manifest import MANIFEST, FileEntry, Manifest
from gcnnbench.submissions.verifying import verify_bundle
from tests.full_disk import files_in, files_of_at_most
from tests.submissions.tampering import SEED_0, edit_manifest, refused, reseal


def test_a_bundle_recomputes_and_is_self_reported_until_it_is_scored_again(bundle: Path, mini: Path) -> None:
    report = verify_bundle(bundle, Path("unused"), depth="read", include=[mini])
    assert [measured.grade for measured in report.measured] == ["self-reported", "self-reported"]
    assert report.measured[0].place == "mini@1/mynet@12/seed-0.json"


def test_the_same_files_give_the_same_bytes(bundle: Path, mini: Path, tmp_path: Path) -> None:
    submission = read_submission(bundle / "models" / "mynet", [mini])
    pack(submission, bundle / "results", tmp_path / "again.bundle")
    assert (tmp_path / "again.bundle" / MANIFEST).read_bytes() == (bundle / MANIFEST).read_bytes()


def test_a_bundle_that_does_not_fit_leaves_nothing(bundle: Path, mini: Path, tmp_path: Path) -> None:
    submission = read_submission(bundle / "models" / "mynet", [mini])
    before = files_in(tmp_path)
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large"):
        pack(submission, bundle / "results", tmp_path / "again.bundle")
    assert files_in(tmp_path) == before
    assert list(tmp_path.iterdir()) == [bundle]


def test_every_file_moves_the_digest(bundle: Path, mini: Path) -> None:
    opened = open_bundle(bundle, [mini])
    (bundle / "models" / "mynet" / "README.md").write_text("another word")
    reseal(bundle)
    assert open_bundle(bundle, [mini]).manifest.digest != opened.manifest.digest


def test_a_resealed_bundle_that_was_not_touched_is_the_same(bundle: Path, mini: Path) -> None:
    before = (bundle / MANIFEST).read_text()
    reseal(bundle)
    assert (bundle / MANIFEST).read_text().strip() == before.strip()


def _flip_a_byte(bundle: Path) -> None:
    path = next((bundle / "results" / "outputs").iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _traverse(data: dict[str, Any]) -> None:
    data["files"]["results/../../../etc/passwd"] = FileEntry(sha256="0" * 64, bytes=1).model_dump()


@pytest.mark.parametrize(
    ("tamper", "check", "told"),
    [
        (lambda b: (b / MANIFEST).unlink(), "manifest", "No such file"),
        (lambda b: (b / MANIFEST).write_text("{"), "manifest", "EOF while parsing"),
        (lambda b: (b / MANIFEST).write_bytes(b"\xff"), "manifest", "not UTF-8 at byte 0"),
        (lambda b: (b / MANIFEST).write_text('{"form": 1, "form": 1}'), "manifest", "the key 'form' stands twice"),
        (edit_manifest(lambda data: data.update(note="x")), "manifest", "note"),
        (edit_manifest(lambda data: data["environment"].update(torch="1.0")), "digest", "its digest is of"),
        (edit_manifest(_traverse), "path", "'results/../../../etc/passwd'"),
        (_flip_a_byte, "hash", "is not the file that was packed"),
        (lambda b: (b / SEED_0).unlink(), "missing-file", SEED_0),
        (lambda b: (b / "results" / "more.json").touch(), "unlisted-file", "results/more.json"),
        (lambda b: (b / "more").symlink_to("/etc"), "symlink", "more is a link"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_done_to_a_bundle_is_named(
    bundle: Path, mini: Path, tamper: Callable[[Path], None], check: str, told: str
) -> None:
    tamper(bundle)
    assert told in refused(bundle, mini)[check]


def test_a_dropped_seed_is_found_though_the_manifest_agrees(bundle: Path, mini: Path) -> None:
    for path in (bundle / SEED_0).parent.glob("seed-1.*"):
        path.unlink()
    reseal(bundle)
    assert "missing: 1" in refused(bundle, mini)["completeness"]
    manifest = Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
    reseal(bundle, trials=tuple(trial.model_copy(update={"seeds": (0,)}) for trial in manifest.trials))
    assert "all or none, so that nobody picks" in refused(bundle, mini)["completeness"]


def test_records_of_what_was_not_entered_are_refused(bundle: Path, mini: Path) -> None:
    other = bundle / "results" / "mini@1" / "p4cnn@12" / "seed-0.json"
    other.parent.mkdir()
    other.write_bytes((bundle / SEED_0).read_bytes())
    reseal(bundle)
    assert "p4cnn@12/seed-0.json is of no entry of the card" in refused(bundle, mini)["completeness"]


def test_an_edited_record_does_not_recompute(bundle: Path, mini: Path) -> None:
    data = json.loads((bundle / SEED_0).read_text())
    data["metrics"]["accuracy.orbit"] = 0.99
    (bundle / SEED_0).write_text(json.dumps(data))
    reseal(bundle)
    assert "metrics.accuracy.orbit is 0.99" in refused(bundle, mini)["record"]


def test_records_of_another_protocol_are_refused(bundle: Path, mini: Path) -> None:
    card = bundle / "models" / "mynet" / "model.yaml"
    card.write_text(card.read_text().replace("model_version: 1", "model_version: 2"))
    reseal(bundle)
    assert "stale: not on the leaderboard" in refused(bundle, mini)["protocol"]


def test_the_bundle_is_of_the_records_that_an_ordinary_run_makes(bundle: Path) -> None:
    record = read_record(bundle / SEED_0)
    assert (record.benchmark, record.entry, record.seed) == ("mini@1", "mynet@12", 0)
    assert record.official


def test_what_a_killed_call_left_is_not_packed_and_the_same_call_completes(
    bundle: Path, mini: Path, tmp_path: Path
) -> None:
    submission = read_submission(bundle / "models" / "mynet", [mini])
    expected = (bundle / MANIFEST).read_bytes()
    results = bundle / "results"
    cell = results / "mini@1" / "mynet@12"
    (cell / ".seed-0.json.4711.tmp").write_bytes(b"half")
    (cell / "seed-0.failed.json").write_bytes(b"{}")
    (results / ".work" / "tmp").mkdir(parents=True)
    (results / ".work" / "tmp" / ".gcnnbench-00.tmp").write_bytes(b"half")
    target = tmp_path / "made.bundle"
    left = target.with_name(f".{target.name}.tmp")
    left.mkdir()
    (left / "stray").write_bytes(b"of a call that was killed")
    for _ in range(2):  # the second time it is there already, and is this very bundle
        pack(submission, results, target)
        assert (target / MANIFEST).read_bytes() == expected
        assert open_bundle(target, [mini]).manifest.model == "mynet"
    assert not left.exists()
    (target / MANIFEST).write_bytes(b"another")
    with pytest.raises(UserError, match="is there already; take it away"):
        pack(submission, results, target)


def test_a_record_changed_by_one_digit_fails_the_crate_and_the_report(bundle: Path, mini: Path, tmp_path: Path) -> None:
    def gcnnbench(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(build_app(), [*words, "--include", str(mini)])
        return done.exit_code, done.stdout

    report = tmp_path / "bundle.xml"
    verify = ("verify", "bundle", str(bundle), "--no-rescore", "--junit", str(report))
    code, crate = gcnnbench("export", "ro-crate", str(bundle))
    named = {part["@id"]: part for part in json.loads(crate)["@graph"]}
    assert code == 0
    assert named[SEED_0]["sha256"] == open_bundle(bundle, [mini]).manifest.files[SEED_0].sha256
    assert gcnnbench(*verify)[0] == 0
    assert ElementTree.parse(report).getroot().attrib["failures"] == "0"

    text = (bundle / SEED_0).read_text()
    place = next(number for number, letter in enumerate(text) if number > text.index("upright") and letter.isdigit())
    (bundle / SEED_0).write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")
    assert gcnnbench("export", "ro-crate", str(bundle)) == (1, "")
    assert gcnnbench(*verify)[0] == 1
    root = ElementTree.parse(report).getroot()
    assert int(root.attrib["failures"]) >= 1
    assert any(SEED_0 in failure.attrib["message"] for failure in root.iter("failure"))
