"""Networks name their layers and what they cannot take."""

from __future__ import annotations

import pytest
from torch import nn

from gcnnbench.architectures.sequence import Network, conv_block, require_size
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P4, TRIVIAL


def test_a_block_names_its_layers() -> None:
    block = conv_block(2, 3, 4, group=P4, in_group=TRIVIAL, dropout=0.5)
    assert list(block) == ["conv2", "norm2", "relu2", "dropout2"]
    assert list(conv_block(2, 3, 4, group=P4)) == ["conv2", "norm2", "relu2"]
    assert list(conv_block(2, 3, 4, group=P4, dropout=0.0))[-1] == "dropout2", "a rate of zero is a rate"
    assert all(layer.field == RegularField(P4) for layer in block.values())


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="depth 'relu9' names no layer: one of relu1"):
        Network({"relu1": nn.ReLU()}, depths=("relu9",))
    with pytest.raises(UserError, match=r"size \(=7\) must be at least 8"):
        require_size(7, 8)
