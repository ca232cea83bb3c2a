"""Commands that verbs advise are whole: they carry on with the options that the user gave and parse as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app, main
from gcnnbench.errors import UserError

ROOT = Path(__file__).parents[2]
ENTRY = "quickstart@1/p4cnn@12"


def printed(*words: str | Path) -> str:
    """All that a verb prints, and its error."""
    done = CliRunner().invoke(build_app(), [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit | UserError), done.exception
    return f"{done.stdout}\n{done.stderr}\n{done.exception if isinstance(done.exception, UserError) else ''}"


def advice(text: str, verb: str) -> dict[str, Any]:
    """What the first advised command of that verb means to its parser; it must be one."""
    found = re.search(rf"gcnnbench ({verb} [^;|\n]*)", text)
    assert found is not None, text
    words = shlex.split(found[1])
    here: Any = get_command(build_app())
    for word in verb.split():
        words.remove(word)
        here = here.commands[word]
    values: dict[str, Any] = here.make_context(verb, words).params
    return values


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a blank in its name, with a card of the user's in it."""
    folder = tmp_path / "my own"
    folder.mkdir()
    text = (ROOT / "benchmark/gcnnbench/registry/benchmarks/quickstart.yaml").read_text("utf-8")
    (folder / "mine.yaml").write_text(re.sub(r"(?m)^name: quickstart$", "name: mine", text), "utf-8")
    return folder


NOTHING = (
    "leaderboard mine",
    "explain mine p4cnn@12",
    "explain mine p4cnn@12 --seed 7",
    "compare mine/p4cnn@12 mine/p4cnn@13",
    "figure curve --benchmark mine",
)


@pytest.mark.parametrize("command", NOTHING)
def test_what_an_empty_board_advises_is_the_users_own(command: str, own: Path) -> None:
    words = command.split()
    values = advice(printed(*words, "--results", own / "none", "--include", own / "mine.yaml"), "run")
    assert values["benchmarks"] == ["mine"]
    assert (values["results"], values["include"]) == (own / "none", [own / "mine.yaml"])
    assert values["seeds"] == ("7" if "--seed" in words else None)


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("explain quickstart p4cnn@12", "run"),
        ("export eval-results quickstart p4cnn@12", "run"),
        ("leaderboard quickstart", "run"),
        ("verify claims --paper cohen2016", "run"),
    ],
)
def test_the_command_as_it_is_called_advises_the_same(
    words: str, verb: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*words.split(), "--results", str(own)])
    told = capsys.readouterr()
    assert advice(told.out + told.err, verb)["results"] == own


@pytest.mark.parametrize("form", ["md", "json"])
def test_a_claim_that_is_not_run_says_how(form: str, tmp_path: Path) -> None:
    results, data = tmp_path / 'a "b"', tmp_path / "data"
    words = ("verify", "claims", "--paper", "cohen2016", "--results", results, "--data", data, "--format", form)
    told = printed(*words)
    if form == "json":
        told = "\n".join(row["next"] for row in json.loads(told)["rows"])
    values = advice(told, "run")
    assert (values["results"], values["data"]) == (results, data)


def test_a_gap_in_the_seeds_says_what_to_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / ENTRY, tmp_path / ENTRY)
    (tmp_path / ENTRY / "seed-1.json").unlink()
    values = advice(printed("verify", "records", "--results", tmp_path), "run")
    assert (values["results"], values["seeds"], values["entries"]) == (tmp_path, "1", ["p4cnn@12"])


def test_the_rest_of_a_short_board_is_of_the_same_results(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / ENTRY, tmp_path / ENTRY)
    values = advice(printed("leaderboard", "quickstart", "--top", "1", "--results", tmp_path), "leaderboard")
    assert (values["benchmarks"], values["results"]) == (["quickstart@1"], tmp_path)


