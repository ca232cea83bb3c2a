"""What is registered: all of it right, all of it found, and the way from a card to its code."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import gcnnbench.datasets
import gcnnbench.models
from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.bibliography import read_bibliography
from gcnnbench.cards.card_files import REGISTRY, cards_at
from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.cards.entries import load_module
from gcnnbench.cards.reading import CARD_KINDS, CardsError, open_card
from gcnnbench.cards.registry import Registry, survey
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import group

RIGHT = Path(__file__).parent / "right"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture
def mynet(tmp_path: Path) -> Path:
    """A model's folder outside the registry, with code that imports its neighbour."""
    folder = tmp_path / "mynet"
    shutil.copytree(RIGHT / "mynet", folder)
    (folder / "layers.py").write_text(
        "from torch import nn\n\n\ndef last(classes):\n    return nn.LazyLinear(classes)\n"
    )
    (folder / "model.py").write_text(
        "from torch import nn\n\nfrom .layers import last\n\n\n"
        "def build(*, size, channels, classes, planes, dropout, widths):\n"
        "    return nn.Sequential(nn.Flatten(), last(classes))\n"
    )
    return folder


def test_everything_registered_is_right_and_nothing_is_left_out() -> None:
    card_files = survey()
    assert [str(finding) for finding in card_files.findings] == []
    for package, cards, kind in (
        (gcnnbench.models, card_files.models, "model"),
        (gcnnbench.datasets, card_files.datasets, "dataset"),
    ):
        folders = {file.parent.name for path in package.__path__ for file in Path(path).glob(f"*/{kind}.py")}
        assert set(cards) == folders
        assert len(folders) >= 2
    assert set(card_files.benchmarks) == {path.stem for path in (REGISTRY / "benchmarks").iterdir()}
    assert set(card_files.superseded) == {path.stem for path in (REGISTRY / "superseded").iterdir()}
    counted = (
        len(card_files.models) + len(card_files.datasets) + len(card_files.benchmarks) + len(card_files.superseded)
    )
    assert len(card_files.looked_at) == counted


def test_every_model_is_entered_in_a_benchmark(registry: Registry) -> None:
    entered = {split_entry(entry)[0] for card in registry.benchmarks.values() for entry in card.entries}
    assert entered == {name for name, card in registry.models.items() if card.trained_on is None}


def test_the_table_of_elements_is_that_of_the_groups() -> None:
    assert {name: tuple(element.name for element in group(name).elements) for name in ELEMENTS} == dict(ELEMENTS)


