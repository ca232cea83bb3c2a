"""Sentences of the findings on CIFAR-10 and PCam whose numbers no command prints, made from the committed records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from statistics import correlation, stdev

from gcnnbench.formatting import interval, percent, points, probability
from gcnnbench.runs.record import Record
from gcnnbench.statistics import detectable, paired, summary, welch
from tests.docs.from_records import ROOT, records, studied, upright


def losses(found: Record) -> list[float]:
    """The training loss after every epoch."""
    return [epoch.train_loss for epoch in found.training.history]


def rises(found: Record) -> bool:
    """Whether the loss rises after any epoch."""
    return any(later > before for before, later in pairwise(losses(found)))


def rise(found: Record) -> float:
    """How far the loss rises above the lowest that it had before."""
    lowest = accumulate(losses(found), min)
    return max(later - least for least, later in zip(lowest, losses(found)[1:], strict=False))


def of_cifar10() -> Iterator[str]:
    """The losses of cifar10-air, what hangs on one run, and other networks beside the exact one."""
    runs = records("cifar10-air@1")
    group, ordinary = (
        [run for entry in runs if entry.startswith(kind) for run in runs[entry]] for kind in ("p4-", "z2")
    )
    yield f"The loss of {sum(map(rises, group))} of the {len(group)} P4 runs rises again"
    yield f"and of {sum(map(rises, ordinary))} of the {len(ordinary)} ordinary ones"
    scatter = [
        [100 * stdev(upright(runs[entry])) for entry in runs if entry.startswith(kind)] for kind in ("p4-", "z2")
    ]
    told = [f"{min(some):.{places}f} to {max(some):.{places}f}" for some, places in zip(scatter, (0, 1), strict=True)]
    yield f"standard deviations are {told[0]} points, the ordinary ones' {told[1]}."
    found = correlation([rise(run) for run in group], upright(group))
    collapsed = max(group, key=rise)
    others = [run for run in group if run is not collapsed]
    without = correlation([rise(run) for run in others], upright(others))
    yield f"(correlation {found:.2f}, but {without:.2f} without the one".replace("-", "−")
    exact, broken = runs["p4-air@33"], runs["p4-air@32"]
    assert (collapsed.entry, collapsed.seed, upright([collapsed])) == ("p4-air@32", 4, [min(upright(broken))])
    yield f"seed 4, ends at {100 * min(upright(broken)):.2f}"
    behind = welch(summary([one for one in upright(broken) if one != min(upright(broken))]), summary(upright(exact)))
    yield f"would be {points(behind.difference)} {interval(behind.interval)} points behind".replace("+", "")
    cured = welch(summary(upright(exact)), summary(upright(runs["p4-air-cured@32"])))
    yield f"exact at 33 minus cured at 32 is {points(cured.difference)} {interval(cured.interval)}"
    assert round(exact[0].cost.macs / broken[0].cost.macs, 2) == 1.18
    mirrored = runs["p4m-air@33"]
    assert len(mirrored) == 3
    assert all(map(rises, mirrored))
    yield f"{percent(summary(upright(mirrored)))} at every quarter turn (mirrors are not tested here)"
    assert abs(mirrored[0].cost.parameters / exact[0].cost.parameters - 0.5) < 0.001
    assert abs(mirrored[0].cost.macs / exact[0].cost.macs - 1) < 0.001
    lost = welch(summary(upright(mirrored)), summary(upright(exact)))
    yield f"{points(lost.difference)} {interval(lost.interval)} points from `p4-air@33`"
    stand = [[losses(run)[5] for run in runs] for runs in (mirrored, group)]
    theirs_then, others_then = (f"{min(some):.2f} to {max(some):.2f}" for some in stand)
    yield f"after six epochs they stand at {theirs_then}, those of the P4 runs at {others_then}"
    (slow,) = studied("air-rate-quarter@1", "p4-air@33")
    assert not rises(slow)
    full = [losses(run)[-1] for run in exact]
    at_full_rate = f"where the five runs at the full rate end at {min(full):.2f} to {max(full):.2f}"
    yield f"its loss never rises and ends at {losses(slow)[-1]:.2f}, {at_full_rate}, on other devices"
    for entry, words in (("z2-air@33", "equal parameters"), ("z2-air-wide@33", "equal compute")):
        own, against = summary(upright(runs[entry])), summary(upright(exact))
        test = welch(own, against)
        yield f"at {words}, {percent(own)}, by {points(test.difference)} {interval(test.interval)}"
        ahead = welch(summary(unseen(exact)), summary(unseen(runs[entry])))
        yield f"{points(ahead.difference)} {interval(ahead.interval)}"
    ours, theirs = upright(runs["z2-air@33"]), upright(exact)
    alone, within = welch(summary(ours), summary(theirs)), paired([a - b for a, b in zip(ours, theirs, strict=False)])
    yield f"(p = {probability(alone.p)}; {probability(within.p)} if the three common seeds are paired)"
    here, averaged, gain = tested_again()
    assert round(float(averaged) - float(here), 2) == float(gain)
    assert 0.3 < float(gain) / (93.0 - 100 * summary(upright(runs["z2-air-wide@33"])).mean) < 0.37
    yield f"takes one seed, trained on a CPU, from {here} to {averaged}"
    turned = records("cifar10-air-turned@1")
    every = [run for here in turned.values() for run in here]
    yield f"the loss of {sum(map(rises, every))} of the {len(every)} runs rises again"
    assert all((rise(one) > rise(two)) == (upright([one]) < upright([two])) for one, two in turned.values())
    yield "of each network the seed whose loss rises further ends lower"


def tested_again() -> tuple[str, str, str]:
    """What the study of averaging in testing prints of z2-air-wide@33, seed 0: as it is, averaged, and the gain."""
    of_seed = (ROOT / "docs/studies/results/air_test_time.txt").read_text("utf-8").splitlines()[2]
    seed, recorded, here, averaged, gain = (cell.strip() for cell in of_seed.strip("|").split("|"))
    assert (seed, recorded) == ("0", here), "the weights give the accuracy of their record"
    return here, averaged, gain


def unseen(found: list[Record]) -> list[float]:
    """The accuracy on the unseen turns of each record."""
    return [record.metrics["accuracy.unseen"] or 0.0 for record in found]


def of_training_and_the_break() -> Iterator[str]:
    """The invariance errors of approximate networks before and after training."""
    states = {
        name: [
            (run.equivariance.before.invariance_error or 0.0, run.equivariance.after.invariance_error or 0.0)
            for run in records(name)[entry]
        ]
        for name, entry in (
            ("cifar10-air@1", "p4-air@32"),
            ("cifar10-air-turned@1", "p4-air@32"),
            ("pcam-1pct@1", "p4-resnet44-pcam@96"),
        )
    }
    standing, turned, histology = states.values()
    test = paired([after - before for before, after in standing])
    assert len(standing) == 5
    assert all(after > before for before, after in standing)
    assert all(after < before for before, after in (*turned, *histology))
    assert test.interval is not None
    ranges = [
        f"{min(side):.2f}–{max(side):.2f}" for found in (standing, histology) for side in zip(*found, strict=True)
    ]
    low, high = test.interval
    yield f"from {ranges[0]} to {ranges[1]}, by {test.difference:.2f} [{low:.2f}, {high:.2f}] in the mean"
    yield f"in each fold of histology, from {ranges[2]} to {ranges[3]}"
    before, after = ([f"{one:.2f}" for one in side] for side in zip(*turned, strict=True))
    yield f"from {' and '.join(before)} to {' and '.join(after)}"
    (wide,) = upright(records("cifar10-air@1")["z2-air-wide@33"][:1])
    yield f"{100 * wide:.2f} on the H200 and {tested_again()[0]} on a CPU"


def of_pcam_1pct() -> Iterator[str]:
    """Differences within folds of the exact network from the others, over the turns, and what could have been told."""
    runs = records("pcam-1pct@1")
    turns = {entry: [record.metrics["accuracy.orbit"] or 0.0 for record in found] for entry, found in runs.items()}
    exact = turns["p4-resnet44-pcam@97"]
    against = {
        size: [one - other for one, other in zip(exact, turns[entry], strict=True)]
        for size, entry in (("96", "p4-resnet44-pcam@96"), ("ordinary", "z2-resnet44-pcam@97"))
    }
    pair, ordinary = paired(against["96"]), paired(against["ordinary"])
    least, of_ordinary = detectable(pair), detectable(ordinary)
    assert least is not None
    assert of_ordinary is not None
    yield f"a difference of {100 * least:.2f} over the turns would have been found with probability 0.8"
    assert sum(difference > 0 for difference in against["96"]) == 3
    yield "single folds the exact network is ahead in three"
    told = f"{points(ordinary.difference)} {interval(ordinary.interval)}"
    yield f"exact minus ordinary {told} ({100 * of_ordinary:.2f} would have been found)"


def of_pcam_sample() -> Iterator[str]:
    """The smallest difference of the pair that its seeds could tell."""
    exact, approximate = (
        summary([record.metrics["accuracy.orbit"] or 0.0 for record in records("pcam-sample@2")[entry]])
        for entry in ("p4-resnet44-pcam@97", "p4-resnet44-pcam@96")
    )
    test = welch(exact, approximate)
    least = detectable(test)
    assert least is not None
    yield f"{points(test.difference)} {interval(test.interval)}, and could have been told from {100 * least:.2f} on"
