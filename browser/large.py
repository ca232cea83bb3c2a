"""A leaderboard page of ten thousand records, made of the committed ones over and over under other names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.leaderboard.records import all_records
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.pages.site import page

RESULTS = Path(__file__).parents[1] / "results"
BENCHMARKS, ENTRIES, SEEDS = 20, 100, 5


def large_page() -> str:
    """20 benchmarks of 100 entries with five records each."""
    registry = on_copies(Registry.load(), RESULTS)
    (board,) = leaderboard(registry, RESULTS, ["mnist-upright@1"])[0]
    card, model = registry.benchmark("mnist-upright@1"), registry.model("p4cnn")
    row = next(row for row in board.rows if row.entry == "p4cnn@28")
    first = next(one for one in all_records(registry, RESULTS, [card])[card.full_name] if one.run.entry == row.entry)
    names = [f"p4cnn-{number}" for number in range(ENTRIES)]
    cards = {
        f"made-{number}": card.model_copy(update={"name": f"made-{number}", "superseded_by": None})
        for number in range(BENCHMARKS)
    }
    kept = {
        f"{benchmark}@1": [
            replace(
                first,
                sha256=hashlib.sha256(f"{benchmark} {name} {seed}".encode()).hexdigest(),
                record=first.record.model_copy(update={"entry": f"{name}@28", "seed": seed}),
                run=replace(first.run, entry=f"{name}@28", seed=seed),
            )
            for name in names
            for seed in range(SEEDS)
        ]
        for benchmark in cards
    }
    boards = [
        replace(
            board,
            benchmark=f"{benchmark}@1",
            pairs=(),
            rows=tuple(
                replace(
                    row,
                    entry=f"{name}@28",
                    rank=rank,
                    seeds=tuple(range(SEEDS)),
                    records=tuple(one.sha256 for one in kept[f"{benchmark}@1"] if one.run.entry == f"{name}@28"),
                )
                for rank, name in enumerate(names, start=1)
            ),
        )
        for benchmark in cards
    ]
    entries = tuple(f"{name}@28" for name in names)
    registry = replace(
        registry,
        benchmarks={name: made.model_copy(update={"entries": entries}) for name, made in cards.items()},
        superseded={},
        models={name: model.model_copy(update={"name": name}) for name in names},
    )
    return page(registry, boards, kept, [], [], {})
