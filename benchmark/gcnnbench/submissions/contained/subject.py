"""The input of a contained job: the cards, the submitted code, and the tensors that the host gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.entries import build_network, load_module
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.streams import derive
from gcnnbench.device import seeded
from gcnnbench.errors import UserError
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.graph_form import Graphs
from gcnnbench.submissions.tensor_names import WEIGHTS, chosen

CPU = torch.device("cpu")


class RefusedError(Exception):
    """A check found something after which a job cannot go on."""

    def __init__(self, check: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.finding = Finding(check=check, what=what, remedy=remedy)


@dataclass(frozen=True, eq=False)
class Subject:
    """One entry of a submission: the cards, `slug@size`, seed and threads, the folder of the code, and the tensors."""

    card: BenchmarkCard
    model: ModelCard
    entry: str
    classes: int
    seed: int
    threads: int
    folder: Path
    tensors: Mapping[str, Tensor]
    training_batches: tuple[int, ...] = ()
    scoring_batches: tuple[int, ...] = ()
    given_graphs: Any = None

    @classmethod
    def read(cls, given: Path, arguments: Mapping[str, Any]) -> Subject:
        """The subject of a job, from its arguments and the folder that the host laid out."""
        return cls(
            card=BenchmarkCard.model_validate_json(json.dumps(arguments["benchmark"])),
            model=ModelCard.model_validate_json(json.dumps(arguments["model"])),
            entry=arguments["entry"],
            classes=arguments["classes"],
            seed=arguments["seed"],
            threads=arguments["threads"],
            folder=given / "submission",
            tensors=safetensors.torch.load_file(given / "tensors"),
            training_batches=tuple(arguments.get("training_batches", ())),
            scoring_batches=tuple(arguments.get("scoring_batches", ())),
            given_graphs=arguments.get("graphs"),
        )

    @property
    def graphs(self) -> Graphs:
        """The graphs that the job was given.

        Raises:
            RefusedError: they are none.
        """
        try:
            return Graphs.model_validate_json(json.dumps(self.given_graphs))
        except ValueError as error:
            raise RefusedError("graph", str(error), "let the network be exported as it is") from error

    @property
    def size(self) -> int:
        """Height and width of the entry's input."""
        return split_entry(self.entry)[1]

    @cached_property
    def module(self) -> ModuleType:
        """The submitted code; importing it runs it.

        Raises:
            RefusedError: it cannot be imported.
        """
        try:
            return load_module("model", self.model.name, self.folder, self.model.requires)
        except UserError as error:
            raise RefusedError("import", str(error), "let model.py import with what its card requires") from error

    def build(self, size: int | None = None) -> nn.Module:
        """A new network with the weights that this seed draws, for the entry's size or another.

        Raises:
            RefusedError: `build` fails.
        """
        module = self.module
        try:
            with seeded(CPU, derive(self.card.name, self.seed, "initialisation")):
                return build_network(
                    module,
                    self.entry,
                    size=size or self.size,
                    channels=self.card.input.channels,
                    classes=self.classes,
                    hyperparameters=self.model.hyperparameters,
                    black=self.card.input.black,
                )
        except UserError as error:
            remedy = "give build(*, size, channels, classes, …) the card's hyper-parameters and let it return a module"
            raise RefusedError("build", str(error), remedy) from error

    def images(self, role: str, size: int | None = None) -> Images | None:
        """The images of a role at the entry's size, with zeros for labels where none were given; None without any."""
        name = "images" if role == "probe" else f"{role}.images"
        if name not in self.tensors:
            return None
        images = self.tensors[name]
        labels = self.tensors.get(f"{role}.labels", torch.zeros(len(images), dtype=torch.int64))
        return prepare(Part(images, labels), self.card.input, size or self.size)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that were given, by the names of the network."""
        return chosen(WEIGHTS, self.tensors)

    def load(self, network: nn.Module) -> nn.Module:
        """Give a network the weights that came with the job, where there are any.

        Raises:
            RefusedError: they are not this network's.
        """
        if self.weights:
            network.train()  # e2cnn keeps expanded filters in evaluation mode, and they would go stale
            try:
                network.load_state_dict(self.weights)
            except RuntimeError as error:
                text = " ".join(str(error).split())[:300]
                raise RefusedError("weights", text, "save the state_dict of the network that build gives") from error
        return network
