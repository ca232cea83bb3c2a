"""How often the audit is right about mutants: its sensitivity and specificity, by kind, as a page of the docs.

`python -m tests.equivariance.mutants.power` judges all mutants, prints the page, and fails if a verdict is wrong or the
page in the docs says otherwise; with `--write` it writes the page.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.equivariance.size_audit import audit_size
from gcnnbench.layout import pipes
from gcnnbench.statistics import wilson
from tests.equivariance.mutants.corpus import corpus
from tests.equivariance.mutants.mutant import Mutant
from tests.equivariance.mutants.oracle import NoAnswerError, truth

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-power.md"
WORDS = {True: "exact", False: "approximate", None: "unknown"}


@dataclass(frozen=True)
class Outcome:
    """One mutant: what is true of it and what the audit says.

    Args:
        mutant: it.
        exact: what brute force says; None where there is no answer.
        sure: whether brute force could tell, and what is known by construction agrees.
        decision: of the audit.
        certificate: of the audit.
        contradictory: whether the audit's certificate and measurement contradict each other.
        reason: of the audit.
    """

    mutant: Mutant
    exact: bool | None
    sure: bool
    decision: str
    certificate: str
    contradictory: bool
    reason: str | None

    @property
    def right(self) -> bool:
        """Whether the audit says what is true; *unknown* is right only where there is no answer."""
        return self.decision == WORDS[self.exact] and not self.contradictory

    @property
    def wrong(self) -> bool:
        """Whether the audit says what is not true; *unknown* is never wrong."""
        return self.contradictory or (self.decision != "unknown" and not self.right)

    def __str__(self) -> str:
        known = WORDS[self.mutant.exact] if self.mutant.exact is not None else "not known"
        return (
            f"{self.mutant}: by construction {known}, by brute force {WORDS[self.exact]}, "
            f"by the audit {self.decision} (certificate: {self.certificate}): {self.reason}"
        )


def judged(mutant: Mutant) -> Outcome:
    """What is true of a mutant and what the audit says."""
    network = mutant.built()
    try:
        exact, _ = truth(network, mutant.size, mutant.group)
        sure = mutant.answerable and exact is not None and mutant.exact in (exact, None)
    except NoAnswerError:
        exact, sure = None, not mutant.answerable
    row = audit_size(lambda _: network, mutant.size, mutant.group, 3)
    return Outcome(mutant, exact, sure, row.decision, row.certificate, row.disagreement, row.reason)


def share(right: int, of: int) -> str:
    """A share with Wilson's 95% interval, in per cent."""
    if not of:
        return "–"
    low, high = wilson(right, of)
    return f"{right} of {of} [{100 * low:.1f}, {100 * high:.1f}]"


def table(outcomes: Sequence[Outcome]) -> str:
    """By kind: how many broken mutants are found, and how many exact ones are called exact."""
    kinds = list(dict.fromkeys(one.mutant.kind for one in outcomes if one.mutant.answerable))
    rows = []
    for kind in [*kinds, None]:
        own = [one for one in outcomes if one.mutant.answerable and kind in (one.mutant.kind, None)]
        broken, exact = ([one for one in own if one.exact is kept] for kept in (False, True))
        found, passed = sum(one.right for one in broken), sum(one.right for one in exact)
        unknown, wrong = sum(one.decision == "unknown" for one in own), sum(one.wrong for one in own)
        rows.append([kind or "all", share(found, len(broken)), share(passed, len(exact)), str(unknown), str(wrong)])
    return pipes((["kind", "broken, found", "exact, called exact", "unknown", "wrong"], rows, "lrrrr"))


def page(outcomes: Sequence[Outcome]) -> str:
    """The page of the docs; the same outcomes give the same bytes."""
    known = sum(one.mutant.exact is not None for one in outcomes)
    unknown = [one for one in outcomes if one.mutant.answerable and one.decision == "unknown"]
    parts = [
        "# How far the audit can be trusted",
        f"{len(outcomes)} small networks with one change each (mutants), judged by `gcnnbench audit`. Changes break "
        "the symmetry, seem to and do not, or break it twice so that it is whole again. They are made in ordinary "
        "networks with isotropic filters, in p4 and p4m networks of this suite's layers, in networks averaged over "
        "moved copies and in models of the registry, of 8 to 16 pixels. What is true of each is decided by a brute "
        "force that shares no code with the audit: float64, noise and smooth images, six draws of the weights, five "
        "ranges of values and six batch sizes. Of "
        f"{known} it is known by construction, too, and the two agree. Made by "
        "`python -m tests.equivariance.mutants.power --write`; `tox -e mutants` makes the page again and fails where "
        "it differs.",
        "\n".join(f"- {line}" for line in summary(outcomes)),
        "Shares with Wilson's intervals at 95%. *Unknown* counts as not found and as not called exact. The mutants are "
        "no sample of the networks that people write; the intervals say what so many trials can show.",
        table(outcomes),
    ]
    if unknown:
        parts += ["What is left open:", "\n".join(f"- {one.mutant}: {one.reason}" for one in unknown)]
    parts.append(RESOLUTION)
    return "\n\n".join(parts) + "\n"


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Sensitivity, specificity and what is wrong, one line each."""
    silent = [one for one in outcomes if not one.mutant.answerable]
    proved = sum(one.exact is True and one.certificate == "exact" for one in outcomes)
    return [
        f"*sensitivity*, broken networks that are found: {share_of(outcomes, False)}",
        f"*specificity*, exact networks that are called exact: {share_of(outcomes, True)}",
        f"{sum(one.wrong for one in outcomes)} wrong verdicts, {sum(one.contradictory for one in outcomes)} of them "
        "contradictions between certificate and measurement",
        f"outputs that are random, constant or not finite: {sum(one.right for one in silent)} of {len(silent)} read "
        "*unknown*",
        f"of the exact ones {proved} are proved by their operations; of the rest measurement alone says it",
    ]


RESOLUTION = (
    "The smallest changes are 1e-8 of a filter's tap or of a feature. What moves the output by less than 1e-12 of its "
    "spread passes for rounding, so no smaller break can be told from none in float64."
)


def share_of(outcomes: Sequence[Outcome], exact: bool) -> str:
    """The share of all that are broken or exact of which the audit says so."""
    own = [one for one in outcomes if one.mutant.answerable and one.exact is exact]
    return share(sum(one.right for one in own), len(own))


def main(write: bool) -> int:
    """Judge all, print the page; how much is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = [judged(mutant) for mutant in corpus()]
    made = page(outcomes)
    if write:
        PAGE.write_text(made, encoding="utf-8")
    sys.stdout.write(made)
    problems = [str(one) for one in outcomes if one.wrong or not one.sure]
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        problems.append(f"{PAGE.name} says something else: renew it with --write")
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return min(len(problems), 100)


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
