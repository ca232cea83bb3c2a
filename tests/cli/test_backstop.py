"""What ends a command from within a verb is told as a mistake with its place: no verb of ours ends so."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from gcnnbench.cli.plain_help import PlainCommand
from gcnnbench.errors import UserError


class Stop(BaseException):
    """No Exception."""


def called(error: BaseException) -> BaseException | None:
    """What a verb gives in which foreign code raises this."""
    app = typer.Typer()

    @app.command(cls=PlainCommand)
    def verb() -> None:
        raise error

    return CliRunner().invoke(app, []).exception


@pytest.mark.parametrize(
    ("error", "said"),
    [(SystemExit(0), "it calls sys.exit(0)"), (Stop("now"), "Stop: now"), (GeneratorExit(), "GeneratorExit: without")],
)
def test_foreign_code_ends_no_command(error: BaseException, said: str) -> None:
    found = called(error)
    assert isinstance(found, UserError)
    assert str(found).startswith(said)
    assert f"({__file__}, line " in str(found)


def test_errors_of_a_verb_stay_what_they_are() -> None:
    for error in (UserError("wrong"), OSError(28, "full"), ValueError("a fault of ours")):
        assert called(error) is error
    assert isinstance(called(typer.Exit(3)), SystemExit)
    assert isinstance(called(KeyboardInterrupt()), SystemExit | KeyboardInterrupt)
