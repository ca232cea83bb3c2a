"""Ways in which files come to harm: as disks, interrupted copies and careless or hostile hands do it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

Damage = tuple[str, bytes]
"""What was done, and the bytes that came of it."""


def damages(content: bytes, draws: random.Random, number: int) -> Iterator[Damage]:
    """So many damaged copies of any file, none of them the same bytes."""
    made = 0
    kinds: list[Callable[[bytes, random.Random], bytes]] = [flipped, flipped, flipped, cut, zeroed, doubled, swapped]
    while made < number:
        kind = draws.choice(kinds)
        damaged = kind(content, draws)
        if damaged != content:
            made += 1
            yield kind.__name__, damaged


def flipped(content: bytes, draws: random.Random) -> bytes:
    """One bit is another."""
    place = draws.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draws.randrange(8)]) + content[place + 1 :]


def cut(content: bytes, draws: random.Random) -> bytes:
    """The end is missing, or all."""
    return content[: draws.choice([0, 1, draws.randrange(len(content)), len(content) - 1])]


def zeroed(content: bytes, draws: random.Random) -> bytes:
    """A block was never written."""
    place, length = draws.randrange(len(content)), draws.choice([1, 16, 512, 4096])
    end = min(len(content), place + length)
    return content[:place] + bytes(end - place) + content[end:]


def doubled(content: bytes, draws: random.Random) -> bytes:
    """A piece stands twice."""
    place = draws.randrange(len(content))
    return content[:place] + content[place : place + draws.choice([1, 100, 4096])] + content[place:]


def swapped(content: bytes, draws: random.Random) -> bytes:
    """Two pieces have changed places."""
    one, two = sorted(draws.sample(range(len(content)), 2))
    return content[two:] + content[one:two] + content[:one]


NUMBERS = ("NaN", "Infinity", "-Infinity", "1e308", "1e400", "-1", "-0.5", "0", "7", "1e-400", "9" * 400, "null", '"1"')
TEXTS = (
    '"a\\nb"',
    '"\\u001b[31m"',
    '"\\u202etxt"',
    '"\\ud800"',
    '"' + "x" * 100_000 + '"',
    '"<script>"',
    "1",
    "[" * 10_000 + "]" * 10_000,
)


def rewritten(text: str, draws: random.Random, number: int) -> Iterator[tuple[str, str]]:
    """So many copies of a JSON document, in each of which one value is another, or one key stands twice or is gone."""
    lines = text.splitlines()
    numbers = [place for place, line in enumerate(lines) if re.search(r"(: |^\s*)-?[0-9.e+-]+,?$", line)]
    texts = [place for place, line in enumerate(lines) if re.search(r': ".*",?$', line)]
    keys = [place for place, line in enumerate(lines) if re.search(r'": [^\[{]*,$', line)]
    made = 0
    while made < number:
        changed = list(lines)
        match draws.randrange(5):
            case 0 | 1:
                place, value = draws.choice(numbers), draws.choice(NUMBERS)
                changed[place] = _with(lines[place], r"-?[0-9.e+-]+(,?)$", value)
                what = f"{lines[place].strip()} became {value[:20]}"
            case 2:
                place, value = draws.choice(texts), draws.choice(TEXTS)
                changed[place] = _with(lines[place], r'"[^"]*"(,?)$', value)
                what = f"{lines[place].strip()} became {value[:20]}"
            case 3:
                place = draws.choice(keys)
                changed.insert(place, lines[place])
                what = f"{lines[place].strip()} stands twice"
            case _:
                place = draws.choice(keys)
                del changed[place]
                what = f"{lines[place].strip()} is gone"
        if changed != lines:
            made += 1
            yield what, "\n".join(changed) + "\n"


def _with(line: str, old: str, value: str) -> str:
    """The line with another value before the comma at its end."""
    return re.sub(old, lambda found: value + found[1], line)
