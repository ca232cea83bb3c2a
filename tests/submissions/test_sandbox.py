"""What code in the container can do is tried there, in each kind of container that this machine offers."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any

import pytest
import torch
from safetensors.torch import load

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.measuring import Measured
from gcnnbench.submissions import containment, sandbox
from gcnnbench.submissions.contained.syscalls import LIBRARY
from gcnnbench.submissions.containment import Isolation, Kind, isolation
from gcnnbench.submissions.limits import files_in, kill, memory_of, usage
from tests.full_disk import files_of_at_most
from tests.submissions.contained import HONEST, LIMITS, TINY, Submission, needs_isolation, shares, submission

PROJECT = Path(__file__).parents[2]
NAP = "3141.59"
SCRATCH = 2**22


def sleepers(nap: str = NAP) -> list[str]:
    """The processes of this machine that sleep for so long, as the orphan of `nosy` does."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode().replace("\0", " "))
        except OSError:
            continue
    return [line for line in lines if line.startswith(f"sleep {nap}")]


def has_libseccomp() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        yield server


def ask(place: Path, port: int) -> dict[str, Any]:
    """What `nosy` could do: a word on each attempt."""
    secret = place / "secret"
    secret.write_text("the test labels")
    nosy = submission(place, "nosy")
    hints = {"port": port, "secret": str(secret), "project": str(PROJECT / "README.md"), "pid": os.getpid(), "nap": NAP}
    (nosy.folder / "hints.json").write_text(json.dumps({**hints, "suite": str(containment.PACKAGE)}))
    held = sorted(path.name for path in nosy.folder.iterdir())
    outcome = nosy.run(limits=replace(LIMITS, output_bytes=SCRATCH))
    assert [finding.check for finding in outcome.findings] == ["crash"], outcome
    assert sorted(path.name for path in nosy.folder.iterdir()) == held
    found: dict[str, Any] = json.loads(next(line for line in outcome.log.splitlines() if line.startswith("{")))
    return found


@pytest.mark.parametrize(("kind", "tool"), containment.TOOLS.items())
def test_every_door_is_shut(
    kind: Kind, tool: str, tmp_path: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = containment._refusal(kind, tool)
    if refusal:
        pytest.skip(f"no {kind} here: {refusal}")
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation(kind, "wanted"))
    monkeypatch.setenv("A_SECRET_OF_THE_HOST", "1")
    found = ask(tmp_path, listening.getsockname()[1])
    allowed = {"write to the scratch folder", "leave an orphan"}
    if not has_libseccomp():
        allowed |= {"make a user namespace", "make memory that no limit counts"}
    opened = {name: said for name, said in found.items() if name not in allowed and said.startswith("done")}
    assert opened == {}
    assert found["write to the scratch folder"].startswith("done")
    assert found["leave an orphan"].startswith("done"), "else the test of orphans tests nothing"
    assert found["start too many processes"] == "BlockingIOError", "the kernel counts the processes"
    assert found["fill the scratch folder"] == "OSError"
    assert found["signal the host"] == "ProcessLookupError"
    assert "A_SECRET" not in found["environment"]
    assert set(found["interfaces"].split()) <= {"lo"}
    bounds = (int(LIMITS.seconds * (os.cpu_count() or 1)) + 1, LIMITS.memory_bytes, SCRATCH, LIMITS.processes)
    assert found["limits"] == " ".join(map(str, bounds))
    assert found["capabilities"].split() == ["CapEff:", "0" * 16]
    if os.geteuid() == 0:
        assert int(found["user"]) >= containment.FIRST_USER
    with pytest.raises(TimeoutError):
        listening.accept()
    assert sleepers() == []
    assert list((containment.PACKAGE).glob("mark")) == []


