"""A file is there whole or not at all; what killed writers leave is swept; what is no plain file is not read."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gcnnbench import disk
from gcnnbench.disk import read_plain, sweep, whole_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_replaces_another_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "record.json"
    for content in (b"old", b"new"):
        write_whole(path, content, tmp_path / "work" / "tmp")
        assert path.read_bytes() == content
    assert names(tmp_path) == ["a/b/record.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_breaks_off_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "record.json"
    write_whole(path, b"old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", broken)
    else:
        monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["record.json"]


def test_the_folder_is_synced_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    replace, synced = Path.replace, disk.sync_folder

    def renamed(self: Path, target: Path) -> Path:
        told.append(f"rename {target.name}")
        return replace(self, target)

    def sync(folder: Path) -> None:
        told.append(f"sync {folder.name}")
        synced(folder)

    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(disk, "sync_folder", sync)
    write_whole(tmp_path / "a" / "b", b"")
    assert told == [f"sync {tmp_path.name}", "rename b", "sync a"]


def test_another_disk_for_temporary_files_is_gone_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, work = Path.replace, tmp_path / "tmp"

    def across(self: Path, target: Path) -> Path:
        if self.parent == work:
            raise OSError(18, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    write_whole(tmp_path / "a", b"content", work)
    assert (tmp_path / "a").read_bytes() == b"content"
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="locks of files that are open")
def test_what_a_killed_writer_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        from gcnnbench.disk import whole_file
        with whole_file(Path({str(tmp_path)!r}) / "record.json", Path({str(tmp_path)!r}) / "tmp") as file:
            file.write(b"half")
            file.flush()
            print("written", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert sweep(tmp_path / "tmp") == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(names(tmp_path)) == 1
        write_whole(tmp_path / "other.json", b"whole", tmp_path / "tmp")
    assert names(tmp_path) == ["other.json"]
    assert sweep(tmp_path / "nowhere") == 0


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with whole_file(path) as first, whole_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["record.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"123456")
    (tmp_path / "link").symlink_to(tmp_path / "large")
    for name, why in (("pipe", "no plain file"), ("folder", "irectory|plain"), ("large", "more than 5 bytes")):
        with pytest.raises(OSError, match=why) as found:
            read_plain(tmp_path / name, 5)
        assert Path(str(found.value.filename)).name == name
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "missing")
    assert read_plain(tmp_path / "link", 6) == b"123456"


def test_what_cannot_be_written_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the temporary file in it; a file that stands in a folder's place is named itself."""
    (tmp_path / "file").write_bytes(b"")
    for deeper in ("x", "x/y"):
        with pytest.raises(OSError, match="no directory, and one is needed in its place; name another") as wrong:
            write_whole(tmp_path / "file" / deeper, b"")
        assert wrong.value.filename == str(tmp_path / "file")

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    said = r"nothing can be written in this directory \(Permission denied\); name another place"
    for method, place in (("open", tmp_path / "x"), ("mkdir", tmp_path / "a" / "b" / "x")):
        monkeypatch.setattr(Path, method, refused)
        with pytest.raises(PermissionError, match=said) as wrong:
            write_whole(place, b"", tmp_path / "work" / "tmp" if method == "mkdir" else None)
        assert wrong.value.filename == str(tmp_path)
        monkeypatch.undo()
