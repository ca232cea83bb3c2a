"""The command line: `gcnnbench VERB …`. Nothing here imports torch until a verb needs it."""

from gcnnbench.cli.app import main

__all__ = ["main"]
