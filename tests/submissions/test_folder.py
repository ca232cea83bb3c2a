"""A folder from elsewhere is read without trusting it, and all that is wrong with it is said at once."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.scaffold import new
from tests.submissions.contained import needs_isolation

if TYPE_CHECKING:
    from tests.submissions.conftest import Edit


def refused(folder: Path, mini: Path) -> dict[str, str]:
    """What each check found."""
    with pytest.raises(Refused) as caught:
        read_submission(folder, [mini])
    found = caught.value.findings
    return {check: "\n".join(str(one) for one in found if one.check == check) for check in {one.check for one in found}}


def test_the_scaffold_is_right(folder: Path, mini: Path) -> None:
    submission = read_submission(folder, [mini])
    assert submission.entries == (("mini", "mynet@12"),)
    assert sorted(submission.files) == ["README.md", "model.py", "model.yaml"]
    assert "mynet@12" in submission.registry.benchmark("mini").entries


def test_a_plain_scaffold_shows_how_a_symmetry_is_claimed(tmp_path: Path) -> None:
    card = new("plain", "torch", tmp_path) / "model.yaml"
    claims = re.sub("^# (exact_at|approximate_at)", r"\1", card.read_text(), flags=re.MULTILINE)
    card.write_text(claims.replace("group: trivial", "group: p4"))
    read = read_submission(card.parent).card
    assert (read.exact_at, read.approximate_at) == ((12,), (11,))


def test_what_python_leaves_behind_is_passed_over(folder: Path, mini: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"\0")
    assert "model.py" in read_submission(folder, [mini]).files


def test_nothing_there_is_wrong_usage(tmp_path: Path) -> None:
    for nothing in ("mynet", "My Net", "."):
        with pytest.raises(UserError, match=r"no such folder; write a starting point with: gcnnbench new NAME$"):
            read_submission(tmp_path / "nowhere" / nothing)
    with pytest.raises(Refused, match="holds no file; write a starting point with: gcnnbench new NAME"):
        read_submission(tmp_path)


def test_an_empty_folder_and_a_file_are_refused(tmp_path: Path, mini: Path) -> None:
    (tmp_path / "mynet").mkdir()
    assert "holds no file" in refused(tmp_path / "mynet", mini)["empty-folder"]
    (tmp_path / "file").touch()
    assert "is a file" in refused(tmp_path / "file", mini)["not-a-folder"]


def test_everything_is_said_at_once(folder: Path, mini: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("elsewhere")
    (folder / "helper.py").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe.py")
    (folder / "weights.pt").write_bytes(b"x")
    (folder / "notes.docx").write_bytes(b"x")
    (folder / "README.md").write_bytes(b"\xff\xfe")
    (folder / "more.py").write_bytes(b"#" * 1_000_001)
    (folder / "model.py").unlink()
    found = refused(folder, mini)
    assert "helper.py is a link" in found["symlink"]
    assert "pipe.py is no plain file" in found["special-file"]
    assert "weights.pt" in found["pickle"]
    assert "notes.docx" in found["unexpected-file"]
    assert "README.md is not UTF-8 (byte 0)" in found["encoding"]
    assert "more.py has 1,000,001 bytes" in found["size-limit"]
    assert "model.py is missing" in found["missing-file"]


def test_a_folder_in_it_and_a_linked_folder_are_refused(folder: Path, mini: Path, tmp_path: Path) -> None:
    (folder / "layers").mkdir()
    (folder / "layers" / "conv.py").touch()
    (tmp_path / "outside").mkdir()
    (folder / "linked").symlink_to(tmp_path / "outside")
    found = refused(folder, mini)
    assert "layers/conv.py" in found["unexpected-file"]
    assert "linked is a link" in found["symlink"]


@pytest.mark.parametrize("content", [pickle.dumps({"w": [1.0]}), b"PK\x03\x04 as torch.save writes"])
def test_a_pickle_by_another_name_is_never_read(folder: Path, mini: Path, edit: Edit, content: bytes) -> None:
    edit("trained_on", "MNIST")
    (folder / "weights.safetensors").write_bytes(content)
    assert "begins as a pickle does; it was not read" in refused(folder, mini)["pickle"]


def test_weights_and_what_they_were_trained_on_belong_together(folder: Path, mini: Path, edit: Edit) -> None:
    safetensors.torch.save_file({"w": torch.zeros(3)}, folder / "weights.safetensors")
    assert "does not say what it was trained on" in refused(folder, mini)["weights"]
    edit("trained_on", "the digits that mini does not test")
    assert read_submission(folder, [mini]).trained_elsewhere
    (folder / "weights.safetensors").write_bytes(b"no tensors")
    assert "no safetensors file" in refused(folder, mini)["weights"]
    (folder / "weights.safetensors").unlink()
    assert "there are no weights" in refused(folder, mini)["weights"]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("enters", None, "enters no benchmark, and nothing tried is nothing shown"),
        ("enters", [{"benchmark": "quikstart", "sizes": [12]}], "there is no benchmark 'quikstart'; did you mean"),
        ("enters", [{"benchmark": "mini", "sizes": [14]}], "size 14 stands in none of exact_at"),
        ("enters", [{"benchmark": "mini", "sizes": [12]}, {"benchmark": "mini", "sizes": [11]}], "mini stands twice"),
        ("enters", [{"benchmark": "mini", "sizes": [11]}], "does not state count and macs for mini"),
        ("parameters", [{"channels": 1, "classes": 10, "size": 12, "count": 7}], "does not state macs for mini"),
        ("name", "another", "'another' must be mynet, as the folder is called"),
        ("colour", "red", "unknown key"),
    ],
)
def test_a_card_that_does_not_say_enough(
    folder: Path, mini: Path, edit: Edit, key: str, value: object, told: str
) -> None:
    edit(key, value)
    assert told in refused(folder, mini)["card"]


def test_a_data_set_without_a_canonical_copy_cannot_be_entered(folder: Path, mini: Path, edit: Edit) -> None:
    edit("exact_at", [12, 28])
    edit("enters", [{"benchmark": "rotmnist", "sizes": [28]}])
    assert "there is no canonical copy of rotmnist" in refused(folder, mini)["card"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("My_Net", "small letters and digits"), ("p4cnn", "is taken by"), ("there", "is there already")],
)
def test_new_refuses_a_name_that_will_not_do(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=told):
        new(name, "torch", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_command_prints_every_finding_and_ends_with_1(folder: Path, mini: Path, edit: Edit) -> None:
    edit("enters", None)
    (folder / "weights.pkl").touch()
    result = CliRunner().invoke(build_app(), ["submit", str(folder), "--check", "--include", str(mini)])
    assert result.exit_code == 1
    assert "pickle: weights.pkl" in result.stderr
    assert "card: model.yaml enters no benchmark" in result.stderr
    assert "refused, 2 things are wrong" in result.stderr


@needs_isolation
def test_four_planted_faults_are_named_at_once(folder: Path, mini: Path, edit: Edit) -> None:
    """Of the folder, of the card, of the network's size, and of what it does: none hides another."""
    (folder / "notes.docx").write_bytes(b"x")
    edit("enters", [{"benchmark": "mini", "sizes": [12, 11]}])
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(re.sub(r"count: \d+", "count: 7", text))
    model = (folder / "model.py").read_text()
    (folder / "model.py").write_text(model.replace("def build(", CHEAT + "\n\ndef build(", 1))
    result = CliRunner().invoke(build_app(), ["submit", str(folder), "--check", "--include", str(mini)])
    assert result.exit_code == 1
    assert "unexpected-file: notes.docx" in result.stderr
    assert "card: model.yaml does not state count and macs for mini" in result.stderr
    assert "parameters: the network has" in result.stderr
    assert "integrity: the code changed torch.nn.functional.cross_entropy" in result.stderr


