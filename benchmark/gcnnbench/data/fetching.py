"""Downloading a data set: the one place that touches the network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from filelock import FileLock, Timeout
from rich.filesize import decimal

from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.data.files import Fault, faults, fetch_command, load_parts
from gcnnbench.disk import REMEDIES, make_folder, require_writable
from gcnnbench.errors import UserError, told
from gcnnbench.formatting import how_many

LOCK = ".download.lock"
"""The file in a data directory by which one process at a time downloads into it."""
ASIDE = ".altered"
"""What is appended to the name of a file that failed its check, to make room for the right one."""


def fetch(card: DatasetCard, module: ModuleType, folder: Path, say: Callable[[str], None]) -> None:
    """Make a data set ready: keep the files that are right, download the others, verify all of them.

    Files put there by hand are kept if they are right. After an interruption the same call goes on: finished files and
    archives are not downloaded again.

    Args:
        card: the data set's card.
        module: its `dataset.py`, with `fetch(folder)` where there is something to download.
        folder: the data directory, made if need be.
        say: takes one line of progress.

    Raises:
        UserError: the disk is too full, the download failed, or what came is not what the card says.
        OSError: the data directory cannot be written.
    """
    wrong = faults(card, folder, content=True)
    if wrong:
        _download(card, module, folder, wrong, say)
    load_parts(card, module, folder)
    ready = f"{how_many(len(card.files), 'file')} and" if card.files else "comes with an installed package;"
    images = how_many(sum(part.images for part in card.parts.values()), "image")
    say(f"{card.name}: {ready} {images} verified")


def _download(
    card: DatasetCard, module: ModuleType, folder: Path, wrong: tuple[Fault, ...], say: Callable[[str], None]
) -> None:
    download: Callable[[Path], None] | None = getattr(module, "fetch", None)
    if download is None:
        raise UserError(f"{card.name} cannot be downloaded: {wrong[0].path} {wrong[0].what}. {_by_hand(card, folder)}")
    require_writable(folder / "file")
    free, wanting = _free(folder), {fault.path for fault in wrong}
    there = [folder / file.path for file in card.files if folder / file.path not in wanting]
    needed = max(0, card.disk_bytes - sum(path.stat().st_size for path in there))
    say(
        f"{card.name}: {decimal(card.download_bytes)} to download at most, {decimal(needed)} more on disk "
        f"below {folder}, {decimal(free)} free"
    )
    if free < needed:
        raise UserError(
            f"{card.name} needs {decimal(needed)} more below {folder}, where {decimal(free)} are free; "
            "make room, or name another folder with --data"
        )
    make_folder(folder)
    with _alone(folder, say):
        if wrong := faults(card, folder, content=True):  # else another process has downloaded it meanwhile
            _replace(card, download, folder, wrong, say)


def _replace(
    card: DatasetCard,
    download: Callable[[Path], None],
    folder: Path,
    wrong: tuple[Fault, ...],
    say: Callable[[str], None],
) -> None:
    for fault in wrong:
        if fault.path.exists():
            # torchvision takes an unpacked file for granted if it is there at all.
            fault.path.replace(fault.path.with_name(fault.path.name + ASIDE))
            say(f"{fault.path} {fault.what}; set aside as {fault.path.name}{ASIDE}")
    try:
        download(folder)
    except Exception as error:  # what a download can raise is anybody's guess: URLError, RuntimeError, EOFError, …
        for fault in faults(card, folder, content=False):
            if fault.path.is_file():
                fault.path.unlink()  # made by this call, and not whole: what stood there is set aside
        for cause in (error, error.__cause__):
            if isinstance(cause, OSError) and cause.errno in REMEDIES:
                raise UserError(f"{card.name}: {told(cause)}, below {folder}; {REMEDIES[cause.errno]}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{card.name}: the download failed: {reason}. {_by_hand(card, folder)}") from error
    left = faults(card, folder, content=True)
    if left:
        raise UserError(
            f"{card.name}: after the download {left[0].path} {left[0].what}; run the command again to download it anew."
            f" {_by_hand(card, folder)}"
        )


@contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a data directory for a download; where another process holds it, wait for that one."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process downloads into {folder}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _by_hand(card: DatasetCard, folder: Path) -> str:
    how = card.by_hand or f"put {', '.join(file.path for file in card.files)} below the data directory."
    return f"By hand (data directory {folder}): {how} Then run again, to verify them: {fetch_command(card, folder)}"


def _free(folder: Path) -> int:
    standing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(standing).free
