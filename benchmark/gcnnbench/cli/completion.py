"""Completes names of benchmarks and entries in a shell (`gcnnbench --install-completion`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry


def benchmark_names(incomplete: str) -> list[str]:
    """The benchmarks that begin so."""
    return [name for name in _registry().benchmarks if name.startswith(incomplete)]


def entry_names(incomplete: str) -> list[str]:
    """The entries of any benchmark that begin so."""
    entries = {entry for card in _registry().benchmarks.values() for entry in card.entries}
    return sorted(entry for entry in entries if entry.startswith(incomplete))


def _registry() -> Registry:
    """The registered cards; none while one of them is wrong, as a shell has no place for errors."""
    from gcnnbench.cards.registry import Registry
    from gcnnbench.errors import UserError

    try:
        return Registry.load()
    except UserError:
        return Registry({}, {}, {}, {}, {})
