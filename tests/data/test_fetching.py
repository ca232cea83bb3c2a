from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from urllib.error import URLError

import pytest
import torchvision.datasets.utils
from filelock import FileLock
from rich.filesize import decimal
from torchvision.datasets import MNIST

from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.data import fetching, mnist
from gcnnbench.data.files import faults
from gcnnbench.errors import UserError


class Server:
    """What stands in for the network: `torchvision.datasets.utils._urlretrieve` reads from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.down = False
        self.cut: int | None = None
        self.asked: list[str] = []

    def retrieve(self, url: str, filename: str | Path) -> None:
        self.asked.append(Path(url).name)
        if self.down:
            raise URLError("name resolution failed")
        Path(filename).write_bytes((self.folder / Path(url).name).read_bytes()[: self.cut])


def quiet(line: str) -> None:
    """Takes the progress nobody looks at."""


def stay(url: str, max_hops: int) -> str:
    """No redirections."""
    return url


@pytest.fixture
def server(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(mirror)
    resources = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(mirror.iterdir())]
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", stay)
    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", server.retrieve)
    return server


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path / "new" / "data"


def raw(folder: Path) -> Path:
    return folder / "MNIST" / "raw"


def test_a_download_says_the_space_first_and_is_verified(card: DatasetCard, empty: Path, server: Server) -> None:
    lines: list[str] = []

    def say(line: str) -> None:
        assert lines or not server.asked, "the space is said before anything is downloaded"
        lines.append(line)

    fetching.fetch(card, mnist, empty, say)
    assert faults(card, empty, content=True) == ()
    assert len(server.asked) == 4
    assert f"50.0 kB to download at most, 100.0 kB more on disk below {empty}" in lines[0]
    assert lines[-1] == "made-up: 4 files and 80 images verified"


def test_files_that_are_there_need_no_network(card: DatasetCard, data: Path, server: Server) -> None:
    server.down = True
    fetching.fetch(card, mnist, data, quiet)
    assert server.asked == []


def test_archives_put_there_by_hand_need_no_network(card: DatasetCard, empty: Path, server: Server) -> None:
    server.down = True
    shutil.copytree(server.folder, raw(empty))
    fetching.fetch(card, mnist, empty, quiet)
    assert server.asked == []
    assert faults(card, empty, content=True) == ()


def test_an_interrupted_download_goes_on_where_it_was(card: DatasetCard, empty: Path, server: Server) -> None:
    shutil.copytree(server.folder, raw(empty))
    archives = sorted(raw(empty).iterdir())
    archives[0].unlink()
    archives[1].write_bytes(archives[1].read_bytes()[:-1])
    (raw(empty) / archives[2].stem).write_bytes(b"half unpacked")
    fetching.fetch(card, mnist, empty, quiet)
    assert server.asked == [archives[0].name, archives[1].name]
    assert faults(card, empty, content=True) == ()


def test_what_another_process_downloads_is_waited_for(
    card: DatasetCard, empty: Path, data: Path, server: Server
) -> None:
    """A download that fails removes its half files: those of another process must not be among them."""
    empty.mkdir(parents=True)
    other = FileLock(empty / fetching.LOCK)
    other.acquire()

    def say(line: str) -> None:
        if "another process downloads" in line:  # and it ends well
            shutil.copytree(raw(data), raw(empty))
            other.release()

    fetching.fetch(card, mnist, empty, say)
    assert not other.is_locked
    assert server.asked == []
    fetching.fetch(card, mnist, empty, quiet)


@pytest.mark.parametrize("content", [b"", b"half of it", None])
def test_a_wrong_file_is_set_aside_and_replaced(
    card: DatasetCard, data: Path, server: Server, content: bytes | None
) -> None:
    path = raw(data) / "train-labels-idx1-ubyte"
    wrong = content if content is not None else path.read_bytes()[:-1] + b"\xff"
    path.write_bytes(wrong)
    lines: list[str] = []
    fetching.fetch(card, mnist, data, lines.append)
    assert faults(card, data, content=True) == ()
    assert path.with_name(path.name + ".altered").read_bytes() == wrong
    assert any(f"{path} is" in line and "set aside as train-labels-idx1-ubyte.altered" in line for line in lines)


def test_when_the_mirrors_are_down_it_says_what_to_do(card: DatasetCard, empty: Path, server: Server) -> None:
    server.down = True
    with pytest.raises(UserError) as raised:
        fetching.fetch(card, mnist, empty, quiet)
    message = str(raised.value)
    assert "made-up: the download failed" in message
    assert "name resolution failed" in message
    assert f"By hand (data directory {empty}): Put the four archives into MNIST/raw" in message
    assert message.endswith(f"Then run again, to verify them: gcnnbench fetch made-up --data {empty}")
    assert "\n" not in message


def test_an_archive_cut_short_by_the_server_is_refused(card: DatasetCard, empty: Path, server: Server) -> None:
    server.cut = 200
    with pytest.raises(UserError, match=r"the download failed.*File not found or corrupted.*By hand"):
        fetching.fetch(card, mnist, empty, quiet)
    server.cut = None
    fetching.fetch(card, mnist, empty, quiet)
    assert faults(card, empty, content=True) == ()


def test_what_came_is_checked_against_the_card(card: DatasetCard, empty: Path, server: Server) -> None:
    files = (card.files[0].model_copy(update={"md5": "0" * 32}), *card.files[1:])
    with pytest.raises(UserError, match=r"after the download .*train-images-idx3-ubyte is altered: its md5"):
        fetching.fetch(card.model_copy(update={"files": files}), mnist, empty, quiet)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_is_seen_before_the_download(
    card: DatasetCard, empty: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly_full(path: Path) -> Usage:
        assert path.exists(), "the file system is asked where the folder will stand"
        return Usage(10**9, 10**9 - 99_999, 99_999)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(
        UserError, match=r"needs 100\.0 kB more below .*, where 100\.0 kB are free; make room, or name another"
    ):
        fetching.fetch(card, mnist, empty, quiet)
    assert server.asked == []
    assert not empty.exists()


def test_a_disk_that_fills_while_downloading_keeps_no_half_of_a_file(
    card: DatasetCard, empty: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filling(folder: Path) -> None:
        mnist.fetch(folder)
        path = folder / card.files[0].path
        path.write_bytes(path.read_bytes()[:-1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    module = ModuleType("dataset")
    module.fetch, module.load = filling, mnist.load  # type: ignore[attr-defined]
    with pytest.raises(
        UserError, match=r"No space left on device, below .*make room there, or name another place"
    ) as wrong:
        fetching.fetch(card, module, empty, quiet)
    assert "By hand" not in str(wrong.value)
    assert [fault.what for fault in faults(card, empty, content=True)] == ["is missing"]
    fetching.fetch(card, mnist, empty, quiet)
    assert not list(empty.rglob(f"*{fetching.ASIDE}"))


def test_a_data_directory_that_cannot_be_written_is_told_before_the_download(
    card: DatasetCard, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(OSError, match="it is no directory, and one is needed in its place"):
        fetching.fetch(card, mnist, tmp_path / "data" / "below", quiet)
    assert server.asked == []


def test_files_that_stay_need_no_space_again(card: DatasetCard, data: Path, server: Server) -> None:
    lines: list[str] = []
    (raw(data) / "train-images-idx3-ubyte").unlink()
    fetching.fetch(card, mnist, data, lines.append)
    kept = sum(file.bytes or 0 for file in card.files if "train-images" not in file.path)
    assert f"{decimal(100_000 - kept)} more on disk" in lines[0]


def test_a_data_set_without_a_download_says_so(card: DatasetCard, empty: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded: .*train-images-idx3-ubyte is missing\. By hand"):
        fetching.fetch(card, ModuleType("entry"), empty, quiet)
