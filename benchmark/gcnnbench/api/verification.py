"""Verifies what is claimed: published numbers, records, and what others submit."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.api.folders import Folder, data_folder, results_folder
from gcnnbench.api.networks import registry
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.record_checks import recomputing
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.submissions import checking, verifying
from gcnnbench.submissions.folder import Submission
from gcnnbench.submissions.verifying import BundleReport, Depth


def verify_claims(
    benchmark: str | None = None, *, results: Folder | None = None, cards: Registry | None = None
) -> list[ClaimRow]:
    """The verdict on every published claim, or on those about one benchmark.

    Raises:
        UserError: there is no such benchmark.
    """
    cards = cards or registry()
    card = None if benchmark is None else cards.benchmark(benchmark)
    cards = cards if card is None else cards.at(card)
    rows = judge_claims(cards, read_claims(cards), gather(cards, results_folder(results)))
    return [row for row in rows if card is None or row.benchmark == card.name]


def verify_records(*, results: Folder | None = None, cards: Registry | None = None) -> list[RecordRow]:
    """Every record recomputed from its own counts; scoring and training again is left to `gcnnbench verify records`."""
    return recomputing.verify_records(cards or registry(), results_folder(results))


def check_submission(path: Folder, *, data: Folder | None = None, trust: bool = False) -> Submission:
    """Look at a submission's folder, its card and its networks; nothing is trained.

    Args:
        path: the folder.
        data: the data directory, the platform's cache folder where none is given.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no folder, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong with it; everything that was found.
    """
    return checking.check_folder(Path(path), data_folder(data), trust=trust)


def verify_bundle(
    path: Folder, *, data: Folder | None = None, depth: Depth = "rescore", retrain: int = 0, trust: bool = False
) -> BundleReport:
    """Verify a bundle of records that somebody submits.

    Args:
        path: the bundle.
        data: the data directory, the platform's cache folder where none is given.
        depth: how far it is checked.
        retrain: how many cells are trained again; the verifier draws them.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no bundle, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong; everything that was found.
    """
    return verifying.verify_bundle(Path(path), data_folder(data), depth=depth, retrain=retrain, trust=trust)
