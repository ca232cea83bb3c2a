"""A submission's folder, read safely: what may be in it, and all that is wrong with it at once.

<slug>/model.yaml            the card; it names the benchmarks and sizes that the network enters
       model.py              `build(*, size, channels, classes, **hyperparameters)`
       *.py                  further code, imported as `from .layers import …`
       README.md, LICENSE    as its authors like
       weights.safetensors   only where the network comes trained
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.source import read_source
from gcnnbench.data.copies import lacks_digests
from gcnnbench.errors import UserError
from gcnnbench.submissions.constructs import construct_findings
from gcnnbench.submissions.findings import Finding, Refused, guarded
from gcnnbench.submissions.readable_card import readable_card
from gcnnbench.submissions.tree import PICKLE_STARTS, PICKLED, TEXT_BYTES, WEIGHTS_BYTES, read_inside, survey_tree

CARD, CODE, WEIGHTS = "model.yaml", "model.py", "weights.safetensors"
TEXTS = {CARD, "README.md", "LICENSE"}
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.py")
_BEGIN = "write a starting point with: gcnnbench new NAME"


@dataclass(frozen=True)
class Submission:
    """A folder that may be looked into further: its files as they were read, its card, and the registry with it.

    `entries` are pairs (benchmark's name, `slug@size`) in the card's order.
    """

    card: ModelCard
    registry: Registry
    files: Mapping[str, bytes]

    @property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """What the card enters."""
        return tuple(
            (entering.benchmark, f"{self.card.name}@{size}")
            for entering in self.card.enters or ()
            for size in entering.sizes
        )

    @property
    def code(self) -> dict[str, bytes]:
        """What its code may see of itself: all files but the weights."""
        return {name: content for name, content in self.files.items() if name != WEIGHTS}

    @property
    def trained_elsewhere(self) -> bool:
        """Whether it brings weights: then it is scored, never trained here."""
        return self.card.trained_on is not None


@dataclass(frozen=True)
class Examined:
    """What a folder holds, as far as it can be read, and everything that is wrong with it.

    `submission` is None where there is no card, or none from which a network can be tried; its files are those that are
    right, and of its card what is right.
    """

    submission: Submission | None
    findings: tuple[Finding, ...]


def read_submission(path: Path, include: Sequence[Path] = ()) -> Submission:
    """Read a submission's folder; nothing of it is run or imported.

    Args:
        path: the folder, anywhere.
        include: further cards, as of a benchmark that is not registered.

    Raises:
        UserError: there is nothing at the path.
        Refused: what is there is no submission; everything that is wrong with it at once.
    """
    found = examine(path, include)
    if found.findings or found.submission is None:
        raise Refused(found.findings)
    return found.submission


def examine(path: Path, include: Sequence[Path] = ()) -> Examined:
    """Look at a submission's folder as `read_submission` does, and go on where something is wrong.

    Raises:
        UserError: there is nothing at the path.
        Refused: what is there cannot be read at all.
    """
    if not path.exists():
        raise UserError(f"{path}: no such folder; {_BEGIN}")
    with guarded(path):
        return _examine(path, path.resolve(), include)


def _examine(path: Path, folder: Path, include: Sequence[Path]) -> Examined:
    if not folder.is_dir():
        remedy = "give the folder that holds model.yaml and model.py"
        raise Refused([Finding(check="not-a-folder", what=f"{path} is a file", remedy=remedy)])
    tree = survey_tree(folder)
    findings = list(tree.findings)
    if not tree.files and not findings:
        raise Refused([Finding(check="empty-folder", what=f"{path} holds no file", remedy=_BEGIN)])
    files: dict[str, bytes] = {}
    for name, size in tree.files.items():
        unfit = list(_unfit(name, size))
        if not unfit:
            content = read_inside(folder, name, WEIGHTS_BYTES if name == WEIGHTS else TEXT_BYTES)
            unfit = list(_wrong_content(name, content))
            if not unfit:
                files[name] = content
        findings += unfit
    if CODE not in tree.files:
        remedy = "give it build(*, size, channels, classes, **hyperparameters) -> torch.nn.Module"
        findings.append(Finding(check="missing-file", what=f"{CODE} is missing", remedy=remedy))
    if CARD not in files:
        if CARD not in tree.files:
            remedy = "`gcnnbench new NAME` writes one, `gcnnbench schema model` says what it may hold"
            findings.append(Finding(check="missing-file", what=f"{CARD} is missing", remedy=remedy))
        return Examined(None, tuple(findings))
    findings += construct_findings(files, _required(folder / CARD))
    file, registry, wrong = readable_card(folder / CARD, include)
    findings += [_of_card(str(one)) for one in wrong]
    if file is None or registry is None:
        findings.append(Finding(check="unchecked", what="the network was not tried", remedy="mend the card first"))
        return Examined(None, tuple(findings))
    submission = Submission(file.card, registry, files)
    return Examined(submission, (*findings, *_incomplete(submission)))


def _required(path: Path) -> list[str]:
    """The packages that a card names, right or not."""
    data = read_source(path).data
    named = data.get("requires") if isinstance(data, dict) else None
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _unfit(name: str, size: int) -> Iterator[Finding]:
    """Why a file is not even read."""
    limit = WEIGHTS_BYTES if name == WEIGHTS else TEXT_BYTES
    if Path(name).suffix.lower() in PICKLED:
        remedy = f"weights are taken as {WEIGHTS} only (safetensors.torch.save_file), for reading a pickle runs it"
        yield Finding(check="pickle", what=f"{name} is a kind of file that may hold a pickle", remedy=remedy)
    elif name not in TEXTS | {WEIGHTS} and not _MODULE.fullmatch(name):
        allowed = f"{', '.join(sorted(TEXTS))}, {WEIGHTS} and .py files with plain names, without folders"
        yield Finding(check="unexpected-file", what=f"{name} is no part of a submission", remedy=f"bring {allowed}")
    elif size > limit:
        yield Finding(check="size-limit", what=f"{name} has {size:,} bytes", remedy=f"at most {limit:,}")


def _wrong_content(name: str, content: bytes) -> Iterator[Finding]:
    if name == WEIGHTS:
        yield from _wrong_weights(content)
        return
    try:
        if "\0" in content.decode("utf-8"):
            yield Finding(check="encoding", what=f"{name} holds a NUL character", remedy="save it as UTF-8 text")
    except UnicodeDecodeError as error:
        what = f"{name} is not UTF-8 (byte {error.start})"
        yield Finding(check="encoding", what=what, remedy="save it as UTF-8 text")


def _wrong_weights(content: bytes) -> Iterator[Finding]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    remedy = "write it with safetensors.torch.save_file(network.state_dict(), …)"
    if content.startswith(PICKLE_STARTS):
        yield Finding(check="pickle", what=f"{WEIGHTS} begins as a pickle does; it was not read", remedy=remedy)
        return
    try:
        if not load(content):
            yield Finding(check="weights", what=f"{WEIGHTS} holds no tensor", remedy=remedy)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        yield Finding(check="weights", what=f"{WEIGHTS} is no safetensors file: {error}", remedy=remedy)


def _incomplete(submission: Submission) -> Iterator[Finding]:
    """What a card must say of a network that is submitted, beyond what every card says."""
    card, registry = submission.card, submission.registry
    if not submission.entries:
        remedy = "write enters: [{benchmark: quickstart, sizes: [12]}]"
        yield _of_card(f"{CARD} enters no benchmark, and nothing tried is nothing shown", remedy)
    for name, entry in submission.entries:
        benchmark = registry.benchmark(name)
        dataset = registry.dataset(benchmark.dataset)
        if lacks_digests(dataset):
            remedy = "enter a benchmark whose data set states its digests; `gcnnbench run` tries others"
            what = f"{CARD} enters {name}, but there is no canonical copy of {dataset.name} to verify a bundle on"
            yield _of_card(what, remedy)
        wanted = {"channels": benchmark.input.channels, "classes": dataset.classes, "size": split_entry(entry)[1]}
        stated = card.count_at(**wanted)
        if stated is None or stated.macs is None:
            lacking = "count and macs" if stated is None else "macs"
            shown = json.dumps(wanted).replace('"', "")
            yield _of_card(f"{CARD} does not state {lacking} for {name}", f"add them under parameters: {shown}")
    if (WEIGHTS in submission.files) != submission.trained_elsewhere:
        if submission.trained_elsewhere:
            what, remedy = "trained_on is stated, but there are no weights", f"bring {WEIGHTS}, or take trained_on out"
        else:
            what = f"{WEIGHTS} is there, but {CARD} does not say what it was trained on"
            remedy = "state trained_on (scored only), or take the weights out (trained here)"
        yield Finding(check="weights", what=what, remedy=remedy)


def _of_card(what: str, remedy: str = "see: gcnnbench schema model") -> Finding:
    return Finding(check="card", what=what, remedy=remedy)
