"""What the tests of the contained process share: a folder made of a bad submission, the cards, the data, the call."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.model_card import ModelCard, ParameterCount
from gcnnbench.cards.reading import open_card
from gcnnbench.cards.registry import Registry
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.splits import Splits, order_seed, split
from gcnnbench.submissions.contained.jobs import run_job
from gcnnbench.submissions.containment import isolation
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.limits import Limits
from gcnnbench.submissions.sandbox import Code, Job, Outcome, run_isolated

BAD = Path(__file__).with_name("bad")
CHEATS = {
    "answers_for_the_job": "integrity",
    "frames": "",
    "hooked_gradients": "a parameter has hooks",
    "learning_rate_by_gc": "",
    "patched_checks": "",
    "steps_in_forward": "",
}
"""Cheats of the recipe, and why they are not exported, if they are not; the others train as the honest network does."""
TINY = open_card(Path(__file__).parents[1] / "runs" / "tiny.yaml", BenchmarkCard).card
LIMITS = Limits(seconds=120, memory_bytes=3 * 2**29, processes=32, output_bytes=2**24)
HONEST = ModelCard(
    name="bad",
    title="A submission",
    summary="One of the corpus.",
    model_version=1,
    authors=("Nobody",),
    licence="Apache-2.0",
    group="trivial",
    hyperparameters={},
    parameters=(ParameterCount(channels=1, classes=10, size=8, count=130, macs=3516),),
)

needs_isolation = pytest.mark.skipif(
    isolation().kind == "none", reason=f"no isolation on this machine: {isolation().reason}"
)


def shares() -> Splits:
    """The shares of `tiny`, as the files hold them."""
    parts = load_dataset(Registry.load(), "digits", Path("unused"))
    return split(parts, TINY.split, order_seed("tiny", 0, TINY.split))


@dataclass(frozen=True)
class Submission:
    """A submission in a folder, and how it is put before a job of the child."""

    folder: Path
    model: ModelCard = HONEST
    entry: str = "bad@8"
    seed: int = 0
    data: Splits = field(default_factory=shares)

    @property
    def code(self) -> dict[str, bytes]:
        """Its files as the host reads them."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "benchmark": TINY.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "entry": self.entry,
            "classes": 10,
            "seed": self.seed,
            "threads": 1,
        }

    def tensors(self, job: Job) -> dict[str, Tensor]:
        """What the host gives a job; never a test label."""
        if job == "probe":
            return {"images": self.data.train.images[:64]}
        given = {"test.images": self.data.test.images}
        if job in ("train", "train-graphs"):
            assert self.data.validation is not None
            given |= {"train.images": self.data.train.images, "train.labels": self.data.train.labels}
            given |= {f"validation.{name}": getattr(self.data.validation, name) for name in ("images", "labels")}
        return given

    def run(
        self,
        job: Job = "probe",
        limits: Limits = LIMITS,
        given: Mapping[str, Tensor] = MappingProxyType({}),
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Outcome:
        """The job in its container."""
        code = {} if job == "train-graphs" else self.code
        return run_isolated(job, code, self.arguments | dict(more), self.tensors(job) | dict(given), limits)

    def run_in(
        self,
        place: Path,
        job: Job,
        limits: Limits = LIMITS,
        given: Mapping[str, Tensor] = MappingProxyType({}),
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Outcome:
        """The job in this process, its files below a folder."""
        code = {} if job == "train-graphs" else self.code
        return uncontained(place)(job, code, self.arguments | dict(more), self.tensors(job) | dict(given), limits)

    def run_here(
        self, place: Path, job: Job = "probe", given: Mapping[str, Tensor] = MappingProxyType({})
    ) -> dict[str, str]:
        """The same job in this process: what each check found."""
        outcome = uncontained(place)(job, self.code, self.arguments, self.tensors(job) | dict(given), LIMITS)
        return {finding.check: finding.what for finding in outcome.findings}


def uncontained(place: Path) -> Callable[..., Outcome]:
    """A stand-in for `run_isolated` that does the job in this process, for code that harms nobody."""

    def run(
        job: Job,
        code: Code,
        arguments: dict[str, Any],
        tensors: dict[str, Tensor],
        limits: Limits,
        *,
        trust: bool = False,
    ) -> Outcome:
        given = Path(tempfile.mkdtemp(dir=place))
        (given / "submission").mkdir()
        for name, content in code.items():
            (given / "submission" / name).write_bytes(content)
        save_file({name: value.contiguous() for name, value in tensors.items()}, given / "tensors")
        with torch.random.fork_rng(devices=[]):
            findings, report, values = run_job(given, job, json.loads(json.dumps(arguments)))
        found = tuple(Finding.model_validate(one) for one in findings)
        return Outcome(found, report, load(values) if values else {}, "")

    return run


def submission(place: Path, name: str, **more: Any) -> Submission:
    """A bad submission of the corpus in a folder of its own."""
    folder = place / "bad"
    folder.mkdir(parents=True)
    shutil.copy(BAD / "honest.py", folder / "honest.py")
    shutil.copy(BAD / f"{name}.py", folder / "model.py")
    return Submission(folder, **more)
