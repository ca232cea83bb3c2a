"""Sentences of the findings on the MNIST study whose numbers no command prints, made from the committed records."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from docs.studies.uniform_sag import sag
from gcnnbench.claims.verdicts import judge_growth
from gcnnbench.formatting import percent
from gcnnbench.statistics import paired, summary
from tests.docs.findings_of_assumptions import of_corners, of_sag
from tests.docs.from_records import (
    TURNS,
    ahead,
    curves,
    ends,
    errors,
    growth,
    listed,
    published,
    records,
    running,
    studied,
    upright,
)

REGIMES = ("upright", "biased-20", "biased-40", "uniform")


def of_upright_training() -> Iterator[str]:
    """How training widens the break, in version 2 and beside version 1."""
    old, new = (records(f"mnist-upright@{version}") for version in (1, 2))
    grown = {entry: growth(new[entry]) for entry in ("p4cnn@27", "p4cnn@29")}
    assert min(map(min, grown.values())) > 0, "it grows in every run"
    assert judge_growth(list(grown.values())).verdict == "inconclusive"
    yield "**That training breaks equivariance further is *inconclusive***"
    for entry, sample in grown.items():
        yield f"of `{entry}` by {ends(paired(sample))} "
    after = [mean(errors(found["p4cnn@27"], "after")) for found in (new, old)]
    before = [mean(errors(found["p4cnn@27"], "before")) for found in (new, old)]
    yield f"version 1, {listed(after)} at 27"
    yield f"begins higher, at {' and not '.join(f'{one:.2f}' for one in before)}"


def of_uniform_training() -> Iterator[str]:
    """The ordinary network's seeds at half a turn, and the running training accuracies beside the logs."""
    first, low, second = sorted(100 * curve[180] for curve in curves(records("mnist-uniform@2")["z2cnn@28"]))
    yield f"one seed has {first:.1f} at 180° where the others have {listed((low, second), 1)}"
    networks = ("p4cnn@27", "p4cnn@28", "z2cnn@28")
    assert min(gap for entry in networks for gap in over_the_logs("uniform", entry, 2)) > 0
    yield "At every epoch published all three networks lie above the logs"


def of_biased_training() -> Iterator[str]:
    """The ordinary network's validation accuracies at the epoch that decides."""
    found = records("mnist-biased-20@2")["z2cnn@28"]
    every = [one.validation_accuracy or 0.0 for run in found for one in run.training.history if one.epoch == 40]
    low, *others = sorted(100 * one for one in every)
    yield f"one seed has {low:.2f} where the others have {listed(others)}"


def of_blind_training() -> Iterator[str]:
    """By how much the exact network is ahead of the ordinary one around 45° with σ = 40°."""
    metrics = ("accuracy.upright", "accuracy.unseen", "accuracy.curve_mean")
    upright, unseen, curve = (ahead("mnist-biased-40@2", metric) for metric in metrics)
    yield f"Exact minus ordinary is {upright} points at 0°, {unseen} on the unseen turns and {curve} over the curve"


def of_version_1() -> Iterator[str]:
    """Where the break grows: the error in the coset maximum."""
    before, after = at_the_coset("mnist-upright@1")
    yield f"(relative error {min(before):.2f} to {max(before):.2f} at 27)"
    yield f"it is {min(after):.2f} to {max(after):.2f}"
    before, after = at_the_coset("mnist-upright@2")
    yield f"grows from {min(before):.2f}–{max(before):.2f} to {min(after):.2f}–{max(after):.2f}"


def at_the_coset(benchmark: str) -> list[list[float]]:
    """The relative errors of `p4cnn@27` in the coset maximum, before and after training."""
    found = records(benchmark)["p4cnn@27"]
    return [
        [one.relative for record in found for one in getattr(record.equivariance, state).depths if one.depth == "coset"]
        for state in ("before", "after")
    ]


def of_rotated_training() -> Iterator[str]:
    """What is told of the relaxation, and of what was settled of the protocol."""
    error = {name: mean(errors(records(f"mnist-{name}@1")["p4cnn@27"], "after")) for name in REGIMES}
    yield f"is {error['upright']:.2f} after upright training"
    yield f"{error['biased-20']:.2f} and {error['biased-40']:.2f} after the biased ones"
    yield f"{error['uniform']:.2f} after the uniform one"
    yield from of_running_accuracies()
    yield from of_short_runs()
    yield from of_whole_runs()
    yield from of_corners()
    yield from of_sag()


