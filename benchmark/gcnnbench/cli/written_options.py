"""What the user wrote of the parameters of the verb that is running, and refusing what says nothing.

An option that is not looked at would be believed to have done something.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from gcnnbench.errors import UserError

RUNNING: ContextVar[Any] = ContextVar("running", default=None)
"""The context of the verb that is running; None where none is."""
EVERYWHERE = ("data", "results", "include")
"""They say where things are, and may be written to any verb that has them."""


def written() -> Iterator[Any]:
    """The parameters of the running verb that stand on the command line, in the order of its help."""
    context = RUNNING.get()
    for parameter in context.command.params if context else ():
        source = context.get_parameter_source(parameter.name)
        if source is not None and source.name == "COMMANDLINE":
            yield parameter


def refuse_others(where: str, *taken: str) -> None:
    """Refuse what the user wrote to the running verb beside the parameters that are looked at.

    Args:
        where: in which case only these are looked at, as in `with --lie`.
        *taken: names of parameters, as the verb's function has them.

    Raises:
        UserError: another one is written.
    """
    refuse_these(where, *(one.name for one in written() if one.name not in (*taken, *EVERYWHERE)))


def refuse_these(where: str, *names: str) -> None:
    """Refuse what the user wrote to the running verb, of these parameters.

    Args:
        where: in which case they are not looked at.
        *names: of parameters, as the verb's function has them.

    Raises:
        UserError: one of them is written.
    """
    for parameter in written():
        if parameter.name in names:
            raise UserError(f"{name_of(parameter)} says nothing {where}: leave it out")


def name_of(parameter: Any) -> str:
    """How help calls a parameter: an option as it is written, an argument as the name of its value."""
    return str(parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar)
