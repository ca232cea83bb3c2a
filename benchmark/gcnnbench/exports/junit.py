"""Checks as JUnit XML, which continuous integration shows: one test case a file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gcnnbench.outside_text import as_line, as_text


@dataclass(frozen=True)
class Fault:
    """Something wrong, and where: a file below the working directory, line and column (0 where there is none)."""

    message: str
    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Case:
    """One check: of what, what is wrong with it, and why it was not done where it was not."""

    name: str
    faults: tuple[Fault, ...] = ()
    skipped: str | None = None


def junit(suite: str, cases: Sequence[Case]) -> str:
    """The document: failures where something is wrong, skips where nothing could be checked."""
    failed = sum(bool(case.faults) for case in cases)
    skipped = sum(bool(case.skipped) and not case.faults for case in cases)
    numbers = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    root = ElementTree.Element("testsuites", numbers)
    inside = ElementTree.SubElement(root, "testsuite", {"name": suite, **numbers})
    for case in cases:
        made = ElementTree.SubElement(inside, "testcase", {"classname": suite, "name": as_line(case.name)})
        if case.faults:
            failure = ElementTree.SubElement(made, "failure", {"message": as_line(case.faults[0].message)})
            failure.text = as_text("\n".join(fault.message for fault in case.faults))
        elif case.skipped:
            ElementTree.SubElement(made, "skipped", {"message": as_line(case.skipped)})
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def github_annotations(cases: Iterable[Case]) -> str:
    """Everything that is wrong, as GitHub shows it beside the lines of a pull request."""
    return "".join(_annotation(fault) for case in cases for fault in case.faults)


def _annotation(fault: Fault) -> str:
    line = f",line={fault.line},col={fault.column}" if fault.line else ""
    place = f" file={_property(fault.file)}{line}" if fault.file else ""
    return f"::error{place}::{_data(as_line(fault.message, 2000))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(as_line(text)).replace(":", "%3A").replace(",", "%2C")
