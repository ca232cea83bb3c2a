"""The notes under a table: devices, numeric mode, test set, what is missing and what was not counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from gcnnbench import formatting
from gcnnbench.formatting import how_many
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.reading import Machine
from gcnnbench.statistics import ALPHA, all_or_none

SINGLE = "one seed gives a difference and no interval, and it may be the seed's"
UNPAIRED = "dropout draws other masks on another kind of device, so seeds do not pair across them"
SEPARATED = "what the device does is not separated from what the network does"


def notes(board: Board) -> list[str]:
    """The notes below a board's tables, each a line."""
    makers = (_ties, _learnt, _test_set, _dashes, _machines, _mixed, _measured, _weights_only, _missing, _not_counted)
    return [note for make in makers for note in make(board)]


def remarks(board: Board) -> Iterator[str]:
    """How rows and pairs that lack seeds are to be read: told beside printed tables, in no kept one."""
    waiting = [row for row in board.rows if row.seeds and not row.rank]
    if waiting and any(row.rank for row in board.rows):
        told = ", ".join(
            f"{row.entry} ({len(row.seeds)} of {how_many(board.protocol_seeds, 'seed')})" for row in waiting
        )
        yield f"{board.benchmark}: not ranked before all seeds have run, however it stands: {told}."
    single = [pair for pair in board.pairs if any(min(one.exact.n, one.approximate.n) == 1 for one in pair.contrasts)]
    if single:
        told = ", ".join(f"{pair.exact} − {pair.approximate}" for pair in single)
        yield f"{board.benchmark}: {SINGLE}: {told}."


def machines(board: Board) -> dict[Machine, str]:
    """A letter for each machine on the board, in the order of the rows."""
    return formatting.lettered(speed.machine for row in board.rows for speed in row.speeds)


def _ties(board: Board) -> Iterator[str]:
    if any(row.tied for row in board.rows):
        test = "Student's paired test over the folds of both" if board.cross_tested else "Welch's test"
        yield f"`=` after a rank: cannot be told from the row above ({test}, p ≥ {ALPHA} or no spread to judge)."


def _learnt(board: Board) -> Iterator[str]:
    if any(row.learnt for row in board.rows):
        yield "learnt (0.08): how symmetric the network is was learnt; 0.08 is its invariance error after training."


def _test_set(board: Board) -> Iterator[str]:
    sizes = sorted({row.test_images for row in board.rows if row.test_images})
    errors = sorted(row.test_set_error for row in board.rows if row.test_set_error is not None)
    if errors:
        low, high = formatting.share(errors[0]), formatting.share(errors[-1])
        amount = low if low == high else f"{low} to {high}"
        images = " or ".join(map(formatting.count, sizes))
        if board.cross_tested:
            yield (
                f"Each seed is tested on a fold of its own, all of them on {images} images: the ± holds the choice of "
                f"test images, too, which over all folds makes {amount} points upright (binomial standard error). "
                "Folds share most of their training images, so intervals over folds are somewhat too narrow."
            )
            return
        yield (
            f"Test set: {images} images. Another one of that size would move upright accuracies by {amount} points "
            "(binomial standard error); that is not in the ±."
        )
        if errors[0] == 0:
            wide = formatting.share(all_or_none(sizes[0]))
            yield f"Where every image is right, or none, it is 0.00 at any size: Wilson's interval is {wide} wide."


def _dashes(board: Board) -> Iterator[str]:
    lacking: dict[str, list[str]] = defaultdict(list)
    for row in board.rows:
        for name, found in row.metrics.items():
            if found is None and name != "auc":
                lacking[name].append(row.entry)
    ran = [row.entry for row in board.rows if row.seeds]
    for name, entries in lacking.items():
        if name == "accuracy.unseen" and entries == ran:
            yield "– under unseen: training has seen every element of the evaluation's group."
        else:
            yield f"– under {name.removeprefix('accuracy.')}: not defined for {', '.join(entries)}."


def _machines(board: Board) -> Iterator[str]:
    modes = sorted({row.numeric_mode for row in board.rows if row.numeric_mode})
    for machine, letter in machines(board).items():
        yield f"{letter}: {machine.device}, {machine.name}, {how_many(machine.threads, 'thread')}."
    if modes:
        yield f"Numeric mode: {', '.join(modes)}. Images/s: of testing, per machine, never averaged over machines."


def _mixed(board: Board) -> Iterator[str]:
    """Means and pairs whose records were made on several kinds of device."""
    devices = {row.entry: tuple(dict.fromkeys(speed.machine.device for speed in row.speeds)) for row in board.rows}
    for entry, kinds in devices.items():
        if len(kinds) > 1:
            yield f"{entry}: its mean mixes devices ({', '.join(kinds)})."
    for pair in board.pairs:
        exact, approximate = devices[pair.exact], devices[pair.approximate]
        kinds = tuple(dict.fromkeys((*exact, *approximate)))
        if len(kinds) < 2 or not pair.contrasts:
            continue
        if set(exact).isdisjoint(approximate):
            ran = f"{pair.exact} ran on {', '.join(exact)}, {pair.approximate} on {', '.join(approximate)}"
            yield f"{ran}: {SEPARATED}."
        else:
            unpaired = "" if board.cross_tested else f"; {UNPAIRED}"
            yield f"{pair.exact} − {pair.approximate} mixes devices ({', '.join(kinds)}){unpaired}."


def _measured(board: Board) -> Iterator[str]:
    for row in board.rows:
        told = "; ".join(f"{formatting.listed(seeds)} {grade}" for grade, seeds in row.measured.items())
        if told:
            yield f"{row.entry} was submitted: {told}."


def _weights_only(board: Board) -> Iterator[str]:
    for row in board.weights_only:
        by = f" ({row.measured})" if row.measured else ""
        yield f"{row.entry} came trained{by}; its authors declare: {' '.join(row.trained_on.split())}"


def _missing(board: Board) -> Iterator[str]:
    for row in board.rows:
        by_reason: dict[str, list[int]] = defaultdict(list)
        for lack in row.missing:
            by_reason[" ".join(lack.why.split())].append(lack.seed)
        told = "; ".join(f"{formatting.listed(tuple(seeds))} {why}" for why, seeds in by_reason.items())
        if told:
            yield f"{row.entry}, {told}. Unranked."


def _not_counted(board: Board) -> Iterator[str]:
    for one in board.not_counted:
        of = "" if one.benchmark == board.benchmark else f" of {one.benchmark}"
        yield f"Not counted: {one.entry}{of}, {formatting.listed(one.seeds)}: {one.why}."
