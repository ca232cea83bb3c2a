"""Ratios, reports and their comparison, on made-up clocks; nothing here is timed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.perf_verb import perf
from gcnnbench.errors import UserError
from gcnnbench.perf import engines, learnt, networks, sections, synthetic, timing, workers
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.peak import Peak, find_peak
from gcnnbench.perf.report import Comparison, Report, compared, read_report
from gcnnbench.perf.sleepers import sleeping_cells
from gcnnbench.perf.suite import ON_REQUEST, SECTIONS, measure
from gcnnbench.perf.targets import GOALS, targets
from gcnnbench.perf.text import compare_as_markdown, report_as_markdown
from gcnnbench.perf.timing import Timing, interleaved, ratio
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Report as Told
from gcnnbench.runs.files import read_files
from gcnnbench.runs.local import execute
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.scoring.metrics import inconsistencies
from tests.cuda_streams import Streams
from tests.tape import Tape


class Clock:
    """A clock that stands still but for the work done, and for a machine that grows slower from round to round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.told = 0.0, list[str]()
        monkeypatch.setattr("gcnnbench.perf.timing.time.perf_counter", lambda: self.now)

    def work(self, name: str, seconds: float) -> Callable[[], None]:
        calls = count()

        def done() -> None:
            self.told.append(name)
            self.now += seconds * (1 + next(calls))

        return done


def test_candidates_take_turns_and_meet_the_same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found = interleaved({"one": clock.work("one", 1.0), "two": clock.work("two", 3.0)}, seconds=0.0, least=4)
    assert clock.told == ["one", "one", "two", "two", *["one", "two", "two", "one"] * 2]
    assert found["one"].seconds == (3.0, 4.0, 5.0, 6.0)
    three = ratio(found["two"], found["one"])
    assert (three.value, three.low, three.high) == (3.0, 3.0, 3.0)


def test_short_work_is_repeated_and_the_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def tick() -> None:
        clock.now += 0.001

    assert interleaved({"short": tick}, seconds=0.102)["short"].seconds == pytest.approx([0.001] * 20)


def test_the_spread_is_that_of_single_rounds() -> None:
    found = ratio(Timing((2.0, 2.0, 2.0, 2.0, 6.0)), Timing((1.0, 1.0, 1.0, 2.0, 2.0)))
    assert (found.value, found.low, found.high) == (2.0, 1.5, 2.5)


def comparison(section: str = "training", title: str = networks.P4CNN.title, **seconds: float) -> Comparison:
    timings = {name: Timing((taken, taken * 1.1, taken * 0.9)) for name, taken in seconds.items()}
    return compared(section, title, timings, reference="nchw", flops=1e9, peak=1e10, missing={"escnn": "not installed"})


def report(*comparisons: Comparison) -> Report:
    return Report(
        commit="c" * 40,
        dirty=False,
        device="cpu",
        device_name="made up",
        threads=1,
        versions={"torch": "2"},
        platform="none",
        started="2025-01-01T00:00:00+00:00",
        seconds=1.0,
        peak=1e10,
        comparisons=comparisons,
        targets=targets(comparisons, "cpu"),
    )


def test_a_report_says_ratios_targets_and_what_was_not_measured() -> None:
    made = report(comparison(gcnnbench=0.8, floor=0.75, nchw=1.0, e2cnn=0.96), comparison(title="other", nchw=1.0))
    text = " ".join(report_as_markdown(made).split())
    assert "| gcnnbench | 0.8 | 0.80 | 0.80–0.80 | 1 | 12% | – |" in text
    assert text.count("- Not measured: escnn: not installed.") == text.count("not installed") == 1
    assert "- Missed: training, p4cnn 28×28: time of e2cnn / time of gcnnbench is 1.20, at least 1.25" in text
    assert "On a GPU: not measured." in text
    first, near = (goal for goal in made.targets if "training, p4cnn 28×28:" in goal.text)
    assert first.measured is not None
    assert first.measured.value == pytest.approx(1.2)
    assert (first.met, near.met) == (False, True)
    assert [target.met for target in made.targets].count(None) == len(made.targets) - 2
    assert read_report("a file", made.model_dump_json().encode()) == made


