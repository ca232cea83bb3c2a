"""Handwritten digits upright or on their heads."""

from gcnnbench.data.posed import posed_from
from gcnnbench.datasets.digits.dataset import load as load_digits

load = posed_from(load_digits, "halves", classes=10)
