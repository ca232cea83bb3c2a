"""Claims of kind *weights*: files known by their digest, moved onto an entry, scored, with a control and a verdict."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.released_weights import Move, WeightsClaim
from gcnnbench.cli import main
from gcnnbench.data.parts import Part
from gcnnbench.errors import UnavailableError, UserError
from gcnnbench.record_checks import released_weights
from gcnnbench.record_checks.released_weights import Scored, load_network, verify_weights

REGISTRY = Registry.load()
CARDS = [card for card in read_claims(REGISTRY) if card.weights]
CLAIMS = {one.claim: one for card in CARDS for one in card.weights}


def foreign_state(claim: WeightsClaim) -> dict[str, Tensor]:
    """Random tensors of the shapes that the source's file has."""
    torch.manual_seed(0)
    group = claim.entry.startswith("p4")
    planes = 10 if group else 20
    state: dict[str, Tensor] = {}
    for number in range(1, 8):
        inner = 1 if number == 1 else planes
        fibre = [4] if group and number > 1 else []
        size = 4 if number == 7 else 3
        state[f"c{number}.weight"] = torch.randn(10 if number == 7 else planes, inner, *fibre, size, size) * 0.2
        if number < 7:
            state |= {f"bn{number}.{name}": torch.rand(planes) + 0.5 for name in ("weight", "bias", "running_mean")}
            state[f"bn{number}.running_var"] = torch.rand(planes) + 0.5
            state[f"bn{number}.num_batches_tracked"] = torch.tensor(3)
    return state