def test_a_wrong_card_hides_nothing_that_can_be_read(folder: Path, mini: Path, edit: Edit) -> None:
    """A file, the card, the benchmark that it enters, and a construct; that nothing was run is said."""
    (folder / "weights.pt").write_bytes(b"x")
    edit("group", "p5")
    edit("enters", [{"benchmark": "quikstart", "sizes": [12]}])
    model = (folder / "model.py").read_text()
    (folder / "model.py").write_text(model.replace("def build(", "import os\n\n\ndef build(", 1))
    result = CliRunner().invoke(build_app(), ["submit", str(folder), "--check", "--include", str(mini)])
    assert result.exit_code == 1
    assert "pickle: weights.pt is a kind of file" in result.stderr
    assert "group: 'p5' is unknown here" in result.stderr
    assert "enters[0].benchmark: there is no benchmark 'quikstart'; did you mean quickstart?" in result.stderr
    assert "imports os" in result.stderr
    assert "unchecked: the network was not tried; mend the card first" in result.stderr


@needs_isolation
def test_the_network_of_a_wrong_card_is_tried_as_far_as_it_is_right(folder: Path, mini: Path, edit: Edit) -> None:
    """Mistakes of form, of the rules of cards, of what is referred to, and of the network described, in one round."""
    (folder / "notes").mkdir()
    edit("group", "p5")
    edit("licence", 7)
    edit("authers", ["Somebody"])
    edit("sources", [{"key": "nobody-1999"}])
    edit("enters", [{"benchmark": "quikstart", "sizes": [12]}, {"benchmark": "mini", "sizes": [12]}])
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(re.sub(r"count: \d+", "count: 7", text))
    result = CliRunner().invoke(build_app(), ["submit", str(folder), "--check", "--include", str(mini)])
    assert result.exit_code == 1
    assert "empty-folder: notes holds no file; take it out" in result.stderr
    assert "group: 'p5' is unknown here" in result.stderr
    assert "licence: 7 must be text" in result.stderr
    assert "authers: unknown key; did you mean authors?" in result.stderr
    assert "sources[0].key: 'nobody-1999' is not in references.bib" in result.stderr
    assert "enters[0].benchmark: there is no benchmark 'quikstart'; did you mean quickstart?" in result.stderr
    assert "and the card says 7; state count: " in result.stderr
    assert "refused, 7 things are wrong" in result.stderr


@pytest.mark.parametrize(
    ("key", "value"), [("hyperparameters", {"planes": None}), ("parameters", []), ("enters", [{"benchmark": "mini"}])]
)
def test_a_card_that_does_not_say_which_network_is_meant_is_not_tried(
    folder: Path, mini: Path, edit: Edit, key: str, value: object
) -> None:
    edit(key, value)
    edit("sources", [{"key": "nobody-1999"}])
    assert refused(folder, mini)["unchecked"].endswith("mend the card first")


CHEAT = """
import torch.nn.functional as _functional
_functional.cross_entropy = lambda *arguments, **options: 0 * _functional.nll_loss(*arguments, **options)
"""
