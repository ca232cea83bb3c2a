"""A name that is not there is answered before anything heavy is imported or any record is read."""

from __future__ import annotations

import subprocess
import sys

TYPOS = {
    "leaderboard quikstart": "did you mean quickstart?",
    "regret degre-mnist": "did you mean degree-mnist?",
    "compare quickstart/p4cn@12 quickstart/z2cnn@12": "did you mean p4cnn@12?",
    "compare quikstart --against-revision HEAD": "did you mean quickstart?",
    "explain quickstart p4cn@12": "did you mean p4cnn@12?",
    "explain quickstart p4cnn@12 uprigt": "did you mean upright?",
    "export model-card quickstart p4cnn@12 --metric obit": "did you mean orbit?",
    "export croissant mnits": "did you mean mnist?",
    "figure curve --benchmark quikstart": "did you mean quickstart?",
    "figure degree --family degre-mnist": "did you mean degree-mnist?",
    "verify records --benchmark quikstart": "did you mean quickstart?",
    "verify claims --benchmark quikstart": "did you mean quickstart?",
    "run quickstart --entry p4cn@12": "did you mean p4cnn@12?",
    "status quikstart": "did you mean quickstart?",
    "audit p4cn@12": "did you mean p4cnn?",
    "fetch mnits": "did you mean mnist?",
    "show p4cn": "did you mean p4cnn?",
}
ALONE = """
import sys
for heavy in ("torch", "numpy", "scipy", "matplotlib", "safetensors"):
    sys.modules[heavy] = None
from gcnnbench.cli import main
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as ending:
        print(ending.code, file=sys.stderr)
"""


def test_a_typo_costs_no_import_of_torch() -> None:
    """A process in which none of these can be imported, one verb after another."""
    told = subprocess.run([sys.executable, "-c", ALONE, *TYPOS], capture_output=True, text=True, check=True).stderr
    lines = told.splitlines()
    answers = dict(zip(TYPOS, zip(lines[::2], lines[1::2], strict=True), strict=True))
    assert {command: line[-len(TYPOS[command]) :] for command, (line, _) in answers.items()} == TYPOS
    assert {code for _, code in answers.values()} == {"2"}
