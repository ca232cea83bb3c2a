"""Completes the commands that a verb advises with the user's own `--results`, `--data` and `--include`.

Rooms name a command as it is for the registry; only the command line knows where the user's files are.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gcnnbench.cli.written_options import RUNNING, written
from gcnnbench.errors import UserError
from gcnnbench.layout import COMMAND

CARRIED = ("--data", "--results", "--include", "--trust")
"""Options that mean the same to every verb that has them: where things are, and as whom submitted code runs."""
CARRIED_TO_ITSELF = ("--output",)
"""Options that go on from a verb to itself, as from `submit --check` to `submit`."""


@contextmanager
def running(context: Any) -> Iterator[None]:
    """While a verb runs with these parameters, `advised` knows them; so does the text of an error that ends it."""
    before = RUNNING.set(context)
    try:
        yield
    except UserError as error:
        error.args = (advised(str(error)),)
        raise
    finally:
        RUNNING.reset(before)


def advised(text: str, form: str = "md") -> str:
    """The text, with each command in it completed by options of the verb that is running, as the user gave them.

    An option is added, behind the verb, where the advised verb has it too and the command does not say it already.

    Args:
        text: what is printed.
        form: as `--format` has it; in `json` what is added is escaped.
    """
    context = RUNNING.get()
    if context is None:
        return text

    def whole(found: re.Match[str]) -> str:
        given = _given(context, found["verb"].split())
        words = [word for option in given if option[0] not in found["rest"].split() for word in option]
        added = "".join(f" {shlex.quote(word)}" for word in words)
        added = json.dumps(added, ensure_ascii=False)[1:-1] if form == "json" else added
        return f"{found[0].removesuffix(found['rest'])}{added}{found['rest']}"

    return COMMAND.sub(whole, text)


def _given(context: Any, verb: list[str]) -> Iterator[list[str]]:
    """The words of each option that the user wrote and that a verb has, too; one that was repeated comes again."""
    target = context.find_root().command
    for word in verb:
        target = getattr(target, "commands", {}).get(word)
    carried = (*CARRIED, *CARRIED_TO_ITSELF) if target is context.command else CARRIED
    known = {name for parameter in getattr(target, "params", ()) for name in parameter.opts}
    for parameter in written():
        value = context.params.get(parameter.name)
        for name in parameter.opts:
            if name in carried and name in known:
                for one in value if isinstance(value, list | tuple) else [value]:
                    yield [name] if one is True else [name, str(one)]
