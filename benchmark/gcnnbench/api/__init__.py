"""The Python interface: the command line's verbs as functions, for notebooks (`from gcnnbench import api`).

    cards = api.registry()
    network = api.build("p4cnn@28", "mnist-upright", seed=0)
    record = api.run_cell("quickstart", "p4cnn@12", seed=0)
    trained = api.load_model("p4cnn@12", "quickstart", seed=0, results="my-results")
    boards = api.leaderboard("quickstart", results="my-results")
    found = api.audit(network, sizes=(27, 28, 29))
    lineage = api.explain("mnist-upright@1", "p4cnn@28", "upright")

What a verb prints, the function of its name returns as plain data; group layers are in `gcnnbench.nn`.
"""

from __future__ import annotations

from gcnnbench.api.networks import NotKeptError, build, load_model, registry, run_cell
from gcnnbench.api.results import compare, compare_directories, explain, figure, leaderboard
from gcnnbench.api.verification import check_submission, verify_bundle, verify_claims, verify_records
from gcnnbench.equivariance.audit import Audit, audit

__all__ = [
    "Audit",
    "NotKeptError",
    "audit",
    "build",
    "check_submission",
    "compare",
    "compare_directories",
    "explain",
    "figure",
    "leaderboard",
    "load_model",
    "registry",
    "run_cell",
    "verify_bundle",
    "verify_claims",
    "verify_records",
]
