"""Merges a verified bundle into models/ and results/ and renews the tables (`submit --accept`), all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.errors import UserError
from gcnnbench.leaderboard import tables
from gcnnbench.runs.measured import FILE_NAME, Grade, Measurement
from gcnnbench.runs.store import Store
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.manifest import entry_of
from gcnnbench.submissions.tree import read_inside
from gcnnbench.submissions.verifying import BundleReport


@dataclass(frozen=True)
class Accepted:
    """The files that a bundle brought, and those, as tables, that were there and have changed."""

    new: tuple[Path, ...]
    changed: tuple[Path, ...]

    @property
    def brought(self) -> tuple[Path, ...]:
        """The new files, and for all of a folder that holds nothing else the folder."""
        folders = dict.fromkeys(path.parent for path in self.new)
        files = {folder: {path for path in folder.rglob("*") if path.is_file()} for folder in folders}
        whole = {folder for folder in folders if files[folder] <= set(self.new)}
        return tuple(dict.fromkeys(path.parent if path.parent in whole else path for path in self.new))


def accept(report: BundleReport, models: Path, results: Path, include: Sequence[Path] = ()) -> Accepted:
    """Merge a bundle. Where something fails everything is as it was; killed half-way, the same call completes it.

    Args:
        report: of the bundle's verification.
        models: the folder of registered models.
        results: the results directory.
        include: further cards, as of a benchmark that is not registered.

    Raises:
        UserError: another model or other records stand in its place.
    """
    bundle = report.bundle
    files = {models / bundle.manifest.model / name: content for name, content in bundle.submission.files.items()}
    for name, stated in bundle.manifest.files.items():
        if name.startswith("results/"):
            content = read_inside(bundle.path, name, stated.bytes)
            if entry_of(content) != stated:
                raise UserError(f"{name} changed while the bundle was verified; nothing was accepted")
            files[results / name.removeprefix("results/")] = content
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise UserError(f"{path} is there already and is another file; nothing was accepted")
    for folder in {Path(measured.place).parent for measured in report.measured}:
        grades: dict[str, Grade] = {
            m.place.rpartition("/")[2]: m.grade for m in report.measured if Path(m.place).parent == folder
        }
        line = Measurement(bundle=bundle.manifest.digest, measured=grades)
        files[results / folder / FILE_NAME] = line.model_dump_json(indent=1).encode() + b"\n"
    store, undo = Store(results), dict[Path, bytes | None]()
    try:
        _write(store, files, undo)
        registry = read_submission(models / bundle.manifest.model, include).registry
        names = [trial.benchmark for trial in bundle.manifest.trials]
        made = tables.leaderboard(registry, results, names)[0]
        renewed = {name: text for board in made for name, text in tables.table_files(board).items()}
        _write(store, {results / tables.TABLES / name: text.encode() for name, text in renewed.items()}, undo)
    except BaseException:
        for path in (path for path, before in undo.items() if before is None):  # first, which makes room
            path.unlink(missing_ok=True)
            with suppress(OSError):  # others are in it
                path.parent.rmdir()
        for path, before in undo.items():
            if before is not None:
                store.write(path, before)
        raise
    return Accepted(
        new=tuple(path for path, before in undo.items() if before is None),
        changed=tuple(path for path, before in undo.items() if before is not None),
    )


def _write(store: Store, files: dict[Path, bytes], undo: dict[Path, bytes | None]) -> None:
    """Write what is not there yet, remembering what was there before."""
    for path, content in files.items():
        before = path.read_bytes() if path.exists() else None
        if before != content:
            undo[path] = before
            store.write(path, content)