@pytest.mark.parametrize(("kind", "tool"), containment.TOOLS.items())
def test_the_container_ends_with_its_host(kind: Kind, tool: str, tmp_path: Path) -> None:
    refusal = containment._refusal(kind, tool)
    if refusal:
        pytest.skip(f"no {kind} here: {refusal}")
    nap = f"{NAP}{len(kind)}"
    code = (
        "import subprocess; from pathlib import Path; from gcnnbench.submissions import containment as c; "
        f"view = c.View(c.interpreter_files(), Path({str(tmp_path)!r}), 2**20); "
        f"subprocess.run(c.contained({kind!r}, view, ['sleep', {nap!r}]), env={{'PATH': c.SEARCH_PATH}})"
    )
    host = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT)
    wait_until(lambda: bool(sleepers(nap)))
    host.kill()
    host.wait()
    wait_until(lambda: not sleepers(nap))


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_there_is_no_way_round_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "isolation", lambda: Isolation("none", "no tools"))
    with pytest.raises(UserError, match=r"cannot be contained on this machine \(no tools\): .* --trust"):
        submission(tmp_path, "honest").run()


def test_a_tool_that_does_not_work_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "SEARCH_PATH", "/nowhere")
    assert containment._refusal("bubblewrap", "bwrap") == "bwrap is not installed"
    assert isolation.__wrapped__() == Isolation("none", "bwrap is not installed; unshare is not installed")


def test_a_container_that_shows_too_much_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that starts the command and contains nothing."""
    monkeypatch.setattr(containment, "_bubblewrap", lambda _: ["env"])
    monkeypatch.setattr(containment, "_unprivileged", lambda _: [])
    assert "does not work" in (containment._refusal("bubblewrap", "env") or "")


@pytest.mark.parametrize(
    ("report", "values", "check"),
    [
        (b"", b"", "crash"),
        (b"[1", b"", "unreadable-result"),
        (b'{"findings": [], "report": {}, "more": 1}', b"", "unreadable-result"),
        (b'{"findings": [{"check": "x"}], "report": {}}', b"", "unreadable-result"),
        (b"[" * 5000, b"", "unreadable-result"),
        (b'{"findings": [], "report": {}}', pickle.dumps({"logits": 1}), "unreadable-result"),
        (b'{"findings": [], "report": {}}', b"\xff" * 64, "unreadable-result"),
        (b" " * 2**16, b"", "output-limit"),
        (b'{"findings": [], "report": {}}', b"\0" * 2**16, "output-limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_child_leaves_is_read_without_trust(report: bytes, values: bytes, check: str) -> None:
    with TemporaryFile() as results, TemporaryFile() as tensors, TemporaryFile() as log:
        results.write(report)
        tensors.write(values)
        log.write(b"\x1b[2J said \xff\n")
        outcome = sandbox._collect(-9, None, results, tensors, log, replace(LIMITS, output_bytes=2**16))
    assert [finding.check for finding in outcome.findings] == [check]
    assert (outcome.report, outcome.tensors) == ({}, {})
    assert outcome.log == "\\x1b[2J said \ufffd\n"


def test_usage_counts_what_descends_from_a_process() -> None:
    ready, done = threading.Event(), threading.Event()
    before = usage(os.getpid())

    def hold() -> None:
        kept = bytearray(os.urandom(1) * 2**25)
        ready.set()
        done.wait(60)
        del kept

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(60)
    now = usage(os.getpid())
    done.set()
    thread.join()
    assert os.getpid() in now.pids
    assert now.tasks == before.tasks + 1
    assert now.most_bytes - before.most_bytes > 2**24


SHARING = """
import os, time
kept = b"x" * 2**26
if os.fork():
    os.fork()
