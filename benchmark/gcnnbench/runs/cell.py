"""A cell: benchmark × entry × seed, what determines its numbers, and what its bits depend on beside that."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.runs import provenance
from gcnnbench.runs.spec import spec, spec_digest

if TYPE_CHECKING:
    from gcnnbench.data.parts import Part


@dataclass(frozen=True)
class Cell:
    """Benchmark × entry × seed, and where it runs; picklable, and safe to run twice.

    Args:
        registry: the cards, from which the network and the data set are loaded by name.
        benchmark: the benchmark's name.
        entry: `slug@size`.
        seed: the seed that every random stream is derived from.
        device: `cpu`, `cuda` or `mps`.
        threads: CPU threads; the bits of the result depend on them.
        data: the data directory.
        limit: at most so many images of each share of the split; such a record is unofficial.
        cuda_graphs: record training steps as CUDA graphs and replay them, where the network and the device allow it;
            several seeds at once are then trained side by side, and not as one computation.
        given: the parts of the data set where an engine has them in memory; else they are read from `data`.
    """

    registry: Registry
    benchmark: str
    entry: str
    seed: int
    device: str
    threads: int
    data: Path
    limit: int | None = None
    cuda_graphs: bool = False
    given: dict[str, Part] | None = field(default=None, repr=False, compare=False)

    @property
    def card(self) -> BenchmarkCard:
        """The benchmark's card."""
        return self.registry.benchmark(self.benchmark)

    @property
    def model(self) -> ModelCard:
        """The card of the entry's network."""
        return self.registry.model(split_entry(self.entry)[0])

    @property
    def unofficial_because(self) -> str | None:
        """Why its record is no official one; null where it is one."""
        return None if self.limit is None else f"limited to {self.limit} images a share"

    @property
    def name(self) -> str:
        """`benchmark@version entry seed n`, as messages show it."""
        return f"{self.card.full_name} {self.entry} seed {self.seed}"

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What determines this cell's numbers, but for the seed."""
        return spec(self.registry, self.card, self.entry)

    @cached_property
    def digest(self) -> str:
        """The spec digest."""
        return spec_digest(self.spec)

    def parts(self) -> dict[str, Part]:
        """The parts of the data set, which the cells that a process runs one after another share.

        Raises:
            UnavailableError: a file is missing or damaged, or the images are not those of the card.
        """
        from gcnnbench.data.registered import load_once

        return load_once(self.registry, self.card.dataset, self.data) if self.given is None else self.given

    @property
    def machine(self) -> str:
        """What the bits depend on beside spec and seed: a state is resumed only where this is the same."""
        import torch

        from gcnnbench.device import describe

        device, libraries = describe(torch.device(self.device)), provenance.versions()
        graphs = "; CUDA graphs" if self.cuda_graphs else ""
        return f"{device}; {self.threads} threads; torch {libraries['torch']}; limit {self.limit}{graphs}"
