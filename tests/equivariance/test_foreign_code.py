"""`gcnnbench audit` on other people's code: whatever it raises, prints or is, a row or one sentence comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cli import main
from gcnnbench.equivariance.assertion import assert_equivariant
from gcnnbench.equivariance.audit import audit
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import said
from tests.equivariance.symmetric import isotropic

FILE = """
import os, sys
import torch
from torch import nn
from torch.nn.utils import parametrize

sys.stdout.write("imported\\n")


class Turned(nn.Module):
    def forward(self, weight):
        return torch.stack([weight.rot90(t, (-2, -1)) for t in range(4)]).sum(0) / 4


class Net(nn.Module):
    def __init__(self, at=None, error=None):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        parametrize.register_parametrization(self.conv, "weight", Turned())
        self.at, self.error = at, error

    def forward(self, images):
        if images.shape[-1] == self.at:
            raise self.error
        return self.conv(images).relu().mean((-2, -1))


class Own(Exception):
    pass


ERRORS = {"file": FileNotFoundError("weights.pt"), "import": ImportError("no timm"), "stop": StopIteration()}
ERRORS |= {"memory": MemoryError("too much"), "own": Own("mine"), "exit": SystemExit(3)}
ERRORS |= {"recursion": RecursionError("deep"), "closed": GeneratorExit()}


def made(size, error):
    if size == 13:
        raise ERRORS[error]
    return Net()


def run(size, error):
    return Net(13, ERRORS[error])


def prints(size):
    print("hello from Python")
    os.write(1, b"hello from below\\n")
    return Net()


def fails(size):
    raise ValueError("no weights here")


def mixed():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3).double())


def scripted():
    return torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))


def parallel():
    return nn.DataParallel(Net())


def two():
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, stride=2, padding=1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "mine.py"
    path.write_text(FILE)
    (path.parent / "leaving.py").write_text("import sys\nsys.exit(4)\n")
    return path


@pytest.fixture
def gcnnbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command line in this process and gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(["audit", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(ending.value.code or 0), captured.out, " ".join(captured.err.split())

    return call


def apart(*arguments: object) -> tuple[int, str, str]:
    """The command in a process of its own: (exit code, stdout, stderr)."""
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "gcnnbench", "audit", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


@pytest.mark.parametrize("where", ["made", "run"])
def test_whatever_foreign_code_raises_costs_one_row_only(where: str, mine: Path) -> None:
    from gcnnbench.equivariance.targets import resolve

    expected = {
        "file": "FileNotFoundError: weights.pt",
        "import": "ImportError: no timm",
        "stop": "StopIteration: without a word",
        "memory": "MemoryError: too much",
        "own": "Own: mine",
        "exit": "it calls sys.exit(3)",
        "recursion": "RecursionError: deep",
        "closed": "GeneratorExit: without a word",
    }
    for name, reason in expected.items():
        target = resolve(f"{mine}:{where}", {"error": name})
        broken, whole = audit(target.make, [13, 12], channels=1).sizes
        assert (broken.decision, broken.reason, whole.decision) == ("inapplicable", reason, "exact"), name


def test_what_foreign_code_prints_does_not_reach_the_document(mine: Path) -> None:
    code, out, err = apart(f"{mine}:prints", "--sizes", "12", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["sizes"][0]["verdict"] == "not proved; measured exact"
    assert "imported" in err
    assert "hello from Python" in err
    assert "hello from below" in err


def test_a_module_that_leaves_while_it_is_imported_is_said(gcnnbench: Any, mine: Path) -> None:
    code, out, err = gcnnbench(f"{mine.parent / 'leaving.py'}:build")
    assert (code, out) == (2, "")
    assert "does not import: SystemExit: 4" in err


def test_a_factory_that_fails_everywhere_is_no_matter_of_channels(gcnnbench: Any, mine: Path) -> None:
    code, out, err = gcnnbench(f"{mine}:fails", "--sizes", "12-14")
    assert (code, out) == (2, "")
    assert "fails cannot be made at any of the sizes: at 12: ValueError: no weights here" in err
    assert "channels" not in err


def test_where_no_number_of_channels_fits_each_refusal_is_told(gcnnbench: Any, mine: Path) -> None:
    code, out, err = gcnnbench(f"{mine}:mixed", "--sizes", "12,13")
    assert (code, out) == (2, "")
    assert "- 12 with 3 channels: RuntimeError: Given groups=1" in err
    assert "- 12 with 1 channel: RuntimeError: mat1 and mat2 must have the same dtype" in err
    assert "13 with" not in err


def test_advice_that_does_not_help_is_not_given(gcnnbench: Any, mine: Path) -> None:
    code, out, err = gcnnbench(f"{mine}:two", "--explain", "28", "--channels", "1")
    assert code == 0, err
    assert out.splitlines()[0] == f"{mine}:two at 28 under p4: not equivariant"
    assert (
        "no input size repairs this: it is not exact where no sampling is known to break it either" in out.splitlines()
    )
    assert "29 instead of 28" not in out
    with pytest.raises(AssertionError, match="no input size nearby repairs this"):
        assert_equivariant(plain(), "p4", sizes=[28], channels=1)


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def traced() -> nn.Module:
    return torch.jit.trace(plain().eval(), torch.rand(1, 1, 8, 8))  # type: ignore[no-any-return]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "traced": (traced, "audit the module that torch.jit.script or torch.jit.trace was given"),
    "lazy": (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "run it on an image first"),
    "meta": (lambda: plain().to("meta"), "build it on a real device"),
    "a list": (list, "gave a list; it must give a torch.nn.Module"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_what_cannot_be_watched_is_refused_in_one_sentence_that_helps(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UserError) as refused:
        audit(lambda _: make(), [12], channels=1, name="theirs")  # type: ignore[arg-type,return-value]
    assert str(refused.value).startswith("theirs cannot be made at any of the sizes: at 12: theirs ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_wrappers_are_taken_off() -> None:
    network = isotropic(plain())
    wrapped = nn.DataParallel(network)
    (row,) = audit(wrapped, [13], channels=1).sizes
    assert row.decision == "exact"
    compiled = torch.compile(network, backend="eager")
    (row,) = audit(compiled, [13], channels=1).sizes
    assert row.decision == "exact"


class Sized(nn.Module):
    """Takes its size by name, and channels first."""

    def __init__(self, channels: int = 1, size: int = 0) -> None:
        super().__init__()
        self.size, self.body = size, isotropic(plain())
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.size:
            raise ValueError(f"made for {self.size}")
        logits: Tensor = self.body(images)
        return logits


def test_python_and_the_command_name_and_make_a_class_alike() -> None:
    found = audit(Sized, [13, 17], channels=1)
    assert found.network == f"{__name__}:Sized"
    assert [row.decision for row in found.sizes] == ["exact", "exact"]
    assert audit(Sized(size=13), [13], channels=1).network == found.network
    assert audit(lambda side: Sized(size=side), [13], channels=1).sizes[0].decision == "exact"
    with pytest.raises(UserError, match=r"is a int; it must be a torch\.nn\.Module"):
        audit(3, [13])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("red\x1b[31m\nand more"), "ValueError: red\\x1b[31m"),
        (SystemExit("too\nmany"), "it calls sys.exit(too)"),
        (SystemExit(), "it calls sys.exit()"),
        (KeyError(), "KeyError: without a word"),
    ],
)
def test_what_an_error_says_is_one_line_that_can_be_shown(error: BaseException, told: str) -> None:
    assert said(error) == told
