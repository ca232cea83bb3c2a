"""The bridge to the model entries: in a checkout they live in the top-level folder `models/`, in a wheel right here."""

from pathlib import Path

_checkout = Path(__file__).resolve().parents[3]
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout / "models"))
