"""The help of a verb in plain words: what to write and what it does, no types of Python, as wide as the terminal."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand

CHOICES = re.compile(r" <([^<>]*)>$")
REQUIRED = re.compile(r"^\{(.*)\}((?:\.\.\.)?)$")


class PlainCommand(TyperCommand):
    """A verb whose arguments and options are listed with their names for values and without types."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line: a required argument as its name, an optional one in brackets."""
        return [REQUIRED.sub(r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, each below its heading, those of a panel below its own."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
                value = "" if argument and not _chosen(parameter) else r" \1"
                sections.setdefault(panel, []).append((CHOICES.sub(value, record[0]), record[1]))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _chosen(parameter: Any) -> bool:
    """Whether the value is one of a few words."""
    return bool(getattr(getattr(parameter, "type_descriptor", None), "is_choice", False))


def plain_typer(**settings: Any) -> typer.Typer:
    """An application or a group of verbs whose help is plain."""
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **settings,
    )
