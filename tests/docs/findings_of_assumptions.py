"""Sentences of the findings on assumptions of the MNIST study's cards, made from the records of the studies."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from statistics import mean

from scipy.stats import t as student_t

from docs.studies import uniform_sag
from docs.studies.biased_corners import EPOCHS, LEVEL, arms, official_runs, taken
from gcnnbench.formatting import percent, probability
from gcnnbench.statistics import pooled, summary
from tests.docs.from_records import published, running, studied


def of_corners() -> Iterator[str]:
    """The study of the corners under training around 45°: what its rule rules out, and how well the arms fit."""
    found = {arm.name: arm for arm in arms()}
    assert all(len(arm.ours) == 5 for arm in found.values())
    assert taken(list(found.values())) is found["black"]
    assert [name for name, arm in found.items() if arm.ruled_out] == ["grey", "unnormalised"]
    nearest, second, *_ = sorted(found, key=lambda name: found[name].distance)
    assert (nearest, second) == ("enlarged", "unnormalised")
    p = {name: f"p = {probability(arm.test.p)}" for name, arm in found.items()}
    off = {name: f"{arm.distance:.2f}" for name, arm in found.items()}
    yield f"Grey is ruled out ({p['grey']}), and so is no normalisation at all ({p['unnormalised']})"
    yield f"nearest, {off['unnormalised']} official deviations off"
    yield f"black is not ({p['black']}, {off['black']} deviations"
    yield f"ruled out below {LEVEL}, at 0.05 it would be) and is taken"
    yield f"digits enlarged to 48 pixels are not ruled out either ({p['enlarged']}, {off['enlarged']} deviations)"
    last = EPOCHS.index(50)
    fits = {name: percent(summary(list(arm.ours[:, last]))) for name, arm in found.items()}
    official = percent(summary(list(official_runs()[:, last])))
    yield f"{fits['black']} with black, {fits['grey']} with grey and {fits['unnormalised']} without normalisation"
    yield f"is {fits['enlarged']} with enlarged digits, {official} in the logs"
    validation = "z2cnn@28 around 45°, validation at epoch 50"
    yield f"| | grey | {validation} | {fits['black']} (5) | {fits['grey']} (5) | {official} |"
    yield f"| | no normalisation | the same | {fits['black']} (5) | {fits['unnormalised']} (5) | {official} |"
    yield f"| {validation} | {fits['black']} (5) | {fits['enlarged']} (5) | {official} |"


def of_sag() -> Iterator[str]:
    """The sag of the exact network's uniform curve, in points: as the cards assume it, and of the two other arms."""
    found, official = uniform_sag.arms(), uniform_sag.official()
    black, enlarged, unnormalised = found.values()
    assert list(found) == list(uniform_sag.ARMS)
    assert not any(map(uniform_sag.ruled_out, found.values()))
    assert [arm.n for arm in found.values()] == [3, 2, 2]
    yield f"is {percent(official)} in the 100 logs"
    yield f"{percent(black)} in version 2 (p = {probability(pooled(black, official).p)})"
    yield f"{percent(enlarged)} with enlarged digits (p = {probability(pooled(enlarged, official).p)})"
    yield f"{percent(unnormalised)} without normalisation (p = {probability(pooled(unnormalised, official).p)})"
    logs = published("uniform-p4-28-running-train-accuracy")
    above = [
        mean(running(studied(f"uniform-sag-{arm}@1", uniform_sag.ENTRY), 50)) - logs.mean[logs.at.index(50)] / 100
        for arm in ("enlarged", "unnormalised")
    ]
    assert min(above) > 0
    yield f"by {' and '.join(f'{100 * one:.2f}' for one in above)} points in their means at epoch 50"
    for arm in (enlarged, unnormalised):
        yield f"| | | the sag of p4cnn@28, uniform | {percent(black)} (3) | {percent(arm)} (2) | {percent(official)} |"
    off = (
        float(student_t.ppf(1 - uniform_sag.LEVEL / 2, official.n))
        * (official.std or 0.0)
        * sqrt(1 / 2 + 1 / official.n)
    )
    yield f"only a sag that is {100 * off:.2f} points off"