def plain(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The source's networks, written from their description: valid convolutions, a pool, the maximum over turns."""
    lifted = images
    for number in range(1, 8):
        weight = state[f"c{number}.weight"].double()
        if weight.ndim == 5:
            turned = [weight.rot90(turn, (-2, -1)).roll(turn, 2) for turn in range(4)]
            bank = torch.stack(turned, 1).flatten(0, 1).flatten(1, 2) * torch.pi / 2
        elif "c2.weight" in state and state["c2.weight"].ndim == 5:
            bank = torch.stack([weight.rot90(turn, (-2, -1)) for turn in range(4)], 1).flatten(0, 1)
        else:
            bank = weight
        lifted = torch.nn.functional.conv2d(lifted, bank)
        if number < 7:
            copies = lifted.shape[1] // len(state[f"bn{number}.weight"])
            mean, var, scale, shift = (
                state[f"bn{number}.{name}"].double().repeat_interleave(copies)[:, None, None]
                for name in ("running_mean", "running_var", "weight", "bias")
            )
            lifted = ((lifted - mean) / (var + 2e-5).sqrt() * scale + shift).relu()
        if number == 2:
            lifted = torch.nn.functional.max_pool2d(lifted, 2)
    return lifted.reshape(len(images), 10, -1).amax(2)


@pytest.mark.parametrize("name", ["rotmnist-z2cnn", "rotmnist-p4cnn"])
def test_the_entry_computes_what_the_sources_network_computes(name: str) -> None:
    state = foreign_state(CLAIMS[name])
    network = load_network(REGISTRY, CLAIMS[name], {key: one.double() for key, one in state.items()}).double()
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        expected, found = plain(state, images), network(images)
    assert float((expected - found).abs().max() / expected.abs().max()) < 1e-5  # the entry's tensors were float32


def changed(claim: WeightsClaim, **fields: Any) -> WeightsClaim:
    return claim.model_copy(update=fields)


def test_what_does_not_fit_is_said_by_name() -> None:
    claim = CLAIMS["rotmnist-z2cnn"]
    state = foreign_state(claim)
    with pytest.raises(UserError, match=r"c3\.weight -> conv3\.weight: the file has no such tensor"):
        load_network(REGISTRY, claim, {name: one for name, one in state.items() if name != "c3.weight"})
    with pytest.raises(UserError, match=r"nothing is said of extra"):
        load_network(REGISTRY, claim, {**state, "extra": torch.ones(1)})
    with pytest.raises(UserError, match=r"nothing is said of conv1\.bias"):
        load_network(REGISTRY, changed(claim, zero=claim.zero[1:]), state)
    with pytest.raises(UserError, match=r"bn1\.bias -> norm1\.bias: \(3,\) and \(20,\) do not fit"):
        load_network(REGISTRY, claim, {**state, "bn1.bias": torch.ones(3)})
    with pytest.raises(UserError, match="not finite"):
        load_network(REGISTRY, claim, {**state, "bn1.bias": torch.full((20,), float("nan"))})


def test_a_move_that_changes_numbers_says_why() -> None:
    with pytest.raises(ValueError, match="says why"):
        Move(theirs="a", ours="b", scale=2.0)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Twelve hundred noisy images, in place of the look-alike; the data set of the source is not at hand."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (600, 1, 28, 28), generator=generator, dtype=torch.uint8)
    parts = {"train": Part(images, torch.zeros(600, dtype=torch.int64)), "test": Part(images, torch.zeros(600).long())}

    def load(_: Registry, name: str, __: Path) -> dict[str, Part]:
        if name == "rotmnist":
            raise UnavailableError("rotmnist is not here")
        return parts

    monkeypatch.setattr(released_weights, "load_dataset", load)
    return parts


def score(tmp_path: Path, digits: dict[str, Part], *, wrong: int = 0, mirrored: bool = False) -> Scored:
    """A file whose network labels the images itself, with some labels then changed."""
    claim = CLAIMS["rotmnist-p4cnn"]
    state = foreign_state(claim)
    (tmp_path / "any-name.pth").unlink(missing_ok=True)
    torch.save(state, tmp_path / "any-name.pth")
    content = (tmp_path / "any-name.pth").read_bytes()
    claim = changed(claim, sha256=hashlib.sha256(content).hexdigest())
    images = digits["test"].images.float() / 255
    shown = (images - images.double().mean().float()) / images.double().std(correction=0).float()
    turned = shown if mirrored else shown.transpose(-2, -1)
    with torch.no_grad():
        labels = load_network(REGISTRY, claim, state)(turned).argmax(1)
    labels[:wrong] = (labels[:wrong] + 1) % 10
    digits["test"] = Part(digits["test"].images, labels)
    card = next(card for card in CARDS if card.source == "romero2020").model_copy(update={"weights": (claim,)})
    (row,) = verify_weights(REGISTRY, [card], tmp_path, tmp_path)
    return row


def test_a_file_is_found_by_its_digest_and_scored_as_it_was_trained(tmp_path: Path, digits: dict[str, Part]) -> None:
    row = score(tmp_path, digits, wrong=12)  # 98 %; 97.862 is published
    assert (row.correct, row.images, row.data) == (588, 600, "rotmnist-generated")
    assert row.control < 588
    assert row.invariance_error is not None
    assert row.invariance_error < 1e-9
    assert row.verdict == "undecided"  # so few images tell little
    assert score(tmp_path, digits, wrong=90).verdict == "fails on the look-alike"
    assert score(tmp_path, digits, mirrored=True).verdict == "fails on the look-alike"  # planted: read as shown


def test_verdicts_follow_the_interval() -> None:
    claim = CLAIMS["rotmnist-p4cnn"]
    verdict = released_weights._verdict
    assert verdict(claim, 0.97862, 48_900, 50_000, same=False) == "holds on the look-alike"
    assert verdict(claim, 0.97862, 47_000, 50_000, same=False) == "fails on the look-alike"
    assert verdict(claim, 0.97862, 48_480, 50_000, same=False) == "undecided"
    assert verdict(claim, 0.97862, 48_931, 50_000, same=True) == "reproduced"
    assert verdict(claim, 0.97862, 48_700, 50_000, same=True) == "refuted"


def test_a_file_that_is_not_here_is_said_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.pth").write_bytes(b"not the file")
    with pytest.raises(SystemExit) as ending:
        main(["verify", "weights", "--weights", str(tmp_path), "--format", "json"])
    assert ending.value.code == 1
    rows = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in rows} == {"not here"}
    assert all("https://raw.githubusercontent.com/dwromero/att_gconvs/872259c/" in row["reason"] for row in rows)
    for words, message in (
        (["--weights", str(tmp_path / "none")], "no such folder"),
        (["--weights", str(tmp_path), "--paper", "nobody"], "released no weights that are registered; romero2020 did"),
    ):
        with pytest.raises(SystemExit) as ending:
            main(["verify", "weights", *words])
        assert ending.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_the_released_networks_give_their_numbers_back() -> None:
    """With the files in the folder GCNNBENCH_WEIGHTS and the data in GCNNBENCH_DATA."""
    weights, data = os.environ.get("GCNNBENCH_WEIGHTS"), os.environ.get("GCNNBENCH_DATA")
    if not weights or not data:
        pytest.skip("set GCNNBENCH_WEIGHTS and GCNNBENCH_DATA to the released files and to the data")
    rows = {row.claim.claim: row for row in verify_weights(REGISTRY, CARDS, Path(weights), Path(data), images=2000)}
    assert rows["rotmnist-z2cnn"].correct / 2000 == pytest.approx(0.952, abs=0.015)
    assert rows["rotmnist-p4cnn"].correct / 2000 == pytest.approx(0.979, abs=0.010)
    assert all(row.control / row.images < 0.6 for row in rows.values())
