"""The folders that a call works in where it names none: those of the command line."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from gcnnbench.cli.options import default_data, default_results

Folder = str | PathLike[str]


def results_folder(folder: Folder | None) -> Path:
    """This results directory, or the checkout's `results/`."""
    return Path(folder) if folder is not None else default_results()


def data_folder(folder: Folder | None) -> Path:
    """This data directory, or the platform's cache folder."""
    return Path(folder) if folder is not None else default_data()