def test_no_share_of_the_peak_exceeds_one() -> None:
    """What is faster than all that was tried for the peak is the peak from then on, also for what came before."""
    peak = Peak(1e9, "sgemm")
    bench = Bench(torch.device("cpu"), 0.0, peak)

    def slow() -> None:
        time.sleep(0.02)

    def fast() -> None:
        time.sleep(0.006)

    before = bench.compare("training", "one", {"slow": slow}, reference="slow", flops=1e6)
    bench.compare("training", "two", {"slow": slow, "fast": fast}, reference="slow", flops=1e8)
    assert peak.name == "fast in training: two"
    assert peak.flops > 1e9
    (row,) = peak.shares(before).rows
    assert row.share_of_peak == pytest.approx((row.flops or 0.0) / peak.flops)


def test_the_peak_is_the_best_of_products_and_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.perf.peak.PRODUCTS", ((8, 8, 8), (64, 64, 64)))
    monkeypatch.setattr("gcnnbench.perf.peak.CONVOLUTIONS", ((1, 8, 8),))
    names: list[str] = []

    def watched(work: dict[str, Callable[[], object]], **_: object) -> dict[str, Timing]:
        names.extend(work)
        for done in work.values():
            done()
        return {name: Timing((1.0, 1.0 if "convolution" in name else 4.0)) for name in work}

    monkeypatch.setattr("gcnnbench.perf.peak.interleaved", watched)
    peak = find_peak(torch.device("cpu"))
    assert names == ["sgemm 8×8×8", "sgemm 64×64×64", "3×3 convolution of 1×8×8×8"]
    assert (peak.name, peak.flops) == ("sgemm 64×64×64", 2 * 64**3)


def test_a_goal_in_seconds_is_held_against_seconds() -> None:
    timings = {"gcnnbench list": Timing((0.4, 0.4)), "python": Timing((0.1, 0.1))}
    (found,) = targets([compared("start-up", "fresh processes", timings, reference="python")], "cpu")
    assert found.measured is not None
    assert (found.measured.value, found.met) == (0.4, True)


def test_a_gpu_has_goals_of_its_own() -> None:
    seconds = {"gcnnbench": Timing((0.004, 0.005, 0.004)), "nchw": Timing((0.004,) * 3)}
    scored = compared("evaluation", "p4cnn 28×28, batch 2048", seconds, reference="nchw", images=2048)
    steps = comparison(gcnnbench=0.8, e2cnn=1.0, nchw=1.0)
    made = report(scored).model_copy(update={"targets": targets([scored, steps], "cuda"), "device": "cuda"})
    text = report_as_markdown(made)
    assert re.search(r"\| gcnnbench +\| +0\.004 .* 512,000 \|\n", text)
    assert "- Missed: evaluation, p4cnn 28×28: million images/s of gcnnbench is 0.51, at least 1 is wanted." in text
    assert "- Missed: training, p4cnn 28×28: time of e2cnn / time of gcnnbench is 1.25, at least 1.5 is wanted." in text
    assert "images/s" not in " ".join(target.text for target in targets([scored, steps], "cpu"))
    assert targets([scored, steps], "mps") == ()
    unsaid = scored.model_copy(update={"images": None})
    assert [target.met for target in targets([unsaid], "cuda")] == [None]


def test_networks_are_measured_with_as_many_images_as_are_scored_at_once(
    tiny: networks.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "SETTINGS", (tiny,))
    monkeypatch.setattr(networks, "STEERABLE", ())
    monkeypatch.setattr(sections, "scoring_batch", lambda _device, size: size + 1)
    monkeypatch.setattr(timing, "SHORTEST", 0.0)
    (found,) = sections.evaluation(Bench(torch.device("cpu"), 0.0, Peak()))
    assert found.images == 10
    assert found.title.startswith(f"{tiny.sized} batch 10, ")


def test_every_goal_is_about_a_section() -> None:
    assert {goal.section for goals in GOALS.values() for goal in goals} <= set(SECTIONS)
    assert set(ON_REQUEST) < set(SECTIONS)


def test_two_reports_are_compared_in_units_of_their_reference() -> None:
    before = report(comparison(gcnnbench=0.8, floor=0.75, nchw=1.0))
    after = report(comparison(gcnnbench=4.8, floor=3.75, nchw=5.0))
    text = " ".join(compare_as_markdown(before, after).split())
    assert "| gcnnbench | 0.80 | 0.96 | 1.20 | slower |" in text
    assert "| floor | 0.75 | 0.75 | 1.00 | |" in text
    assert compare_as_markdown(before, report(comparison(title="other", nchw=1.0))) == (
        "The two reports have no comparison in common.\n"
    )


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(UserError, match=r"a\.json: no report of gcnnbench perf: commit: Field required"):
        perf([], compare=(tmp_path / "a.json", tmp_path / "b.json"), output="md")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="there is no section 'nets': one of training, evaluation"):
        measure(["nets"], device="cpu", threads=1, seconds=0, tell=lambda _: None)


