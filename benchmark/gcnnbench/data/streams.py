"""Random streams, derived from benchmark, seed and purpose, and never taken from a global generator."""

from __future__ import annotations

import hashlib
import json

import torch


def derive(benchmark: str, seed: int, stream: str, step: int = 0) -> int:
    """The seed of one random stream: the first 63 bits of sha256(JSON of [benchmark, seed, stream, step]).

    The entry has no part in it, so that the seeds of two entries can be paired.

    Args:
        benchmark: the benchmark's name without its version.
        seed: the cell's seed.
        stream: what the numbers are for, such as `initialisation`, `order`, `augmentation` or `dropout`.
        step: a count within the stream, such as the epoch or the batch.

    Returns:
        An integer in [0, 2^63). PyTorch's generator on the CPU keeps the lower 32 bits of it.

    Raises:
        ValueError: seed or step is negative.
    """
    if seed < 0 or step < 0:
        raise ValueError(f"seed (={seed}) and step (={step}) must not be negative")
    text = json.dumps([benchmark, seed, stream, step], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:8], "big") >> 1


def generator(benchmark: str, seed: int, stream: str, step: int = 0) -> torch.Generator:
    """A new generator on the CPU, seeded by `derive`; draws move to the device, so a seed means the same everywhere.

    Args:
        benchmark: the benchmark's name without its version.
        seed: the cell's seed.
        stream: what the numbers are for.
        step: a count within the stream.

    Returns:
        The generator.
    """
    return torch.Generator().manual_seed(derive(benchmark, seed, stream, step))
