"""Packs bundles as directories, whole or not at all, and opens those of others without trust."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.disk import sync_folder, write_whole
from gcnnbench.errors import UserError
from gcnnbench.plain_files import read_plain
from gcnnbench.runs import provenance
from gcnnbench.strict_json import parse_model
from gcnnbench.submissions.containment import isolation
from gcnnbench.submissions.findings import Finding, Refused, guarded
from gcnnbench.submissions.folder import Submission, read_submission
from gcnnbench.submissions.manifest import (
    MANIFEST,
    MANIFEST_BYTES,
    Manifest,
    Trial,
    digest,
    entry_of,
    is_place,
    place_findings,
    sealed,
)
from gcnnbench.submissions.tree import WEIGHTS_BYTES, digest_inside, read_inside, survey_tree

REMEDY = "ask for the bundle as `gcnnbench submit` packed it"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are those of its manifest, and whose submission can be read."""

    path: Path
    manifest: Manifest
    submission: Submission

    @property
    def results(self) -> Path:
        """Its results directory."""
        return self.path / "results"


def pack(submission: Submission, results: Path, target: Path) -> Manifest:
    """Put a submission and its results into a bundle; the same files give the same bytes.

    Killed anywhere, the same call completes it. Only files that a bundle can hold are packed: what a killed run left in
    the results directory beside them is none.

    Args:
        submission: the folder as it was tried.
        results: a results directory that holds the records of this submission.
        target: the bundle's directory; where it is there already, it must be this very bundle.

    Raises:
        UserError: another bundle stands there.
    """
    contents = {f"models/{submission.card.name}/{name}": content for name, content in submission.files.items()}
    contents |= {
        f"results/{name}": read_inside(results, name, WEIGHTS_BYTES)
        for name in survey_tree(results).files
        if is_place(f"results/{name}")
    }
    versions = provenance.versions()
    environment = {**versions, "platform": provenance.platform_name(), "isolation": isolation().kind}
    manifest = sealed(
        submission.card.name,
        "weights-only" if submission.trained_elsewhere else "trained",
        tuple(_trials(submission, contents)),
        environment,
        {name: entry_of(content) for name, content in contents.items()},
    )
    written = manifest.model_dump_json(indent=1).encode() + b"\n"
    if target.exists():
        if (target / MANIFEST).is_file() and read_plain(target / MANIFEST, MANIFEST_BYTES) == written:
            return manifest
        raise UserError(there_already(target))
    aside = target.with_name(f".{target.name}.tmp")
    if aside.exists():
        shutil.rmtree(aside)  # left by a call that was killed
    try:
        for name, content in contents.items():
            write_whole(aside / name, content)
        write_whole(aside / MANIFEST, written)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return manifest


def there_already(target: Path) -> str:
    """What is told where another bundle stands in the place of this one."""
    return f"{target} is there already; take it away, or write to another place with --output"


def _trials(submission: Submission, contents: Mapping[str, bytes]) -> list[Trial]:
    """The entries and the seeds of which there are records."""
    trials = []
    for benchmark, entry in submission.entries:
        full_name = submission.registry.benchmark(benchmark).full_name
        place = f"results/{full_name}/{entry}/seed-"
        seeds = [
            int(name.removeprefix(place).removesuffix(".json"))
            for name in contents
            if name.startswith(place) and name.endswith(".json")
        ]
        trials.append(Trial(benchmark=full_name, entry=entry, seeds=tuple(sorted(seeds))))
    return trials


def open_bundle(path: Path, include: Sequence[Path] = ()) -> Bundle:
    """Read a bundle and check that it is whole and unchanged; nothing of it is run.

    Args:
        path: its directory.
        include: further cards, as of a benchmark that is not registered.

    Raises:
        UserError: there is nothing at the path.
        Refused: it is no bundle, or its files are not those that it names; everything at once.
    """
    if not path.exists():
        raise UserError(f"{path}: no such bundle; `gcnnbench submit FOLDER` packs one")
    with guarded(path):
        return _open(path, include)


def _open(path: Path, include: Sequence[Path]) -> Bundle:
    manifest = read_manifest(path)
    tree = survey_tree(path)
    findings = [*tree.findings, *place_findings(manifest)]
    there = set(tree.files) - {MANIFEST}
    findings += [
        Finding(check="unlisted-file", what=f"{name} stands in no manifest", remedy=REMEDY)
        for name in sorted(there - set(manifest.files))
    ]
    if not any(finding.check in ("path", "size-limit") for finding in findings):
        findings += _file_findings(path, manifest, tree.files)
    if digest(manifest) != manifest.digest:
        findings.append(
            Finding(check="digest", what="the manifest is not the one that its digest is of", remedy=REMEDY)
        )
    if findings:
        raise Refused(findings)
    return Bundle(path.resolve(), manifest, read_submission(path / "models" / manifest.model, include))


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle, its form checked and nothing else.

    Raises:
        Refused: it is none.
    """
    remedy = "a bundle is a directory with manifest.json, models/ and results/"
    try:
        return parse_model(read_inside(path, MANIFEST, MANIFEST_BYTES), Manifest)
    except (OSError, ValueError) as error:
        raise Refused([Finding(check="manifest", what=f"{path}: {error}", remedy=remedy)]) from None


def _file_findings(path: Path, manifest: Manifest, there: Mapping[str, int]) -> list[Finding]:
    """Files that are missing, or are others than the manifest says; one of another length is not read."""
    findings = []
    for name, stated in manifest.files.items():
        if name not in there:
            findings.append(Finding(check="missing-file", what=f"{name} is missing", remedy=REMEDY))
        elif there[name] != stated.bytes or digest_inside(path, name, stated.bytes) != stated.sha256:
            findings.append(Finding(check="hash", what=f"{name} is not the file that was packed", remedy=REMEDY))
    return findings
