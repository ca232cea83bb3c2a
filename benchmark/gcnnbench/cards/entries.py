"""Imports the code of an entry, by name or by path, and builds its network: the one file of cards that needs torch."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.base import Hyperparameter
from gcnnbench.errors import UnavailableError, UserError
from gcnnbench.foreign_code import REFUSALS, raise_if_told_to_end

if TYPE_CHECKING:
    from torch import nn


def load_module(kind: str, name: str, folder: Path, requires: Sequence[str] = ()) -> ModuleType:
    """Import `model.py` or `dataset.py` of an entry.

    A registered entry is imported by its name. One from elsewhere gets a package of its own, so that it may import
    its neighbours (`from .layers import …`) and two folders of one name do not meet.

    Args:
        kind: `model` or `dataset`.
        name: the card's name.
        folder: where the card stands.
        requires: requirements on the card, such as `e2cnn>=0.2.3`.

    Raises:
        UserError: a required package is missing, torch and torchvision do not match, or the code does not import.
    """
    for requirement in requires:
        package = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
        try:
            distribution(package)
        except PackageNotFoundError:
            how = f"python -m pip install '{requirement}'"
            raise UnavailableError(f"{name} needs the package {package}: {how}") from None
    bridge = import_module(f"gcnnbench.{kind}s")
    registered = any(folder.resolve().parent == Path(parent).resolve() for parent in bridge.__path__)
    package = f"{bridge.__name__}.{name}" if registered else _package(name, folder.resolve())
    try:
        return import_module(f"{package}.{kind}")
    except UserError:
        raise
    except REFUSALS as error:
        raise_if_told_to_end(error)
        raise UserError(_import_problem(f"{kind} {name}", error)) from error


def build_network(
    module: ModuleType,
    entry: str,
    *,
    size: int,
    channels: int,
    classes: int,
    hyperparameters: Mapping[str, Hyperparameter],
    black: Sequence[float] | None = None,
) -> nn.Module:
    """Call an entry's `build`; where it asks for `black` it gets the value of black in each channel.

    Args:
        module: has `build`.
        entry: `slug@size`, for messages.
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        hyperparameters: of the card.
        black: the value of black in each channel of normalised images; 0 where None.

    Raises:
        UserError: there is no `build`, it fails, or it gives something else than a module.
    """
    from torch import nn

    build: Any = getattr(module, "build", None)
    if build is None:
        raise UserError(f"{entry}: {module.__file__} has no build(*, size, channels, classes, …)")
    shape: dict[str, Any] = {"size": size, "channels": channels, "classes": classes}
    try:
        if "black" in inspect.signature(build).parameters:
            shape["black"] = tuple(black or (0.0,) * channels)
        network = build(**shape, **hyperparameters)
    except UserError as error:
        raise UserError(f"{entry}: {error}") from error
    except REFUSALS as error:
        raise_if_told_to_end(error)
        raise UserError(f"{entry}: build failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{entry}: build gave {type(network).__name__}; it must give a torch.nn.Module")
    return network


def _package(name: str, folder: Path) -> str:
    """A package made for one folder outside the registry."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    package = f"_gcnnbench_{digest}_{re.sub(r'[^a-z0-9]', '_', name)}"
    if package not in sys.modules:
        module = ModuleType(package, f"the entry in {folder}")
        module.__path__ = [str(folder)]
        sys.modules[package] = module
    return package


def _import_problem(what: str, error: BaseException) -> str:
    """One line about an import that failed, with what mends it where that is known."""
    if "torchvision::" in str(error) or ("torchvision" in str(error) and "not compatible" in str(error)):
        return (
            f"{what}: torch and torchvision do not match ({error}); install the pair from one index: "
            "python -m pip install --force-reinstall -c constraints.txt torch torchvision"
        )
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("gcnnbench"):
        return f"{what} needs the package {error.name}, which is not installed; name it in `requires` of its card"
    return f"{what} does not import: {type(error).__name__}: {error}"
