"""`new`: writes a folder from which a model or a data set of one's own is begun."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.written_options import refuse_these


class Kind(StrEnum):
    """What a starting point is made of."""

    torch = "torch"
    gcnn = "gcnn"
    e2cnn = "e2cnn"


def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Of the model or data set: small letters and digits, in words joined by '-'."
        ),
    ],
    *,
    kind: Annotated[
        Kind, typer.Option(help="Plain torch, this suite's group layers, or steerable layers of e2cnn.")
    ] = Kind.gcnn,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Make a data set of these images instead: DIR/train/CLASS and DIR/test/CLASS, or DIR/CLASS.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the folder is made.")] = Path(),
) -> None:
    """Write a folder with a small network and its card, or with a data set of your own, correct as it stands."""
    if images is not None:
        refuse_these("with --images", "kind")
        from gcnnbench.data.scaffold import new_dataset

        folder = new_dataset(name, images, output)
        where = _data_directory(name, images)
        hint = "" if where else f", once the images lie in DIR/{name}"
        places = {"--include": folder, "--data": where or "DIR", "--results": output / "my-results"}
        options = shlex.join(str(word) for pair in places.items() for word in pair)
        told = f"{folder}: dataset.yaml, dataset.py, {name}-first.yaml; next{hint}"
        typer.echo(f"{told}: gcnnbench run {name}-first {options}")
        return
    from gcnnbench.submissions.scaffold import new as scaffold

    folder = scaffold(name, kind.value, output)
    typer.echo(f"{folder}: model.py, model.yaml, README.md; next: gcnnbench submit {shlex.quote(str(folder))} --check")


def _data_directory(name: str, images: Path) -> Path | None:
    """The folder in which the images lie under that name; none where they have another."""
    places = (images.parent, images.resolve().parent)
    return next((place for place in places if (place / name).resolve() == images.resolve()), None)
