"""Files of `torch.save` give their tensors as they were, and nothing that they ask for is run."""

from __future__ import annotations

import io
import os
import pickle
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gcnnbench.errors import UserError
from gcnnbench.record_checks import torch_file
from gcnnbench.record_checks.torch_file import read_tensors


def saved(what: Any, *, old: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(what, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def state() -> dict[str, torch.Tensor]:
    """Parameters, statistics, a view of a shared storage, a transposed and an empty one, several types."""
    torch.manual_seed(0)
    whole = torch.arange(24.0).view(4, 6)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    found = OrderedDict(network.state_dict())
    found |= {"row": whole[1], "turned": whole.t(), "none": torch.empty(0, 3), "half": torch.ones(3).half()}
    found |= {"flags": torch.tensor([True, False]), "double": torch.tensor(2.5, dtype=torch.float64)}
    return found


@pytest.mark.parametrize("old", [True, False])
def test_tensors_come_back_bit_for_bit(old: bool) -> None:
    wanted = state()
    found = read_tensors(saved(wanted, old=old))
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype or tensor.numel() == 0, name
        assert found[name].shape == tensor.shape, name
        assert torch.equal(found[name], tensor) or tensor.numel() == 0, name


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("old", [True, False])
def test_what_a_file_asks_for_is_not_run(old: bool, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    content = saved({"weight": torch.ones(2), "evil": Evil(folder)}, old=old)
    with pytest.raises(UserError, match="asks for something else than tensors; nothing in it was run"):
        read_tensors(content)
    assert not folder.exists()
    pickle.loads(pickle.dumps(Evil(folder)))
    assert folder.exists()  # the same object, unpickled, does it


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ([torch.ones(2)], "something else than a dictionary of tensors"),
        ({"epoch": 3}, "something else than a dictionary of tensors"),
        (nn.Linear(2, 2), "asks for something else than tensors"),
    ],
)
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_other_things_are_refused(what: Any, message: str, old: bool) -> None:
    with pytest.raises(UserError, match=message):
        read_tensors(saved(what, old=old))


def test_what_is_no_such_file_is_said() -> None:
    for content in (b"", b"PK\x03\x04", b"hello", pickle.dumps({}), pickle.dumps(7)):
        with pytest.raises(UserError, match=r"the file"):
            read_tensors(content)


@pytest.mark.parametrize("old", [True, False])
def test_damaged_files_end_in_one_sentence_or_in_sane_tensors(old: bool) -> None:
    content, chance = saved(state(), old=old), random.Random(0)
    refusals: list[str] = []
    for _ in range(150):
        damaged = bytearray(content)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        else:
            for _ in range(chance.choice((1, 4))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            found = read_tensors(bytes(damaged))
        except UserError as error:
            refusals.append(str(error))
        else:
            assert sum(tensor.numel() for tensor in found.values()) < 10_000
    assert len(refusals) > 20
    assert not [refusal for refusal in refusals if "\n" in refusal]


def test_a_view_outside_its_storage_is_refused() -> None:
    content = saved({"w": torch.arange(300.0)[:299]}, old=True)
    assert content.count(b"M+\x01") == 1  # 299 as a pickled number: the length of the view
    with pytest.raises(UserError, match="the file is damaged"):
        read_tensors(content.replace(b"M+\x01", b"M\x2f\x01"))


def test_large_files_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(state(), old=False)
    monkeypatch.setattr(torch_file, "LIMIT", len(content) - 1)
    with pytest.raises(UserError, match="bytes; at most"):
        read_tensors(content)
