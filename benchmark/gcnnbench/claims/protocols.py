"""Compares two protocols item by item: says why a record does not speak to a claim, or enters no table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec


def difference_from_now(registry: Registry, record: Record, card: BenchmarkCard) -> str:
    """How a record's protocol differs from the one that a benchmark has now; empty where it does not.

    Args:
        registry: the cards.
        record: a record; of an entry that is not registered there is nothing to tell.
        card: the benchmark, of the record's own version or of another.
    """
    if record.entry.partition("@")[0] not in registry.models:
        return ""
    return ", ".join(differences(record.spec, spec(registry, card, record.entry)))


def differences(stated: Mapping[str, Any], current: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Each item in which two specs differ, as `recipe.epochs is 4, now 50`.

    Args:
        stated: a record's spec, or a part of it.
        current: the current one, or the same part.
        above: the way to this part.
    """
    for key in sorted({*stated, *current}):
        then, now = stated.get(key), current.get(key)
        if isinstance(then, Mapping) and isinstance(now, Mapping):
            yield from differences(then, now, f"{above}{key}.")
        elif then != now:
            yield f"{above}{key} is {_shown(then)}, now {_shown(now)}"


def _shown(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"