os.write(1, b"ready\\n")
time.sleep(60)
"""


def test_memory_that_processes_share_is_counted_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SHARING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["ready\n"] * 3
        now = usage(process.pid)
        exactly = memory_of(now.pids)
        kill(process.pid)
    assert len(now.pids) == 3
    assert now.most_bytes > 3 * 2**26
    assert 2**26 < exactly < 2**27


@needs_isolation
def test_an_entry_of_the_suite_ends_with_the_same_bits_as_by_run(tmp_path: Path) -> None:
    """Training, validation and scoring in the container; then the weights scored again in a fresh process."""
    registry = Registry.load()
    tiny = TINY.model_copy(update={"entries": ("p4cnn@8",)})
    registry = replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})
    *_, last = run_cell(Cell(registry, "tiny", "p4cnn@8", 1, "cpu", 1, tmp_path))
    assert isinstance(last, Finished)
    weights, outputs, record = load(last.weights), load(last.outputs), last.record
    entry = Submission(registry.folder("model", "p4cnn"), registry.model("p4cnn"), "p4cnn@8", seed=1)
    trained = entry.run("train")
    assert trained.findings == ()
    assert {name for name in trained.tensors if name.startswith("weights.")} == {f"weights.{name}" for name in weights}
    assert all(torch.equal(trained.tensors[f"weights.{name}"], value) for name, value in weights.items())
    scored = entry.run("score", given={f"weights.{name}": value for name, value in weights.items()})
    assert scored.findings == ()
    for outcome in (trained, scored):
        assert torch.equal(outcome.tensors["logits"], outputs["logits"])
        assert torch.equal(outcome.tensors["angle_classes"], outputs["angle_classes"])
        after = Measured.model_validate_json(outcome.report["after"])
        assert (after.state, after.exactness) == (record.equivariance.after, record.equivariance.exactness_after)
        assert outcome.report["parameters"] == record.cost.parameters
        assert outcome.report["macs"] == record.cost.macs
    before = Measured.model_validate_json(trained.report["before"])
    assert (before.state, before.exactness) == (record.equivariance.before, record.equivariance.exactness_before)
    assert trained.report["steps"] == record.training.steps
    assert trained.report["tested_epoch"] == record.training.tested_epoch
    losses = [epoch["train_loss"] for epoch in trained.report["history"]]
    assert losses == [epoch.train_loss for epoch in record.training.history]


def test_a_job_is_given_no_test_label(tmp_path: Path) -> None:
    """By the names, and by the numbers: the labels of the test images are in none of the tensors."""
    given = submission(tmp_path, "honest").tensors("train")
    assert "test.labels" not in given
    labels = shares().test.labels
    assert not any(value.shape == labels.shape and torch.equal(value, labels) for value in given.values())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = {"weights.conv.weight": torch.zeros(6, 1, 3, 3), "weights.other": torch.zeros(3)}
    found = submission(tmp_path, "honest").run_here(tmp_path, "score", other)
    assert set(found) == {"weights"}
    assert "other" in found["weights"]


def test_a_network_that_says_one_thing_is_refused(tmp_path: Path) -> None:
    weights = {
        "weights.conv.weight": torch.zeros(6, 1, 3, 3),
        "weights.conv.bias": torch.zeros(6),
        "weights.linear.weight": torch.zeros(10, 6),
        "weights.linear.bias": torch.arange(10.0),
    }
    found = submission(tmp_path, "honest").run_here(tmp_path, "score", weights)
    assert found == {"one-class": "every upright test image is put into class 9"}
    assert HONEST.parameters[0].count == sum(value.numel() for value in weights.values())


def test_files_of_the_host_are_not_counted_as_a_containers(tmp_path: Path) -> None:
    """A process that is not contained yet sees the host's folder of the same name."""
    assert files_in(tmp_path, [os.getpid()]) == 0
    assert os.statvfs(tmp_path).f_files - os.statvfs(tmp_path).f_ffree != 0


@pytest.mark.parametrize("code", [{}, {"model.py": bytes(2000)}], ids=["tensors", "code"])
def test_what_a_process_is_given_and_does_not_fit_is_told(code: dict[str, bytes]) -> None:
    with files_of_at_most(1000), pytest.raises(UserError) as wrong:
        sandbox.run_isolated("probe", code, {}, {"images": torch.zeros(1000)}, LIMITS, trust=True)
    told = str(wrong.value)
    assert told.startswith(f"{gettempdir()}: the files of a submission's process cannot be written (")
    assert "File too large" in told
    assert told.endswith("make room there, or set TMPDIR to another place")


def test_a_full_disk_of_this_machine_is_no_crash_of_the_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.fstatvfs(0)
    with TemporaryFile() as results, TemporaryFile() as values, TemporaryFile() as log:
        log.write(b"OSError: [Errno 28] No space left on device\n")
        crashed = sandbox._collect(1, None, results, values, log, LIMITS)
        assert [finding.check for finding in crashed.findings] == ["crash"]
        full = os.statvfs_result((*room[:4], 0, *room[5:]))
        monkeypatch.setattr(os, "fstatvfs", lambda _: full)
        with pytest.raises(UserError, match="No space left on device"):
            sandbox._collect(1, None, results, values, log, LIMITS)
