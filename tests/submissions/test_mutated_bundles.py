"""Bundles spoilt at random, half of them with a manifest that agrees: refused, or accepted for a reason by name."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.submissions.findings import MOST_FINDINGS, Refused
from gcnnbench.submissions.manifest import MANIFEST
from gcnnbench.submissions.verifying import verify_bundle
from tests.submissions.tampering import reseal

Mutation = Callable[[Path, random.Random], str]

HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 10**17, 10**30, 0.5, -0.0, 1e308, 1e-320, "", "x", "\x1b[2J", "\u202e", "a\nb", "x" * 5000),
    *([], {}, [[]], {"a": 1}, "0" * 64, "2099-01-01T00:00:00+00:00", "../../etc/passwd", "cuda", "p4cnn@12"),
)

TOLD_ONLY = (
    "training.history",
    "cost.",
    "provenance.",
    "equivariance.",
    "checksum",
    "weights.committed",
    "unofficial_because",
    "probes",
)
"""Parts of a record that reading cannot hold against anything: the submitter tells them, and scoring or training the
weights again checks those that matter."""


def _paths(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, dict):
        return [here, *(path for key, value in data.items() for path in _paths(value, (*here, key)))]
    if isinstance(data, list):
        return [here, *(path for key, value in enumerate(data[:6]) for path in _paths(value, (*here, key)))]
    return [here]


def _json(path: Path, rng: random.Random) -> str:
    """One value of a JSON document replaced, taken out, moved a little, or one key added."""
    data = json.loads(path.read_text())
    chosen = rng.choice([one for one in _paths(data) if one])
    owner = data
    for key in chosen[:-1]:
        owner = owner[key]
    last, value = chosen[-1], owner[chosen[-1]]
    how = rng.randrange(4)
    if how == 0 or (how == 1 and not isinstance(value, int | float)):
        owner[last] = rng.choice(HOSTILE)
    elif how == 1:
        owner[last] = value + rng.choice((1, -1, 1e-9, 1e9)) * (1 if rng.random() < 0.5 else value or 1)
    elif how == 2:
        del owner[last]
    elif isinstance(value, dict):
        value[rng.choice(("more", "__proto__", "\x00", "seed"))] = rng.choice(HOSTILE)
    else:
        owner[last] = [value]
    if rng.random() < 0.5 and chosen != ("checksum",):
        data.pop("checksum", None)  # whoever edits a record on purpose leaves it out
    path.write_text(json.dumps(data))
    return ".".join(map(str, chosen))


def _bytes(path: Path, rng: random.Random) -> str:
    content = bytearray(path.read_bytes())
    how = rng.randrange(4)
    if how == 0 and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif how == 1:
        del content[rng.randrange(len(content) + 1) :]
    elif how == 2:
        content += bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64)))
    else:
        place = rng.randrange(len(content) + 1)
        content[place:place] = rng.choice((b"\0", b"\xff\xfe", b"\r", b"\xe2\x80\xa8", b"[" * 20_000, b"NaN"))
    path.write_bytes(content)
    return f"{path.name}, bytes"


def mutate(bundle: Path, rng: random.Random) -> tuple[str, bool]:
    """Spoil one file or the tree; what was done, and whether the manifest was made to agree."""
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    path = rng.choice([*files, *(one for one in files if one.suffix == ".json")])
    sealed = rng.random() < 0.5 and path.name != MANIFEST
    how = rng.random()
    if how < 0.6 and path.suffix == ".json":
        what = f"{path.name}: {_json(path, rng)}"
    elif how < 0.85:
        what = _bytes(path, rng)
    elif how < 0.9:
        path.unlink()
        what, sealed = f"{path.name} gone", sealed and path.name != MANIFEST
    elif how < 0.95:
        other = rng.choice(files)
        shutil.copyfile(other, path) if other != path else path.unlink()
        what = f"{path.name} is {other.name}"
    else:
        place = rng.choice((bundle, bundle / "models" / "mynet", bundle / "results", path.parent))
        name = rng.choice(("more.json", "x.py", "seed-7.json", ".hidden", "\x1b[2J", "a b", "weights.safetensors"))
        (place / name).write_bytes(rng.choice((b"", b"{}", b"\xff")))
        what = f"{name!r} added"
    if sealed and (bundle / MANIFEST).is_file():
        reseal(bundle)
    return what, sealed


def reason(what: str, bundle: Path, packed: Path) -> str:
    """Why reading may accept a mutant: it says the same, or only what nothing here can be held against."""
    changed = []
    for path in sorted(bundle.rglob("*")):
        if not path.is_file() or path.name == MANIFEST:
            continue
        before = packed / path.relative_to(bundle)
        if not before.is_file() or before.read_bytes() == path.read_bytes():
            continue
        if path.suffix == ".json":
            then, now = (json.loads(one.read_bytes()) for one in (before, path))
            if {**then, "checksum": None} == {**now, "checksum": None}:
                continue
            place = what.partition(": ")[2]
            assert place.startswith(TOLD_ONLY), f"{place} was changed and accepted"
            changed.append("a value that only its submitter tells")
        elif path.suffix == ".safetensors":
            changed.append("other bytes in the place of weights or outputs")
        else:
            changed.append("another text of the submission")
    return ", ".join(sorted(set(changed))) or "says the same"


def refusal(error: Refused) -> str:
    """How a mutant was refused, in findings that are bounded and show."""
    assert 0 < len(error.findings) <= MOST_FINDINGS + 1
    assert all(str(one).isprintable() for one in error.findings), error.findings
    return "refused as unreadable" if any(one.check == "unreadable" for one in error.findings) else "refused by name"


def test_a_mutated_bundle_is_refused_or_accepted_for_a_reason(
    packed: Path, mini: Path, tmp_path: Path, mutants: int
) -> None:
    rng = random.Random(2024)
    counts: Counter[str] = Counter()
    for number in range(mutants):
        bundle = tmp_path / str(number) / packed.name
        shutil.copytree(packed, bundle)
        what, sealed = mutate(bundle, rng)
        try:
            verify_bundle(bundle, Path("unused"), depth="read", include=[mini])
        except Refused as error:
            counts[refusal(error)] += 1
        except Exception as error:
            pytest.fail(f"mutant {number} ({what}, {'sealed' if sealed else 'not sealed'}): {error!r}")
        else:
            counts[reason(what, bundle, packed)] += 1
        shutil.rmtree(bundle)
    sys.stdout.write(f"{mutants} mutated bundles: {dict(counts)}\n")
    assert sum(counts.values()) == mutants
    assert counts["refused by name"] > mutants / 2
