"""Networks trained as graphs, where none of their code runs: the same bits, and none of the cheats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.architectures.sequence import classifier, conv_block
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.device import seeded
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Epoch
from gcnnbench.submissions.constructs import construct_findings
from gcnnbench.submissions.contained.exporting import export_network, refuse_recipe
from gcnnbench.submissions.contained.graph import GraphNetwork
from gcnnbench.submissions.contained.suite_operators import GraphError
from gcnnbench.submissions.graph_form import Call, Graph, Graphs
from gcnnbench.submissions.sandbox import Outcome
from gcnnbench.submissions.scaffold import TEMPLATES
from tests.submissions.contained import BAD, CHEATS, TINY, Submission, needs_isolation, submission

CPU = torch.device("cpu")
PROJECT = Path(__file__).parents[2]


class Plain(nn.Module):
    """Batch norm, dropout and a mutation: what PyTorch's own layers bring."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.linear = nn.Linear(4, 3)
        self.register_buffer("shift", torch.ones(4), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        features = self.drop(F.relu(self.norm(self.conv(images)), inplace=True))
        out: Tensor = self.linear(features.mean((2, 3)) + self.shift)
        return out


class OwnGradient(Plain):
    """Scales its gradient behind the suite's back."""

    class Tenfold(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, values: Tensor) -> Tensor:
            return values.clone()

        @staticmethod
        def backward(_: Any, *grads: Tensor) -> Tensor:
            return 10 * grads[0]

    def forward(self, images: Tensor) -> Tensor:
        tenfold: Tensor = self.Tenfold.apply(super().forward(images))  # type: ignore[no-untyped-call]
        return tenfold


class Hooked(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.conv.register_forward_hook(lambda *_: None)


class Deciding(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.sum() > 0 else -images)


class Penalised(Plain):
    def penalty(self) -> Tensor:
        return self.linear.weight.square().sum()


def built(kind: type[nn.Module]) -> nn.Module:
    with seeded(CPU, 7):
        return kind()


def exported(kind: type[nn.Module]) -> tuple[Graphs, dict[str, Tensor]]:
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return export_network(lambda: built(kind), images, (4, 3), (6, 1))


class InSequence(nn.Sequential):
    """Names that are numbers, and pooling that makes the suite's group networks, too."""

    def __init__(self) -> None:
        blocks = conv_block(1, 1, 3, group=P4, in_group=TRIVIAL, dropout=0.2)
        head = classifier(3, 3, group=P4)
        super().__init__(*blocks.values(), BlurPool(P4, 3, 2), nn.MaxPool2d(2), *head.values())


class Resized(Plain):
    """What the audit advises where strides miss the centre: images of another size."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(F.interpolate(images, (9, 9), mode="bilinear", antialias=True))


@pytest.mark.parametrize("kind", [Plain, InSequence, Resized])
def test_layers_keep_their_bits_over_many_steps(kind: type[nn.Module]) -> None:
    """Logits, gradients, statistics and draws: compared once when they are exported, and here after ten steps."""
    graphs, tensors = exported(kind)
    graph = GraphNetwork(Graphs.model_validate_json(graphs.model_dump_json()), tensors)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    found = []
    for network in (built(kind), graph):
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        network.train()
        with seeded(CPU, 3):
            for _ in range(10):
                optimiser.zero_grad()
                F.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])).backward()
                optimiser.step()
        found.append(network.state_dict())
    assert list(found[0]) != []
    assert set(found[0]) == set(found[1])
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (OwnGradient, "a gradient of its own"),
        (Hooked, "conv has forward hooks"),
        (Deciding, "data-dependent"),
    ],
)
def test_what_a_trace_would_lose_is_not_exported(kind: type[nn.Module], told: str) -> None:
    with pytest.raises(GraphError, match=told):
        exported(kind)


def test_recipes_that_look_into_the_network_are_refused() -> None:
    refuse_recipe(TINY, built(Plain))
    with pytest.raises(GraphError, match="adds a penalty"):
        refuse_recipe(TINY, built(Penalised))
    recipe = TINY.recipe.model_copy(update={"norm_statistics": "re-estimated"})
    with pytest.raises(GraphError, match="statistics of norms"):
        refuse_recipe(TINY.model_copy(update={"recipe": recipe}), built(Plain))


def _graphs(*calls: Call) -> Graphs:
    graph = Graph(batch=1, images="x", state={"w": "w"}, calls=calls, logits=calls[-1].output)
    return Graphs(training=(graph,), evaluation=(graph,), parameters=("w",), frozen=(), buffers=(), constants=())


def _call(operator: str, *inputs: Any, gradient: bool = True) -> Call:
    return Call(operator=operator, inputs=inputs, options={}, output="y", gradient=gradient)


X, W = {"ref": "x"}, {"ref": "w"}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_call("aten.from_file.default", {"text": "../given/tensors"}), "no operator that a graph may use"),
        (_call("aten._load_from_bytes.default", X), "no operator that a graph may use"),
        (_call("os.system", {"text": "true"}), "no operator that a graph may use"),
        (_call("aten.add.__class__", X, X), "has no operator"),
        (_call("aten.relu.Nonsense", X), "has no operator"),
        (_call("aten.relu.default", {"ref": "z"}), "takes z, which is not there yet"),
        (_call("aten.relu.default", {"code": "1"}), "no value that a call may take"),
        (_call("aten.mul_.Tensor", W, X, gradient=False), "changes a parameter"),
        (_call("aten.mul_.Tensor", W, X), "leaf Variable|changes a parameter"),
        (_call("getitem", X, 0), None),
    ],
)
def test_a_forged_graph_does_nothing_but_compute(call: Call, told: str | None) -> None:
    tensors = {"w": torch.ones(1, 2)}
    if told is None:
        assert GraphNetwork(_graphs(call), tensors)(torch.ones(1, 2)).shape == (2,)
        return
    with pytest.raises((GraphError, RuntimeError), match=told):
        GraphNetwork(_graphs(call), tensors)(torch.ones(1, 2))


def test_a_graph_lacks_no_tensor_and_no_size() -> None:
    graphs = _graphs(_call("aten.mul.Tensor", W, X))
    with pytest.raises(GraphError, match="there is no tensor w"):
        GraphNetwork(graphs, {})
    with pytest.raises(GraphError, match="no graph for batches of 3"):
        GraphNetwork(graphs, {"w": torch.ones(1, 2)})(torch.ones(3, 2))


@needs_isolation
def test_an_entry_trained_as_a_graph_ends_with_the_same_bits_as_by_run(tmp_path: Path) -> None:
    """P4CNN exported in one container, and trained, validated and scored in another that has none of its code."""
    registry = Registry.load()
    tiny = BenchmarkCard.model_validate_json(json.dumps(TINY.model_dump(mode="json") | {"entries": ["p4cnn@8"]}))
    registry = replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})
    *_, last = run_cell(Cell(registry, "tiny", "p4cnn@8", 1, "cpu", 1, tmp_path))
    assert isinstance(last, Finished)
    entry = Submission(registry.folder("model", "p4cnn"), registry.model("p4cnn"), "p4cnn@8", seed=1)
    why, trained = as_graph(entry, entry.run)
    assert (why, trained.findings) == ("", ())
    weights, outputs, record = load(last.weights), load(last.outputs), last.record
    assert {name for name in trained.tensors if name.startswith("weights.")} == {f"weights.{name}" for name in weights}
    assert all(torch.equal(trained.tensors[f"weights.{name}"], value) for name, value in weights.items())
    assert torch.equal(trained.tensors["logits"], outputs["logits"])
    assert torch.equal(trained.tensors["angle_classes"], outputs["angle_classes"])
    assert trained.report["tested_epoch"] == record.training.tested_epoch
    course = [Epoch.model_validate_json(json.dumps(epoch | {"seconds": 0.0})) for epoch in trained.report["history"]]
    assert course == [epoch.model_copy(update={"seconds": 0.0}) for epoch in record.training.history]


def as_graph(entry: Submission, run: Callable[..., Outcome]) -> tuple[str, Outcome]:
    """Exported in one job, trained in another: why it could not be exported, and what came out last."""
    data = entry.data
    assert data.validation is not None
    sizes = {size for count in (len(data.validation), len(data.test)) for size in (min(64, count), count % 64)}
    batch, count = TINY.recipe.batch_size, len(data.train)
    batches = {"training_batches": sorted({batch, count % batch} - {0}), "scoring_batches": sorted(sizes - {0})}
    made = run("export", more=batches)
    if made.findings or made.report["graphs"] is None:
        return ", ".join(one.check for one in made.findings) or made.report["reason"], made
    return "", run("train-graphs", given=made.tensors, more={"graphs": made.report["graphs"]})


@needs_isolation
def test_a_cheat_of_the_recipe_gains_nothing(tmp_path: Path, mutants: int) -> None:
    """All of them in containers where corpora have their full size; by default two, in this process."""
    found: dict[str, tuple[str, Outcome]] = {}
    for name in ("honest", *(CHEATS if mutants >= 100 else ["frames", "steps_in_forward"])):
        (tmp_path / name).mkdir()
        entry = submission(tmp_path / name, name)
        found[name] = as_graph(entry, entry.run if mutants >= 100 else partial(entry.run_in, tmp_path))
    said, honest = found.pop("honest")
    assert (said, honest.findings) == ("", ())
    for name, (said, outcome) in found.items():
        assert said == CHEATS[name], name
        if not said:
            assert outcome.findings == (), name
            assert set(outcome.tensors) == set(honest.tensors)
            for tensor, value in outcome.tensors.items():
                assert torch.equal(value, honest.tensors[tensor]), f"{name} was trained otherwise: {tensor}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("answers_for_the_job", "imports sys"),
        ("frames", "uses ._getframe"),
        ("hooked_gradients", "uses .register_hook"),
        ("learning_rate_by_gc", "imports gc"),
        ("patched_checks", "uses .cross_entropy"),
    ],
)
def test_constructs_that_no_network_needs_are_named(name: str, told: str) -> None:
    files = {"model.py": (BAD / f"{name}.py").read_bytes()}
    found = [finding.what for finding in construct_findings(files, ())]
    assert any(what.endswith(told) for what in found), found


def test_what_networks_need_is_no_such_construct() -> None:
    """No registered model, template or honest network has one."""
    folders = [*(PROJECT / "models").iterdir(), *TEMPLATES.iterdir()]
    checked = 0
    for folder in folders:
        if (folder / "model.py").is_file():
            files = {path.name: path.read_bytes() for path in folder.glob("*.py")}
            assert list(construct_findings(files, ["e2cnn"])) == [], folder
            checked += 1
    assert checked > 40


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os", "imports os"),
        ("from torch import optim", "imports torch.optim"),
        ("import torch\ntorch.optim.SGD", "uses .optim"),
        ("from gcnnbench.submissions.contained import integrity", "imports gcnnbench.submissions.contained.integrity"),
        ("import torch\ntorch.relu = abs", "changes torch.relu"),
        ("eval('1')", "calls eval"),
        ("x = ().__class__.__subclasses__()", "uses .__subclasses__"),
        ("import torch\ngetattr(torch, 'op' + 'tim')", "calls getattr on a module with a computed name"),
        ("x: Tensor = y.backward()", "uses .backward"),
        ("(", "is no Python"),
        ("(" * 5000, "is no Python"),
    ],
)
def test_a_construct_is_named_with_its_line(code: str, told: str) -> None:
    (finding, *_) = construct_findings({"model.py": code.encode()}, ())
    assert told in finding.what
