"""Handwritten digits in quarter turns."""

from gcnnbench.data.posed import posed_from
from gcnnbench.datasets.digits.dataset import load as load_digits

load = posed_from(load_digits, "quarter", classes=10)
