"""The hooks, options and fixture of the plug-in. It is imported by every test run, so torch is not imported here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

GROUPS = ("p2", "pm", "p4", "p4m")
DTYPES = ("float64", "float32")
PROPERTY = "equivariance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and what may stand in the ini file."""
    group = parser.getgroup("equivariance")
    group.addoption("--equivariance-report", metavar="FILE", help="Write all that assert_equivariant measured as JSON.")
    parser.addini("equivariance_group", "the group of assert_equivariant: p2, pm, p4 or p4m", default="p4")
    parser.addini("equivariance_sizes", "input sizes of assert_equivariant, as in 29 33", type="args", default=[])
    parser.addini("equivariance_channels", "channels of the images of assert_equivariant", default="3")
    parser.addini("equivariance_dtypes", "arithmetics of assert_equivariant", type="args", default=list(DTYPES))


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and the report where one is asked for."""
    config.addinivalue_line(
        "markers", "equivariance(group, sizes, channels, dtypes): what calls of assert_equivariant leave out"
    )
    path = config.getoption("--equivariance-report")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(Path(path)), "equivariance-report")


@pytest.fixture
def assert_equivariant(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Assert that a network is exactly equivariant at each of these input sizes.

    Takes `(model, group, *, sizes, channels, output, dtypes, change_weights)`; see the README. What is left out is that
    of the test's marker, else of the ini file.

    Raises:
        AssertionError: it is not, or could not be told; says at which layer and size, and which sizes would do.
        ValueError: the group, the sizes or the arithmetics are none, a size is 1, the network cannot be copied, or its
            output tells nothing.
    """
    defaults = _defaults(request)

    def check(
        model: Any,
        group: str | None = None,
        *,
        sizes: Sequence[int] | None = None,
        channels: int | None = None,
        output: str = "invariant",
        dtypes: Sequence[str] | None = None,
        change_weights: bool = True,
    ) -> None:
        __tracebackhide__ = True
        from pytest_equivariance.explaining import explained
        from pytest_equivariance.measuring import judge

        wanted = {"group": group, "sizes": sizes, "channels": channels, "dtypes": dtypes}
        settings = _checked({name: defaults[name] if value is None else value for name, value in wanted.items()})
        if output not in ("invariant", "scalar"):
            raise ValueError(f"output (={output!r}) must be 'invariant' or 'scalar'")
        failures = []
        for size in settings["sizes"]:
            found = judge(
                model,
                size,
                settings["group"],
                channels=settings["channels"],
                output=output,
                dtypes=settings["dtypes"],
                change_weights=change_weights,
            )
            for one in found:
                record_property(PROPERTY, json.dumps(one.document()))
            wrong = [one for one in found if one.verdict != "exact"]
            if wrong:
                failures.append(explained(model, wrong[0], channels=settings["channels"], output=output))
        if failures:
            raise AssertionError("\n".join(failures))

    return check


def _defaults(request: pytest.FixtureRequest) -> dict[str, Any]:
    config = request.config
    found: dict[str, Any] = {
        "group": config.getini("equivariance_group"),
        "sizes": [int(size) for size in config.getini("equivariance_sizes")],
        "channels": int(config.getini("equivariance_channels")),
        "dtypes": config.getini("equivariance_dtypes"),
    }
    for marker in reversed(list(request.node.iter_markers("equivariance"))):
        unknown = set(marker.kwargs) - set(found)
        if unknown or marker.args:
            raise ValueError(f"the marker equivariance takes {', '.join(found)} by name, not {unknown or marker.args}")
        found |= marker.kwargs
    return found


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    if settings["group"] not in GROUPS:
        raise ValueError(f"group (={settings['group']!r}) must be one of {', '.join(GROUPS)}")
    if not settings["sizes"]:
        raise ValueError("assert_equivariant needs sizes: by name, in the marker, or as equivariance_sizes in the ini")
    wrong = [name for name in settings["dtypes"] if name not in DTYPES]
    if wrong or not settings["dtypes"]:
        raise ValueError(f"dtypes (={settings['dtypes']!r}) must be of {', '.join(DTYPES)}")
    return settings


class Report:
    """Gathers what the tests recorded and writes it in the end; workers of pytest-xdist send it with their reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.measured: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What one test recorded."""
        if report.when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    self.measured.append({"test": report.nodeid, **json.loads(str(value))})

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"measured": self.measured}, indent=1) + "\n", encoding="utf-8")