def over_the_logs(regime: str, entry: str, version: int = 1) -> list[float]:
    """By how many points the running training accuracy of a version lies above that of the official logs, by epoch."""
    claim = published(f"{regime}-{entry.replace('cnn@', '-')}-running-train-accuracy")
    found = records(f"mnist-{regime}@{version}")[entry]
    return [100 * mean(running(found, at)) - official for at, official in zip(claim.at, claim.mean, strict=True)]


def of_running_accuracies() -> Iterator[str]:
    """Running training accuracies beside those of the official logs."""
    *groups, ordinary = ("p4cnn@27", "p4cnn@28", "p4cnn@29", "z2cnn@28")
    gaps = [gap for entry in (*groups, ordinary) for gap in over_the_logs("upright", entry)]
    low = sum(gap < 0 for gap in gaps)
    yield f"{low} of {len(gaps)} lie below"
    yield f"by {-min(gaps):.2f} points at most"
    now = [gap for entry in (*groups, ordinary) for gap in over_the_logs("upright", entry, 2)]
    yield f"the {len(now)} mean running training accuracies lie between {-min(now):.2f} points below"
    yield f"and {max(now):.2f} above"
    turned = [gap for regime in ("uniform", "biased-20") for entry in groups for gap in over_the_logs(regime, entry)]
    yield f"by 0.1 to 0.6 points in {sum(0.05 <= gap < 0.65 for gap in turned)} of {len(turned)} rows of the P4CNNs"
    *_, early, late = over_the_logs("uniform", ordinary)
    yield f"by {late:.1f} to {early:.1f} of the Z2CNN at the end of the uniform regime"


def of_short_runs() -> Iterator[str]:
    """The studies of the fill and of the dropout rate."""
    logs = published("uniform-p4-28-running-train-accuracy")
    words = {20: (" with grey corners", " with black ones"), 10: ("", "")}
    for epoch in words:
        grey, black = (
            listed(100 * one for one in running(studied(f"training-fill-{fill}@1", "p4cnn@28"), epoch))
            for fill in ("grey", "black")
        )
        yield f"{grey}{words[epoch][0]}, {black}{words[epoch][1]}"
        yield f"against {percent(logs.published[logs.at.index(epoch)])}"
    rates = [studied("dropout-study@1", f"z2cnn-dropout-{rate}@28") for rate in (30, 35)]
    logs = published("upright-z2-28-running-train-accuracy")
    official = percent(logs.published[logs.at.index(20)])
    yield f"{' | '.join(with_n(upright(found)) for found in rates)} | –"
    yield f"{' | '.join(with_n(running(found, 20)) for found in rates)} | {official}"


def with_n(values: list[float]) -> str:
    """Mean, deviation and n of a sample of shares."""
    return f"{percent(summary(values))} ({len(values)})"


def of_whole_runs() -> Iterator[str]:
    """The sag of the uniform curves with grey and with black corners, and in the logs."""
    exact, ordinary = ("p4cnn@28", TURNS[:1]), ("z2cnn@28", TURNS)
    (grey, black, logs), (greys, blacks, official) = (
        (
            *(
                listed(100 * sag(curve, turns) for curve in curves(found))
                for found in (records("mnist-uniform@1")[entry], studied("training-fill-black-full@1", entry))
            ),
            f"{sag(published_curve(entry), turns):.2f}",
        )
        for entry, turns in (exact, ordinary)
    )
    yield f"it loses {grey} points, the published one {logs}"
    yield f"with black corners lose {black}"
    yield f"loses in their mean {greys} with grey, {blacks} with black, {official} in the logs"
    claim = published("uniform-p4-28-curve")
    whole = curves(studied("training-fill-black-full@1", "p4cnn@28"))
    for angle, at, deviation in zip(claim.at, claim.mean, claim.deviation, strict=True):
        assert abs(100 * mean(curve[angle] for curve in whole) - at) < deviation
    yield "their mean lies within a deviation of the published curve at every angle"
    yield percent(
        summary([mean(curve.values()) for curve in curves(studied("training-fill-black-full@1", "z2cnn@28"))])
    )


def published_curve(entry: str) -> dict[int, float]:
    """The published accuracies of an entry over the angles, in per cent."""
    claim = published(f"uniform-{entry.replace('cnn@', '-')}-curve")
    return dict(zip(claim.at, claim.mean, strict=True))