def test_synthetic_records_are_records_that_hold_together(tmp_path: Path) -> None:
    synthetic.write(Registry.load([]), tmp_path, 16)
    files = list(read_files(tmp_path))
    assert len(files) == 16
    for file in files:
        assert isinstance(file.content, Record), file.content
        assert inconsistencies(file.content.counts) == []


@pytest.fixture(scope="module")
def tiny() -> networks.Setting:
    return networks.Setting("p4-resnet44-pcam", 9, 2, hyperparameters={"widths": (2, 3), "blocks": (1, 1)})


class WithoutKernel(nn.Module):
    """A layer of others' whose backward pass the device refuses, as e2cnn's pool over fields on a deterministic GPU."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = images.flatten(1)[:, :10] * nn.Parameter(torch.ones(10))
        logits.register_hook(self.refuse)
        return logits

    def refuse(self, _gradient: torch.Tensor) -> None:
        raise RuntimeError("max_pool3d has no deterministic implementation, but you asked. See the manual.")


def test_what_others_cannot_run_here_is_said_and_the_rest_is_measured(
    tiny: networks.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcnnbench.perf.steerable.network", lambda *_: WithoutKernel())
    made, missing = networks.candidates(tiny, torch.device("cpu"))
    assert set(made) == {networks.OURS, networks.FLOOR, networks.NCHW}
    reason = "fails on cpu: max_pool3d has no deterministic implementation, but you asked"
    assert missing == dict.fromkeys(networks.STEERABLE, reason)


def test_the_candidates_are_the_same_network(tiny: networks.Setting) -> None:
    device = torch.device("cpu")
    made, missing = networks.candidates(tiny, device)
    shown, labels = networks.images(tiny, device)
    assert set(made) | set(missing) == {networks.OURS, networks.FLOOR, networks.NCHW, *networks.STEERABLE}
    with torch.no_grad():
        logits = {name: network.eval()(shown) for name, network in made.items()}
    for name in (networks.FLOOR, networks.NCHW):
        torch.testing.assert_close(logits[name], logits[networks.OURS])
    convs = {
        name: sum(type(module).__name__ in ("Conv2d", "GroupConv", "R2Conv") for module in network.modules())
        for name, network in made.items()
    }
    assert len(set(convs.values())) == 1, convs
    layouts = {
        name: all(
            module.weight.is_contiguous(memory_format=layout)
            for module in made[name].modules()
            if isinstance(module, nn.Conv2d)
        )
        for name, layout in ((networks.FLOOR, torch.channels_last), (networks.NCHW, torch.contiguous_format))
    }
    assert layouts == {networks.FLOOR: True, networks.NCHW: True}
    assert networks.useful_flops(networks.training_step(made[networks.FLOOR], shown, labels)) > 0


@pytest.mark.parametrize("section", ["training", "evaluation", "learnt", "seeds"])
def test_a_section_measures_every_candidate(
    section: str, tiny: networks.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "SETTINGS", (tiny,))
    monkeypatch.setattr(learnt, "SETTING", tiny)
    monkeypatch.setattr(sections, "SEED_COUNTS", (2,))
    monkeypatch.setattr(sections, "SEED_SETTINGS", (tiny,))
    monkeypatch.setattr(timing, "SHORTEST", 0.0)
    monkeypatch.setattr("gcnnbench.perf.peak.PRODUCTS", ((16, 16, 16),))
    monkeypatch.setattr("gcnnbench.perf.peak.CONVOLUTIONS", ())
    made = measure([section], device="cpu", threads=1, seconds=0.0, tell=lambda _: None)
    for found in made.comparisons:
        assert found.section == section
        assert all(row.seconds or row.why for row in found.rows)
        assert section in ("learnt", "seeds") or all(row.flops for row in found.rows if row.seconds)
        names = {row.name for row in found.rows}
        assert found.reference in names
        not_here = {row.name: row.why for row in found.rows if not row.seconds}
        assert section != "seeds" or not_here == {sections.SIDE_BY_SIDE: "a cpu has no graphs"}
        assert section not in ("training", "evaluation") or {networks.OURS, *networks.STEERABLE} <= names
        assert "e2cnn" not in not_here, not_here
        assert all(row.share_of_peak is None or 0 < row.share_of_peak <= 1 for row in found.rows)
    assert made.peak_of is not None
    assert f"({made.peak_of})" in report_as_markdown(made)


def test_recorded_steps_of_several_networks_are_asked_of_streams_of_their_own(
    tiny: networks.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams, tapes = Streams(monkeypatch), list[Tape]()

    class Noted(Tape):
        def replay(self) -> None:
            super().replay()
            streams.log.append(f"{streams.current} replays")

    def graph() -> Tape:
        tapes.append(Noted())
        return tapes[-1]

    monkeypatch.setattr(networks, "CudaGraph", graph)
    steps = networks.recorded_steps([tiny.network(), tiny.network()], *networks.images(tiny, torch.device("cpu")))
    steps()
    del streams.log[:]
    steps()
    assert streams.log == [
        "a waits for main", "a replays", "b waits for main", "b replays", "main waits for a", "main waits for b",
    ]  # fmt: skip
    assert all(tape.calls for tape in tapes)


def test_cells_that_sleep_are_run_and_handed_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engines, "SHORT_CELLS", 4)
    monkeypatch.setattr(engines, "SLOTS", 4)

    def here(cells: Sequence[Cell], store: Store, report: Told) -> None:
        execute(cells, store, report)

    first, later = engines.timed(here, sleeping_cells(tmp_path / "long", 0.0, 4))
    assert (len(first.seconds), len(later.seconds)) == (1, 2), "two cells are the first of two workers"
    found = engines.scheduling(tmp_path / "short")
    taken, alone = (found.row(name) for name in (engines.HANDED, engines.ALONE))
    assert taken is not None
    assert alone is not None
    assert alone.seconds == 1.0 <= (taken.seconds or 0.0)
    with pytest.raises(RuntimeError, match="0 of 4 cells finished"):
        engines.timed(lambda *_: None, sleeping_cells(tmp_path / "none", 0.0, 4))


def test_engines_take_turns_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that grows slower from run to run makes no engine slower than another by more than that."""
    ran = list[str]()

    def taken(run: engines.Run, _cells: Sequence[Cell]) -> tuple[Timing, Timing]:
        run((), Store(Path("unused")), lambda _: None)
        return Timing((float(len(ran)),)), Timing((float(len(ran)), 0.5))

    monkeypatch.setattr(engines, "timed", taken)
    runs = {name: lambda *_, name=name: ran.append(name) for name in ("one", "two", "three")}
    begun, each = engines.in_rounds(runs, ())
    assert ran == ["one", "two", "three", "two", "three", "one", "three", "one", "two"]
    assert {name: timing.median for name, timing in begun.items()} == {"one": 6.0, "two": 4.0, "three": 5.0}
    assert each["one"].seconds == (1.0, 0.5, 6.0, 0.5, 8.0, 0.5)
    assert list(begun) == list(each) == list(runs)


