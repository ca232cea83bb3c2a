"""The options of `run` that choose an engine, and the engine that they choose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.written_options import refuse_these
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.runs.engine import Engine

LOCAL, RAY = "local", "ray"
PANEL = "Engines"

On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="local|ray|MODULE:FACTORY",
        rich_help_panel=PANEL,
        help="Where cells run: in processes here, on Ray, or on the concurrent.futures.Executor that a factory of "
        "yours makes.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        rich_help_panel=PANEL,
        metavar="ADDRESS",
        help="The Ray cluster to join.",
        show_default="RAY_ADDRESS, else a new Ray on this machine",
    ),
]
Cores = Annotated[
    float | None,
    typer.Option(
        metavar="N", min=0, rich_help_panel=PANEL, help="Cores that a cell reserves on Ray.", show_default="its threads"
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        min=0,
        rich_help_panel=PANEL,
        help="GPUs that a cell reserves on Ray, as in 0.25.",
        show_default="1 with --device cuda, else 0",
    ),
]
NodeData = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=PANEL,
        help="The data directory on the machines of an engine.",
        show_default="Ray: sent once from here; else the path of --data",
    ),
]
StateSeconds = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        rich_help_panel=PANEL,
        help="Seconds between the states that an engine sends back: what a lost worker costs.",
        show_default="30",
    ),
]


def reserved(cores: float | None, gpus: float | None, *, device: str, threads: int) -> tuple[float, float]:
    """The cores and GPUs that a cell reserves on Ray.

    Raises:
        UserError: it reserves nothing.
    """
    cores = threads if cores is None else cores
    gpus = float(device == "cuda") if gpus is None else gpus
    if not (cores or gpus):
        raise UserError("--cores 0 without --gpus: a cell must reserve something, or all of them run at once")
    return cores, gpus


def engine_for(
    on: str, *, jobs: int | None, address: str | None, cores: float, gpus: float, node_data: Path | None
) -> Engine:
    """The engine that the options ask for, ready for work.

    Raises:
        UserError: it cannot be made.
    """
    if on == RAY:
        from gcnnbench.runs.ray_engine import RayEngine

        engine = RayEngine(address, cores=cores, gpus=gpus, node_data=node_data is not None)
        if jobs is None and not engine.slots:
            engine.close()
            raise UserError(
                f"no node of Ray has {cores:g} cores and {gpus:g} GPUs; --jobs N waits for nodes that come later"
            )
        return engine
    from gcnnbench.runs.executors import ExecutorEngine

    return ExecutorEngine(on, jobs)


def check_engine(on: str) -> None:
    """Refuse an engine that there is not, and options that the user wrote and that say nothing to it.

    Raises:
        UserError: so it is.
    """
    if on not in (LOCAL, RAY) and ":" not in on:
        raise UserError(f"--on {on}: write local, ray, MODULE:FACTORY or FILE.py:FACTORY")
    if on != RAY:
        refuse_these(f"with --on {on}, only with --on ray", "address", "cores", "gpus")
    if on == LOCAL:
        refuse_these("with --on local, where cells read --data and keep their states", "node_data", "state_seconds")
