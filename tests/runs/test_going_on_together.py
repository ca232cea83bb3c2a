"""Seeds that were trained as one and interrupted go on where each of them was, with the bits of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.disk import write_whole
from gcnnbench.runs import worker
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.checkpoints import stated, stated_in
from gcnnbench.runs.events import Event
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.local import execute
from gcnnbench.runs.seed_batches import Batches
from gcnnbench.runs.state import start
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Ended, Restarted, Saved, Turn, take
from tests.checkpoint_files import save
from tests.stored_records import record

MakeCell = Callable[..., Cell]


@pytest.fixture(scope="module")
def trio(tiny_registry: Registry) -> list[Cell]:
    return [Cell(tiny_registry, "tiny", "z2cnn@8", seed, "cpu", 1, Path("unused")) for seed in range(3)]


Whole = tuple[dict[tuple[int, int], bytes], list[bytes]]


@pytest.fixture(scope="module")
def whole(trio: list[Cell]) -> Whole:
    """Three seeds trained as one: the first state of each after each epoch, and its weights at the end."""
    kept, weights = dict[tuple[int, int], bytes](), dict[str, bytes]()
    for message in take(Turn(tuple(trio), (None,) * 3, -1.0)):
        if isinstance(message, Saved):
            said = stated(message.state)
            assert said is not None
            assert said.seeds_at_once == 3
            kept.setdefault((int(message.cell[-1]), said.epochs_done), message.state)
        elif isinstance(message, Ended):
            assert isinstance(message.end, Finished)
            weights[message.cell] = message.end.weights
    return kept, [weights[cell.name] for cell in trio]


@pytest.mark.parametrize(
    "epochs",
    [(2, 1, 1), (2, 2, 1), (3, 2, 2), (3, 3, 1), (None, 2, 1), (None, None, 2)],
    ids=["killed within a round", "no room for one", "within the last round", "late in it", "one ended", "two ended"],
)
def test_seeds_that_stand_after_different_epochs_end_with_the_same_bits(
    trio: list[Cell], whole: Whole, epochs: tuple[int | None, ...]
) -> None:
    kept, weights = whole
    left = [seed for seed, done in enumerate(epochs) if done is not None]
    states = tuple(kept[seed, done] for seed, done in enumerate(epochs) if done is not None)
    messages = list(take(Turn(tuple(trio[seed] for seed in left), states, 3600.0, at_once=3)))
    assert [message for message in messages if isinstance(message, Restarted)] == []
    for seed in left:
        (end,) = [message.end for message in messages if isinstance(message, Ended) and message.cell[-1] == str(seed)]
        assert isinstance(end, Finished)
        assert end.weights == weights[seed]
        assert end.record.provenance.seeds_at_once == 3


def test_killed_between_two_checkpoints_the_repeated_command_goes_on(
    trio: list[Cell], whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", -1.0)
    store, told, written = Store(tmp_path), list[Event](), list[Path]()

    def killed(self: Store, path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 4:  # three after the first epoch, and one after the second
            raise KeyboardInterrupt
        write_whole(path, content, self.temporary)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(trio, store, lambda _: None, parallel=3)
    execute(trio, store, told.append, parallel=4)
    assert [event.text.partition(" on ")[0] for event in told if event.kind in ("started", "said")] == [
        f"resumed after epoch {epoch}, in training" for epoch in (2, 1, 1)
    ]
    for cell, weights in zip(trio, whole[1], strict=True):
        assert record(store, cell).weights.sha256 == hashlib.sha256(weights).hexdigest()


def test_batches_are_cut_along_what_is_kept(make_cell: MakeCell, tmp_path: Path) -> None:
    """Trained seeds are scored, those that were trained with others go on with as many, and new ones fill a place."""
    store, cells = Store(tmp_path), [make_cell("z2cnn@8", seed) for seed in range(8)]

    def cut(parallel: int, kept: dict[int, tuple[int, int | None, int]]) -> list[list[int]]:
        for seed, (at_once, place, epochs) in kept.items():
            state = replace(start(cells[seed]), seeds_at_once=at_once, place=place)
            state.training.epochs_done = epochs
            save(store, cells[seed], state)
        batches = Batches(parallel, 1, partial(stated_in, store)).of(cells[1:])
        return [[cell.seed for cell in batch] for batch in batches]

    assert cut(4, {4: (2, 0, 1), 5: (2, 1, 1)}) == [[4, 5], [1, 2, 3, 6], [7]]
    assert cut(4, {6: (2, 1, 2), 7: (2, 0, 2)}) == [[4, 5], [6, 7], [1, 2, 3]], "each at a place of its own"
    assert cut(4, {6: (3, 1, 3), 5: (3, 2, 2), 4: (1, None, 2)}) == [[6], [4], [5, 1, 2], [7, 3]]
    assert cut(2, {}) == [[6], [4], [7, 1], [2, 3], [5]], "more at once than are asked for are not gone on with"
