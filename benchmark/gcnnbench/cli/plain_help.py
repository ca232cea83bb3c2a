"""Formats `--help`: arguments and options with names for their values, no types of Python, as wide as the terminal."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from gcnnbench.cli.advice import running
from gcnnbench.cli.at_work import at_work
from gcnnbench.cli.written_options import name_of
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import said_and_where

WHOLE = 10_000
"""Characters of a first sentence that are shown in the list of verbs: all."""
CHOICES = re.compile(r" [<\[]([^<>\[\]]*)[>\]]$")


class PlainGroup(TyperGroup):
    """A group of verbs, told of in its first sentence."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """Its first sentence, whole: the list of verbs folds it."""
        return super().get_short_help_str(max(limit, WHOLE))


class PlainCommand(TyperCommand):
    """A verb whose arguments and options are listed with their names for values and without types."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words; refuse several values of an option that takes one, and empty values: they would be lost."""
        rest = super().parse_args(ctx, list(args))
        values, _, given = self.make_parser(ctx).parse_args(args)
        for parameter, times in Counter(given).items():
            value = values.get(parameter.name)
            if "" in (value if isinstance(value, list | tuple) else (value,)):
                ctx.fail(f"{name_of(parameter)} is empty: give it a value, or leave it out")
            takes_one = isinstance(parameter, TyperOption) and not (parameter.multiple or parameter.is_flag)
            if takes_one and times > 1:
                ctx.fail(f"{parameter.opts[0]} stands {times} times; it takes one value, give it once")
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; one that takes its time says so, and commands that it advises carry on with its options.

        Raises:
            UserError: foreign code ended the command, as by `sys.exit`; a verb of ours ends by exceptions of its own.
        """
        try:
            with at_work(ctx.command_path), running(ctx):
                return super().invoke(ctx)
        except BaseException as error:
            if isinstance(error, Exception | KeyboardInterrupt):
                raise
            told = f"{said_and_where(error)} would end the command"
            raise UserError(f"{told}; let the code raise an Exception instead") from error

    def get_short_help_str(self, limit: int = 0) -> str:
        """Its first sentence, whole: the list of verbs folds it."""
        return super().get_short_help_str(max(limit, WHOLE))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line: a required argument as its name, an optional one in brackets."""
        arguments = [parameter for parameter in self.get_params(ctx) if parameter.param_type_name == "argument"]
        return [self.options_metavar or "", *map(_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, each below its heading, those of a panel below its own."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
                term = _name(parameter) + _choices(parameter) if argument else CHOICES.sub(r" \1", record[0])
                sections.setdefault(panel, []).append((term, record[1]))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _name(argument: Any) -> str:
    """What stands for the value of an argument."""
    return str(argument.metavar or argument.name)


def _usage(argument: Any) -> str:
    """An argument in the usage line."""
    name = _name(argument) if argument.required else f"[{_name(argument)}]"
    return name if argument.nargs == 1 else f"{name}..."


def _choices(argument: Any) -> str:
    """The few words that an argument may be, after a space; nothing where it may be any."""
    kind = getattr(argument, "type_descriptor", None) or argument.type  # since typer 0.29, and before
    choices = getattr(kind, "choices", None)
    return " " + "|".join(map(str, choices)) if choices else ""


def plain_typer(*, cls: type[PlainGroup] = PlainGroup, **settings: Any) -> typer.Typer:
    """An application or a group of verbs whose help is plain."""
    return typer.Typer(
        cls=cls,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **settings,
    )
