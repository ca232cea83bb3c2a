"""The type of named layers, in the order in which a network applies them."""

from __future__ import annotations

from torch import nn

Layers = dict[str, nn.Module]
