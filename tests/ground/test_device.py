"""What a device is asked to do at once."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import torch

from gcnnbench import device as device_module
from gcnnbench.device import DETERMINISTIC, arithmetic, describe, scoring_batch, send


@pytest.mark.parametrize(
    ("device", "size", "images"),
    [("cpu", 28, 64), ("cpu", 225, 64), ("cuda", 28, 2048), ("cuda", 33, 1474), ("mps", 96, 174), ("cuda", 225, 128)],
)
def test_a_gpu_scores_as_many_pixels_at_once_and_a_cpu_as_many_images(device: str, size: int, images: int) -> None:
    assert scoring_batch(torch.device(device), size) == images


PROCESSOR = """\
processor\t: {number}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: {model}
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu vme

"""


def test_processors_of_one_name_and_another_generation_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that a cloud sells as AMD EPYC train to other bits."""
    monkeypatch.setattr(device_module, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    told = []
    for model in (1, 17):
        device_module.CPUINFO.write_text("".join(PROCESSOR.format(number=number, model=model) for number in range(2)))
        told.append(describe(torch.device("cpu")))
    assert told[0] == "AMD EPYC (family 25, model 1, stepping 1, AVX2; 2 cores)"
    assert told[1] == "AMD EPYC (family 25, model 17, stepping 1, AVX2; 2 cores)"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert "stepping 1, AVX512; 2 cores" in describe(torch.device("cpu"))


def test_a_processor_is_described_where_the_system_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "CPUINFO", Path("no such file"))
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert describe(torch.device("cpu")).startswith("riscv64 (")


def test_what_is_sent_to_a_gpu_goes_through_pinned_memory_and_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []

    def pinned(values: torch.Tensor) -> torch.Tensor:
        told.append("pinned")
        return values

    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch.Tensor, "to", lambda *given, **options: told.append((given[1:], options)))
    send(torch.zeros(2), torch.device("cuda"))
    assert told == ["pinned", ((torch.device("cuda"),), {"non_blocking": True})]


def test_what_is_sent_to_where_it_is_stays_itself() -> None:
    values = torch.rand(3)
    assert send(values, torch.device("cpu")) is values


def test_arithmetic_of_a_gpu_is_deterministic_and_gives_all_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    threads = torch.get_num_threads()
    with arithmetic(torch.device("cpu"), "fp32", 1):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
        assert not torch.are_deterministic_algorithms_enabled()
    with arithmetic(torch.device("cuda"), "tf32", 1):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cuda.matmul.allow_tf32
        assert not DETERMINISTIC.fill_uninitialized_memory
    assert DETERMINISTIC.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_num_threads() == threads


def test_arithmetic_gives_back_a_determinism_that_only_warns() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with arithmetic(torch.device("cpu"), "fp32", 1):
            pass
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_half_precision_reads_weights_anew_in_every_step() -> None:
    """Autocast keeps its casts of weights until it ends, and an epoch would train on those of its first step."""
    layer, images = torch.nn.Linear(2, 1, bias=False), torch.ones(1, 2)
    with arithmetic(torch.device("cpu"), "bf16", 1):
        for weight in (1.0, 2.0):
            with torch.no_grad():
                layer.weight.fill_(weight)
            assert float(layer(images).detach()) == 2 * weight
