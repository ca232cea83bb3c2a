"""Finds and builds a network of the zoo, or says what is missing here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from re import split

from gcnnbench.equivariance.targets import Target, resolve
from gcnnbench.zoo.cards import Checkout, Entries, Package, ZooCard, ZooNetwork


class NotHereError(Exception):
    """The code of a card is not on this machine; says how to get it."""


@dataclass(frozen=True)
class Found:
    """Where the code of a card was found: `what` it is, and the folder that its imports need, if any."""

    what: str
    folder: Path | None = None


def find(card: ZooCard, checkouts: Path | None) -> Found:
    """Where the code of a card is.

    Args:
        card: of the zoo.
        checkouts: a folder with clones, each called as its repository.

    Raises:
        NotHereError: it is not here.
    """
    origin = card.origin
    if isinstance(origin, Package):
        missing = [f"'{one}'" for one in origin.requires if not _installed(one)]
        if missing:
            raise NotHereError(f"not installed: pip install {' '.join(missing)}")
        return Found(", ".join(_installed(one) or one for one in origin.requires))
    if isinstance(origin, Entries):
        return Found("this suite's registry")
    where = f"{origin.repository}@{origin.commit}"
    if not isinstance(origin, Checkout):
        return Found(f"re-implemented from the formulae of {where}, whose code has no licence")
    folder = None if checkouts is None else checkouts / origin.repository.partition("/")[2]
    if folder is None or not folder.is_dir():
        raise NotHereError(f"not here: clone {where} into a folder and give that folder as --checkouts")
    return Found(where, folder.resolve())


def _installed(requirement: str) -> str | None:
    """The name and the version of what is installed of a package; None where nothing is."""
    name = split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return None


def target(network: ZooNetwork, found: Found) -> Target:
    """The network as a target of the audit, its weights drawn from seed 0; its code is imported.

    Raises:
        UserError: the code does not import, or there is no such factory.
    """
    build = network.build
    if found.folder is not None:
        build = f"{found.folder / build.partition(':')[0]}:{build.partition(':')[2]}"
    arguments = {name: list(one) if isinstance(one, tuple) else one for name, one in network.arguments.items()}
    return resolve(build, arguments)
