"""A file is there whole or not at all; what killed writers leave is swept; what is no plain file is not read."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gcnnbench import disk
from gcnnbench.disk import require_writable, sweep, whole_file, whole_files, write_whole
from gcnnbench.errors import told
from gcnnbench.plain_files import read_plain
from tests.full_disk import files_in, files_of_at_most


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


@pytest.mark.parametrize("length", [2000, 200_000], ids=["in its buffer", "beyond its buffer"])
def test_a_disk_that_fills_while_writing_is_told_with_the_place_and_the_remedy(tmp_path: Path, length: int) -> None:
    """Also where the last bytes are written as the file is closed."""
    path = tmp_path / "record.json"
    write_whole(path, b"old")
    with files_of_at_most(1000), pytest.raises(OSError, match="cannot be written") as wrong:
        write_whole(path, bytes(length))
    assert files_in(tmp_path) == {"record.json": b"old"}
    why = "cannot be written (File too large); raise the limit on a file's size (ulimit -f)"
    assert told(wrong.value) == f"{path}: {why}, or name another place"


@pytest.mark.parametrize(("number", "what"), [(errno.ENOSPC, "make room there"), (errno.EDQUOT, "within the quota")])
def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    writers: list[Callable[[], None]] = [
        lambda: write_whole(tmp_path / "record.json", b"new"),
        lambda: require_writable(tmp_path / "a" / "b"),
    ]
    for write in writers:
        with pytest.raises(OSError, match=what):
            write()
    assert files_in(tmp_path) == {}


def test_files_that_belong_together_are_all_written_or_none_is(tmp_path: Path) -> None:
    old = {tmp_path / name: name.encode() for name in ("a", "b")}
    with whole_files(old, tmp_path / "tmp"):
        assert not (tmp_path / "a").exists()
    assert files_in(tmp_path) == {"a": b"a", "b": b"b"}
    ran = False
    for large in ("a", "b"):
        new = {path: bytes(2000 if path.name == large else 10) for path in old}
        too_large = pytest.raises(OSError, match="File too large")
        with files_of_at_most(1000), too_large as wrong, whole_files(new, tmp_path / "tmp"):
            ran = True
        assert wrong.value.filename == str(tmp_path / large)
        assert files_in(tmp_path) == {"a": b"a", "b": b"b"}
    assert not ran


def test_a_place_is_tried_without_leaving_anything(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    require_writable(tmp_path / "new", tmp_path / "a" / "b" / "c", tmp_path / "file")
    for path, said in (
        (tmp_path, "it is a directory, and a file is to be written in its place; name another place"),
        (tmp_path / "file" / "x" / "y", "it is no directory, and one is needed in its place"),
        (Path(os.devnull), "it is no plain file, and a file is to be written in its place"),
    ):
        with pytest.raises(OSError, match=said):
            require_writable(tmp_path / "new", path)
    with files_of_at_most(1000), pytest.raises(OSError, match="nothing can be written in this directory"):
        require_writable(tmp_path / "new")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "file"]


def test_a_device_is_not_replaced_by_a_file() -> None:
    with pytest.raises(OSError, match="it is no plain file"):
        write_whole(Path(os.devnull), b"lost")
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no name for stdout")
def test_the_name_of_stdout_is_not_replaced_where_stdout_is_a_file() -> None:
    """As pytest has it; root could write in /dev."""
    with pytest.raises(OSError, match="it is no plain file"):
        require_writable(Path("/dev/stdout"))


def test_a_disk_that_turns_read_only_is_told_with_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written aside stays there then, and hides nothing of it."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    path = tmp_path / "record.json"
    with pytest.raises(OSError, match="cannot be written") as wrong:
        write_whole(path, b"new")
    assert told(wrong.value) == f"{path}: cannot be written (Read-only file system); name another place"


def test_an_error_of_what_is_read_meanwhile_is_not_one_of_the_file_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as wrong, whole_file(tmp_path / "new"):
        (tmp_path / "source").read_bytes()
    assert wrong.value.filename == str(tmp_path / "source")
    assert files_in(tmp_path) == {}
