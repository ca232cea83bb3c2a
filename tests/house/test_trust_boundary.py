"""What runs beside submitted code imports nothing that reads the labels of a test set or writes results."""

from __future__ import annotations

import pytest

from tests.house.imports import Graph, When, graph, reached

CONTAINED = "submissions.contained"

NEEDED = {
    "cards": {
        "cards",
        "cards.augmentation",
        "cards.base",
        "cards.benchmark_card",
        "cards.elements",
        "cards.entries",
        "cards.evaluation",
        "cards.model_card",
        "cards.recipe",
        "cards.values",
    },
    "data": {
        "data",
        "data.augment",
        "data.images",
        "data.parts",
        "data.resize",
        "data.rotate",
        "data.streams",
    },
    "runs": {"runs", "runs.measuring"},
    "submissions": {
        "submissions",
        "submissions.findings",
        "submissions.graph_form",
        "submissions.limits",
        "submissions.tensor_names",
    },
    "": {
        "__init__",
        "device",
        "errors",
        "float32_precision",
        "foreign_code",
        "formatting",
        "outside_text",
        "statistics",
    },
}
"""What a contained job needs of rooms that hold more: no registry, no files of data sets, no records, no store."""

WHOLE = ("nn", "architectures", "rewriting", "equivariance", "probes", "training", "scoring")
"""Rooms that compute and know neither files nor records."""


def across(imports: Graph) -> list[str]:
    """What the contained side imports, by whatever route, beyond what it needs."""
    found = []
    for name in (name for name in imports if name.startswith(CONTAINED)):
        for target, through in reached(imports, name, When.WITH_THE_MODULE, When.IN_A_FUNCTION).items():
            room, inner = target.partition(".")[0], target in imports
            allowed = NEEDED.get(room, NEEDED[""])
            if inner and not (target in allowed or room in WHOLE or target.startswith(CONTAINED)):
                found.append(f"{name} reaches {target} through {through}")
    return found


def test_the_contained_side_imports_no_labels_and_no_results() -> None:
    imports = graph()
    assert {f"{CONTAINED}.child", f"{CONTAINED}.jobs", f"{CONTAINED}.training_job"} <= imports.keys()
    assert across(imports) == []


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        (f"{CONTAINED}.probe", "from gcnnbench.data.registered import load_dataset", "reaches data.files through"),
        (f"{CONTAINED}.subject", "from gcnnbench.cards.registry import Registry", "reaches cards.registry through"),
        ("runs.measuring", "def late():\n    from gcnnbench.runs.store import Store", "reaches runs.store through"),
        ("training.loop", "from gcnnbench.disk import write_whole", "reaches disk through training.loop"),
        (f"{CONTAINED}.jobs", "from gcnnbench.submissions import trial", "reaches submissions.trial through"),
    ],
)
def test_a_planted_way_across_is_seen(module: str, line: str, expected: str) -> None:
    found = across(graph(**{module: line}))
    assert any(expected in one for one in found), found


def test_only_the_child_is_started_from_outside() -> None:
    """The host side imports of the contained side nothing but what gives data its form."""
    host = [(name, targets) for name, targets in graph().items() if not name.startswith(CONTAINED)]
    used = {(name, one.target) for name, targets in host for one in targets if one.target.startswith(CONTAINED)}
    assert used == set()