def test_the_registry_can_be_sent_to_another_process(registry: Registry) -> None:
    assert pickle.loads(pickle.dumps(registry)) == registry


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        (lambda r: r.model("p4cn"), "there is no model 'p4cn'; did you mean p4cnn"),
        (lambda r: r.dataset("mnst"), "there is no data set 'mnst'; did you mean mnist"),
        (lambda r: r.benchmark("quikstart"), "there is no benchmark 'quikstart'; did you mean quickstart"),
        (lambda r: r.benchmark("quickstart@77"), r"quickstart@77: the registry has quickstart@\d+"),
        (lambda r: r.build("p4cnn", r.benchmark("quickstart")), "write SLUG@SIZE, as in p4cnn@28"),
        (lambda r: r.module("dataset", "mnst"), "did you mean mnist"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_right_one(
    registry: Registry, lookup: Callable[[Registry], object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        lookup(registry)


def test_cards_are_found_by_name_and_by_full_name(registry: Registry) -> None:
    card = registry.benchmark("quickstart")
    assert registry.benchmark(card.full_name) is card
    assert registry.model("p4cnn@28") is registry.model("p4cnn")
    assert (registry.folder("model", "p4cnn") / "model.py").is_file()


def test_the_entries_of_the_quickstart_build(registry: Registry) -> None:
    card = registry.benchmark("quickstart")
    for entry in card.entries:
        size = split_entry(entry)[1]
        network = registry.build(entry, card).eval()
        assert network(torch.rand(2, card.input.channels, size, size)).shape == (2, 10)


def test_a_model_from_elsewhere_is_built_with_its_neighbours(mynet: Path) -> None:
    registry = Registry.load([mynet])
    network = registry.build("mynet@28", registry.benchmark("mnist-upright"))
    assert network(torch.rand(2, 3, 28, 28)).shape == (2, 10)


def test_two_folders_of_one_name_do_not_meet(mynet: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "mynet"
    shutil.copytree(mynet, other)
    (other / "layers.py").write_text("MARK = 2\n")
    (other / "model.py").write_text("from .layers import MARK\n")
    assert load_module("model", "mynet", mynet) is not load_module("model", "mynet", other)
    assert load_module("model", "mynet", other).MARK == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nopackage_at_all\n", "needs the package nopackage_at_all, which is not installed"),
        ("raise RuntimeError('operator torchvision::nms does not exist')\n", "torch and torchvision do not match"),
        ("def build(:\n", "model mynet does not import: SyntaxError"),
        ("x = 1\n", "has no build"),
        ("def build(**_):\n    return 1\n", "mynet@28: build gave int; it must give a torch.nn.Module"),
        ("def build(**_):\n    return 1 / 0\n", "mynet@28: build failed: ZeroDivisionError"),
        ("def build(*, size, channels, classes):\n    pass\n", "mynet@28: build failed: TypeError.*planes"),
        (
            "from gcnnbench.errors import UserError\ndef build(**_):\n    raise UserError('size (=28) must be odd')\n",
            r"mynet@28: size \(=28\) must be odd",
        ),
    ],
)
def test_code_that_fails_is_told_in_one_line(mynet: Path, code: str, message: str) -> None:
    (mynet / "model.py").write_text(code)
    registry = Registry.load([mynet])
    with pytest.raises(UserError, match=message) as caught:
        registry.build("mynet@28", registry.benchmark("mnist-upright"))
    assert "\n" not in str(caught.value)


def test_a_required_package_that_is_missing_is_named(mynet: Path) -> None:
    card = mynet / "model.yaml"
    card.write_text(card.read_text() + 'requires: ["nopackage-at-all>=2.0"]\n')
    registry = Registry.load([mynet])
    with pytest.raises(UserError, match=r"needs the package nopackage-at-all: .* install 'nopackage-at-all>=2.0'"):
        registry.build("mynet@28", registry.benchmark("mnist-upright"))


def test_a_wrong_card_stops_the_registry_and_is_shown(mynet: Path) -> None:
    card = mynet / "model.yaml"
    card.write_text(card.read_text().replace("group: p4", "group: p5"))
    with pytest.raises(CardsError, match=r"model\.yaml:7:8: group: 'p5' is unknown here") as caught:
        Registry.load([mynet])
    assert len(caught.value.errors) == 1


def test_paths_without_a_card_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no card in it"):
        cards_at(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        cards_at(tmp_path / "nowhere")


def test_a_registered_card_given_again_is_the_same_card(registry: Registry) -> None:
    assert Registry.load([registry.folder("model", "p4cnn")]) == registry


def test_what_python_left_of_a_removed_entry_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone" / "__pycache__").mkdir(parents=True)
    monkeypatch.setattr(gcnnbench.models, "__path__", [*gcnnbench.models.__path__, str(tmp_path)])
    assert survey().findings == []
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.py").touch()
    (finding,) = survey().findings
    assert str(finding).endswith("half/model.yaml:1:1: the file is missing")


def test_every_source_has_its_bibtex(registry: Registry) -> None:
    cards = [*registry.models.values(), *registry.datasets.values(), *registry.benchmarks.values()]
    used = {source.key for card in cards for source in card.sources}
    assert used
    assert used <= set(registry.bibliography)
    for key, entry in registry.bibliography.items():
        assert entry.startswith("@")
        assert f"{{{key}," in entry
        assert entry.count("{") == entry.count("}")
        assert "title = {" in entry
        dated = "year = {" in entry or re.search(r"howpublished = \{.* at [0-9a-f]{7,40}\}", entry)
        assert dated, f"{key}: a year, or for code without one the commit"


def test_a_broken_bibliography_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "references.bib"
    path.write_text("@misc{a,\n title = {A}\n}\n@misc{a,\n title = {A}\n}\n")
    with pytest.raises(UserError, match=r"references\.bib:4:1: a stands twice"):
        read_bibliography(path)
    path.write_text("@misc{a,\n title = {A\n}\n@misc{b,\n title = {B}\n}\n")
    with pytest.raises(UserError, match=r"references\.bib:1:1: a: a brace is not closed"):
        read_bibliography(path)


def test_cards_are_read_alone(tmp_path: Path) -> None:
    card = open_card(RIGHT / "trial.yaml", BenchmarkCard).card
    assert card.full_name == "trial@1"
    assert card.entries == ("p4cnn@28", "z2cnn@28")
    with pytest.raises(CardsError, match=r"nothing\.yaml:1:1: the file is missing"):
        open_card(tmp_path / "nothing.yaml", BenchmarkCard)


def test_every_kind_of_card_has_a_json_schema() -> None:
    for kind in CARD_KINDS.values():
        schema = kind.model_json_schema()
        assert schema["additionalProperties"] is False
        assert {"name", "title", "summary"} <= set(schema["required"])


def test_importing_cards_does_not_import_torch() -> None:
    code = "import sys, gcnnbench.cards.registry, gcnnbench.runs.spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