def test_an_engine_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    candidates = [(name, "torch" if name == engines.LOCAL else "no_such", run) for name, _, run in engines.candidates()]
    assert [name for name, _, _ in candidates] == [engines.LOCAL, *engines.ENGINES, engines.RAY]
    monkeypatch.setattr(engines, "candidates", lambda: iter(candidates))
    monkeypatch.setattr(engines, "timed", lambda *_: (Timing((1.0,)), Timing((2.0, 2.0))))
    monkeypatch.setattr(engines, "scheduling", lambda _: compared("engines", "none", {}, reference=""))
    overhead, *_ = engines.engines(Bench(torch.device("cpu"), 0.0, Peak()))
    assert {row.name: row.why for row in overhead.rows if row.why} == dict.fromkeys(
        (*engines.ENGINES, engines.RAY), "no_such is not installed"
    )
    assert {target.met for target in targets([overhead], "cpu")} == {None}


def test_a_process_of_cells_tells_its_stages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("BENCHMARK", "quickstart"), ("ENTRY", "z2cnn@12"), ("CELLS", 3)):
        monkeypatch.setattr(workers, name, value)
    monkeypatch.setattr("gcnnbench.device.keep_freed_memory", lambda: None)
    workers.main()
    told = json.loads(capsys.readouterr().out)
    assert list(told) == [workers.IMPORT, workers.DATA, workers.BUILT, workers.STEP, workers.LATER]
    assert all(seconds > 0 for seconds, _ in told.values())
    assert all(held is None or held > 1 << 20 for _, held in told.values())
