"""The command-line application: its verbs, and the exit code of an error, an interruption or a bad option."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from tempfile import gettempdir
from typing import Annotated, TextIO

import typer

from gcnnbench import __version__
from gcnnbench.cli.exit_codes import INTERRUPTED, MISTAKE
from gcnnbench.cli.lazy_group import group_of
from gcnnbench.cli.plain_help import plain_typer
from gcnnbench.disk import REMEDIES
from gcnnbench.errors import UserError, told
from gcnnbench.escaping import terminal

VERBS: Mapping[str, str] = {
    "list": "card_verbs:list_cards",
    "show": "card_verbs:show",
    "validate": "validate_verb:validate",
    "schema": "card_verbs:schema",
    "fetch": "data_verbs:fetch",
    "run": "run_verb:run",
    "status": "status_verb:status",
    "audit": "audit_verb:audit",
    "leaderboard": "table_verbs:leaderboard",
    "regret": "table_verbs:regret",
    "compare": "table_verbs:compare",
    "probe": "probe_verb:probe",
    "explain": "explain_verb:explain",
    "figure": "figure_verb:figure",
    "site": "site_verb:site",
    "export": "export_verb:export",
    "perf": "perf_verb:perf",
    "doctor": "doctor_verb:doctor",
    "new": "new_verb:new",
    "submit": "submit_verb:submit",
}
"""Every verb, and the module of this room and the function that do it, in the order in which the help shows them."""

VERIFY: Mapping[str, str] = {
    "claims": "verify_claims_verb:claims",
    "records": "verify_records_verb:records",
    "weights": "verify_weights_verb:weights",
    "bundle": "verify_bundle_verb:bundle",
}
"""What `verify` puts to the test, each with options of its own."""


def build_app() -> typer.Typer:
    """The application with all its verbs; the module of a verb is read when it is called or asked about."""
    app = plain_typer(name="gcnnbench", cls=group_of(VERBS))
    app.callback()(_options)
    verify = plain_typer(cls=group_of(VERIFY))
    app.add_typer(verify, name="verify", help="Put published claims, our records or a submitted bundle to the test.")
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process.

    It ends with 0 where all is well, 2 after wrong usage, a user's mistake, or where the machine does not do what was
    asked of it (a folder that cannot be written, a full disk, also one that stdout is on), 130 when interrupted, and
    otherwise with what the verb says.

    Args:
        arguments: the words after the command's name; those of this process where none are given.
    """
    words = sys.argv[1:] if arguments is None else arguments
    _open_closed()
    _escape_what_stdout_lacks()
    try:
        build_app()(words, prog_name="gcnnbench")
    except (UserError, OSError, MemoryError) as error:
        _complain(_told_with_place(error))
        sys.exit(MISTAKE)
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _complain("interrupted")
        raise
    finally:
        _complain("")


def _open_closed() -> None:
    """Let what is printed go nowhere where whoever started this process closed stdout or stderr, as `2>&-` does."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _escape_what_stdout_lacks() -> None:
    """Let stdout, as stderr does, show by an escape what its encoding lacks: a minus in Latin-1, a byte in a name."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _told_with_place(error: BaseException) -> str:
    """What is told of an error. The system names no place where an open file could not be written; then we do.

    What stdout did not take is given up, or leaving would fail once more.
    """
    try:
        sys.stdout.flush()
    except OSError:
        _give_up(sys.stdout)
    if isinstance(error, OSError) and error.errno in REMEDIES and error.filename is None:
        return f"{error.strerror}, where stdout goes or in {gettempdir()}; {REMEDIES[error.errno]}"
    return told(error)


def _complain(text: str) -> None:
    """Print a line on stderr, or nothing of none; where it takes nothing, the exit code must do."""
    try:
        sys.stderr.write(f"{terminal(text)}\n" if text else "")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Have what a stream still holds go nowhere, so that Python does not fail on it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gcnnbench {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Benchmark group-equivariant CNNs: run, compare and verify. Results go to stdout, progress to stderr."""