def test_why_something_was_assumed_is_shown_by_its_card(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / ENTRY, tmp_path / ENTRY)
    values = advice(printed("explain", "quickstart", "p4cnn@12", "--results", tmp_path), "show")
    assert (values["name"], values["results"]) == ("p4cnn", tmp_path)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("explain quickstart p4cnn@12 uprigt", "there is no metric 'uprigt'; did you mean upright?"),
        ("run quickstart --entry p4cn@12 --dry-run", "p4cn@12 is no entry of quickstart@1; did you mean p4cnn@12?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(words: str, meant: str) -> None:
    assert meant in " ".join(printed(*words.split()).split())


def test_a_folder_of_images_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = leaves()
    assert advice(printed("new", "my-leaves", "--images", images), "run")["data"] == Path("my-data")


@pytest.mark.parametrize("images", [".", "train/..", "../../link"])
def test_a_folder_of_images_is_found_under_the_name_of_the_data_set(
    images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = leaves().resolve()
    Path("link").symlink_to(folder)
    monkeypatch.chdir(folder)
    told = printed("new", "my-leaves", "--images", images, "--output", tmp_path)
    values = advice(told, "run")
    assert values["data"] / "my-leaves" == folder
    assert values["results"] == tmp_path / "my-results"
    told = printed("new", "other", "--images", images, "--output", tmp_path)
    assert "next, once the images lie in DIR/other: " in told
    assert advice(told, "run")["data"] == Path("DIR")
    assert "my-leaves would lie among the images; name another place" in printed("new", "my-leaves", "--images", ".")


def leaves() -> Path:
    """Images in a folder `my-leaves` of a folder here."""
    folder = Path("my-data/my-leaves")
    for part, kind in (("train", "rings"), ("train", "bars"), ("test", "rings"), ("test", "bars")):
        (folder / part / kind).mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / part / kind / "0.png")
    return folder


def test_what_does_not_verify_is_verified_where_it_lies(own: Path) -> None:
    shutil.copytree(ROOT / "results" / ENTRY, own / ENTRY)
    file = own / ENTRY / "seed-0.json"
    record = json.loads(file.read_text("utf-8"))
    record["metrics"]["accuracy.upright"] = 0.5
    file.write_text(json.dumps(record), "utf-8")
    told = printed("export", "eval-results", "quickstart", "p4cnn@12", "--results", own)
    assert advice(told, "verify records")["results"] == own


def test_a_figures_command_is_the_users_own(own: Path) -> None:
    shutil.copytree(ROOT / "results" / ENTRY, own / ENTRY)
    words = ("figure", "curve", "--benchmark", "quickstart", "--output", own, "--results", own, "--format", "json")
    assert advice(json.loads(printed(*words))["command"], "figure")["results"] == own


def test_missing_files_are_fetched_where_they_were_sought(tmp_path: Path) -> None:
    words = ("run", "mnist-upright", "--data", tmp_path / "my data", "--results", tmp_path, "--seeds", "0")
    assert advice(printed(*words), "fetch")["data"] == tmp_path / "my data"


def test_what_comes_after_a_check_is_to_submit_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = printed("new", "mynet", "--output", tmp_path / "a b")
    assert advice(told, "submit")["path"] == tmp_path / "a b" / "mynet"
    monkeypatch.setattr("gcnnbench.submissions.checking.check_folder", lambda *_, **__: _Passed())
    monkeypatch.setattr("gcnnbench.submissions.checking.export_notes", lambda *_, **__: ())
    data, bundle = tmp_path / "data", tmp_path / "my.bundle"
    told = printed("submit", tmp_path / "a b" / "mynet", "--check", "--data", data, "--output", bundle, "--trust")
    values = advice(told, "submit")
    assert (values["path"], values["data"], values["output"]) == (tmp_path / "a b" / "mynet", data, bundle)
    assert values["trust"]
    assert not values["check"]


class _Passed:
    entries = (("quickstart", "mynet@12"),)


def test_nothing_is_added_that_was_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCNNBENCH_RESULTS", str(tmp_path))
    assert printed("leaderboard", "quickstart").strip().endswith("make some: gcnnbench run quickstart")
