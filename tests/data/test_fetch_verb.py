from __future__ import annotations

import socket
from pathlib import Path
from urllib.error import URLError

import pytest
import torchvision.datasets.utils
import typer
from typer.testing import CliRunner

from gcnnbench.cli.data_verbs import fetch
from gcnnbench.errors import UserError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(fetch)
    return app


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise URLError("the network is unreachable")

    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", refused)
    monkeypatch.setattr(socket, "create_connection", refused)


def test_embedded_digits_need_no_download(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["digits", "--data", str(tmp_path / "data")])
    assert result.exit_code == 0
    assert result.stdout == "digits: ready\n"
    assert "digits: comes with an installed package; 1,797 images verified" in result.stderr
    assert not (tmp_path / "data").exists()


def test_the_other_data_sets_are_fetched_though_one_fails(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mnist", "digits", "cifar10", "--data", str(tmp_path)])
    assert result.stdout == "digits: ready\n"
    assert "mnist: 11.6 MB to download at most, 66.5 MB more on disk below" in result.stderr
    assert "cifar10: 170.5 MB to download at most, 356.7 MB more on disk below" in result.stderr
    assert isinstance(result.exception, UserError)
    first, second = str(result.exception).splitlines()
    assert first.startswith("mnist: the download failed: ")
    assert "the network is unreachable" in first
    assert "Put train-images-idx3-ubyte.gz" in first
    assert second.startswith("cifar10: the download failed: ")
    assert "Put cifar-10-python.tar.gz" in second


def test_names_are_checked_before_anything_is_downloaded(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mnist", "mnits", "--data", str(tmp_path / "data")])
    assert isinstance(result.exception, UserError)
    assert "did you mean mnist?" in str(result.exception)
    assert result.stderr == ""
    assert not (tmp_path / "data").exists()
