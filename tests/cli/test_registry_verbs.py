"""The frame of the command line and the verbs that show the registry, driven as a user drives them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import gcnnbench as package
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.registry import Registry
from gcnnbench.cli import app, main
from gcnnbench.cli.card_background import CardBackground
from gcnnbench.cli.cards import describe
from gcnnbench.cli.lazy_group import function_at
from gcnnbench.cli.options import default_data, default_results
from gcnnbench.errors import UserError

STUDY = Path(__file__).parents[2] / "docs" / "studies" / "biased-corners-grey.yaml"
RIGHT = Path(__file__).parents[1] / "cards" / "right"
HEAVY = ("torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib", "h5py", "e2cnn", "PIL")


@pytest.fixture
def mynet(tmp_path: Path) -> Path:
    shutil.copytree(RIGHT / "mynet", tmp_path / "mynet")
    (tmp_path / "mynet" / "model.py").touch()
    return tmp_path / "mynet"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["show", "p4cnn"], ["schema"]])
def test_verbs_that_need_no_torch_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom gcnnbench.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1] == "[]"
    assert ended.stdout


def test_a_verb_reads_no_other_verbs_modules_and_help_all() -> None:
    code = (
        "import sys\nfrom gcnnbench.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    print(*sys.modules, file=sys.stderr)"
    )
    verbs = {f"gcnnbench.cli.{place.partition(':')[0]}" for place in [*app.VERBS.values(), *app.VERIFY.values()]}

    def read(*words: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        return verbs.intersection(done.stderr.split())

    assert read("list") == {"gcnnbench.cli.card_verbs"}
    assert read("--help") | read("verify", "--help") == verbs
    assert read("lisst") == set()


def test_every_verb_has_help_and_says_what_it_does(gcnnbench: Any) -> None:
    code, out, _ = gcnnbench("--help")
    assert code == 0
    for name, place in app.VERBS.items():
        assert f"\n  {name} " in out
        assert function_at(place).__doc__
        code, help_text, _ = gcnnbench(name, "-h")
        assert (code, "Usage: gcnnbench " + name in help_text) == (0, True)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("verify", "claims", "--benchmark", "mnist-upright", "--benchmark", "mnist-uniform"), "--benchmark"),
        (("run", "quickstart", "--dry-run", "--seeds", "0", "--seeds=1"), "--seeds"),
        (("list", "--write", "a.md", "-h", "--write", "b.md"), None),
        (("show", "p4cnn", "--include", str(STUDY), "--include", str(STUDY)), None),
    ],
)
def test_no_value_of_an_option_is_lost(gcnnbench: Any, words: tuple[str, ...], option: str | None) -> None:
    code, _, err = gcnnbench(*words)
    told = f"{option} stands 2 times; it takes one value, give it once"
    assert (code, told in err) == ((2, True) if option else (0, False))


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "gcnnbench", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == f"gcnnbench {package.__version__}\n"


def test_list_shows_every_card_within_eighty_columns(gcnnbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    registry = Registry.load()
    code, out, err = gcnnbench("list")
    assert (code, err) == (0, "")
    for name in [*registry.models, *registry.datasets, *(card.full_name for card in registry.benchmarks.values())]:
        assert f"\n| {name} " in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_benchmarks_are_listed_by_what_they_are_for(gcnnbench: Any) -> None:
    registry = Registry.load()
    _, out, _ = gcnnbench("list", "benchmarks")
    groups = out.split("benchmarks for ")[1:]
    assert [group.split(":")[0] for group in groups] == ["claims", "inference", "a first look"]
    for name, group in zip(("mnist-upright", "cifar10-air", "quickstart"), groups, strict=True):
        assert f"\n| {registry.benchmark(name).full_name} " in group
    assert all(card.purpose for card in registry.benchmarks.values())


def test_list_in_json_is_one_document(gcnnbench: Any) -> None:
    _, out, _ = gcnnbench("list", "--format", "json")
    listed = json.loads(out)
    assert {card_files: len(rows) for card_files, rows in listed.items()} == {
        "models": len(Registry.load().models),
        "datasets": len(Registry.load().datasets),
        "benchmarks": len(Registry.load().benchmarks),
    }
    _, out, _ = gcnnbench("list", "models", "--format", "json")
    assert json.loads(out) == {"models": listed["models"]}


def test_list_takes_models_from_elsewhere(gcnnbench: Any, mynet: Path) -> None:
    _, out, _ = gcnnbench("list", "models", "--include", str(mynet))
    assert "\n| mynet " in out


def test_show_tells_all_that_a_card_says() -> None:
    registry = Registry.load()
    for kind, cards in (("model", registry.models), ("dataset", registry.datasets), ("benchmark", registry.benchmarks)):
        for card in cards.values():
            digests = dict.fromkeys(getattr(card, "entries", ()), "0" * 64)
            out = describe(registry, kind, card, CardBackground((), (), digests))
            told = " ".join(out.split())
            assert " ".join(card.summary.split()) in told
            assumed = [item.because for item in getattr(card, "assumptions", ())]
            for text in (*getattr(card, "deviations", ()), *assumed):
                assert " ".join(text.split()) in told
            for source in card.sources:
                assert registry.bibliography[source.key] in out
            prose = out.partition("\n@")[0].splitlines()
            assert [
                line for line in prose if len(line) > 80 and not line.startswith("card ") and "http" not in line
            ] == []


def test_show_tells_what_was_run_and_what_is_claimed(gcnnbench: Any) -> None:
    _, out, _ = gcnnbench("show", "quickstart")
    assert re.search(r"p4cnn@11[ |]+p4[ |]+approximate[ |]+0, 1, 2[ |]+6b5864dd75cc", out)
    _, out, _ = gcnnbench("show", "p4cnn")
    assert re.search(r"quickstart@1[ |]+p4cnn@12[ |]+0, 1, 2[ |]+24,810[ |]+4,429,540", out)
    _, out, _ = gcnnbench("show", "pcam-veeling")
    assert re.search(r"veeling2018: pcam-p4m-auc[ |]+auc[ |]+89\.8 \\\| 96\.3", out)
    _, out, _ = gcnnbench("show", "rotmnist")
    assert "of the copy" in out
    assert "Rotation by one angle for each image, uniform from 0° to 360°" in " ".join(out.split())
    _, out, _ = gcnnbench("show", "quickstart", "--results", "nowhere", "--format", "json")
    assert json.loads(out)["runs"] == []


def test_show_in_json_is_the_card(gcnnbench: Any) -> None:
    _, out, _ = gcnnbench("show", "quickstart@1", "--format", "json")
    told = json.loads(out)
    assert BenchmarkCard.model_validate_json(json.dumps(told["card"])) == Registry.load().benchmark("quickstart")
    assert set(told) == {"kind", "card", "bibtex", "runs", "claims", "digests", "protocol"}
    assert set(told["digests"]) == set(told["card"]["entries"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "quickstrt"], "there is no card 'quickstrt'; did you mean quickstart?"),
        (["show", "zzz"], "there is no card 'zzz'; see: gcnnbench list"),
        (["show", "quickstart@9"], "quickstart@9: the registry has quickstart@"),
        (["validate", "no/such/folder"], "no/such/folder: no such file or folder"),
        (["list", "--include", "no/such/folder"], "no/such/folder: no such file or folder"),
    ],
)
def test_a_users_mistake_ends_with_two_and_one_line(gcnnbench: Any, arguments: list[str], message: str) -> None:
    code, out, err = gcnnbench(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["lst"], ["list", "modles"], ["show"], ["list", "--format", "yaml"], ["--wrong"]]
)
def test_wrong_usage_ends_with_two(gcnnbench: Any, arguments: list[str]) -> None:
    code, out, err = gcnnbench(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: gcnnbench" in err
    assert "Traceback" not in err


def test_an_interruption_ends_with_130(gcnnbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gcnnbench.cards.registry.Registry.load", interrupted)
    code, out, err = gcnnbench("list")
    assert (code, out, err) == (130, "", "interrupted\n")


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gcnnbench.cards.registry.Registry.load", faulty)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_validate_counts_what_it_checked(gcnnbench: Any, mynet: Path) -> None:
    registry = Registry.load()
    claims, protocols = (len(list((REGISTRY / name).glob("*.yaml"))) for name in ("claims", "protocols"))
    known = (registry.models, registry.datasets, registry.benchmarks, registry.superseded)
    cards = sum(map(len, known)) + claims + protocols
    code, out, err = gcnnbench("validate")
    assert (code, err) == (0, "")
    assert out.startswith(f"{cards} cards checked, no errors: {len(registry.models)} models, ")
    assert f" {claims} claims cards, {protocols} protocols; " in out
    code, out, _ = gcnnbench("validate", str(mynet))
    assert out.startswith(f"{cards + 1} cards checked, no errors")


def test_validate_shows_all_errors_of_all_files(
    gcnnbench: Any, mynet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (mynet / "model.yaml").read_text(encoding="utf-8")
    (mynet / "model.yaml").write_text(text.replace("planes: 10", "planes: 1e1").replace("group: p4", "group: p5"))
    trial = (RIGHT / "trial.yaml").read_text(encoding="utf-8")
    (tmp_path / "trial.yaml").write_text(trial.replace("seeds: 3", "seeds: 0"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code, out, err = gcnnbench("validate", str(mynet), "trial.yaml")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == [
        "mynet/model.yaml:7:8",
        "mynet/model.yaml:11:11",
        "trial.yaml:40:8",
    ]
    assert lines[-1].startswith("3 errors in 2 of ")


def test_validate_reads_the_claims_cards(gcnnbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gcnnbench.cards.reading import CardsError, Finding

    def wrong(_: Registry) -> None:
        raise CardsError([Finding(Path("claims.yaml"), 3, 4, "claims[0]", "there is no tolerance 'x'")])

    def also_wrong(_: Registry) -> None:
        raise CardsError([Finding(Path("protocol.yaml"), 1, 2, "tables[0]", "there is no item 'y'")])

    _, right, _ = gcnnbench("validate")
    monkeypatch.setattr("gcnnbench.claims.reading.read_claims", wrong)
    monkeypatch.setattr("gcnnbench.claims.protocol_tables.read_protocols", also_wrong)
    code, out, err = gcnnbench("validate")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "claims.yaml:3:4: claims[0]: there is no tolerance 'x'",
        "protocol.yaml:1:2: tables[0]: there is no item 'y'",
        f"2 errors in 2 of {right.partition(' checked')[0]}",
    ]


@pytest.mark.parametrize(("exact", "approximate", "code"), [(16, 15, 0), (15, 16, 1)])
def test_validate_audits_what_models_claim(
    gcnnbench: Any, mynet: Path, exact: int, approximate: int, code: int
) -> None:
    p4cnn = Registry.load().folder("model", "p4cnn")
    shutil.copy(p4cnn / "model.py", mynet / "model.py")
    text = (mynet / "model.yaml").read_text(encoding="utf-8").replace("  widths: [4, 7, 14]\n", "")
    text = text.replace("[28]", f"[{exact}]").replace("[27, 29]", f"[{approximate}]")
    (mynet / "model.yaml").write_text(text, encoding="utf-8")
    report = mynet.parent / "report.xml"
    ended, out, err = gcnnbench("validate", str(mynet), "--audit", "--junit", str(report))
    assert ended == code
    (suite,) = ElementTree.parse(report).iter("testsuite")
    assert suite.get("failures") == str(code)
    if code:
        assert "mynet at 15 stands in exact_at, but the audit finds it approximate" in err
        assert "mynet at 16 stands in approximate_at, but the audit finds it exact" in err
    else:
        assert "models audited: 1, at 2 claimed sizes, all as claimed" in out


def test_an_audit_of_nothing_is_an_error(gcnnbench: Any, tmp_path: Path) -> None:
    shutil.copy(RIGHT / "trial.yaml", tmp_path / "trial.yaml")
    code, _, err = gcnnbench("validate", str(tmp_path), "--audit")
    assert (code, err) == (2, "no model's card is at these paths, and nothing audited is nothing right\n")


def test_validate_of_nothing_is_an_error(gcnnbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gcnnbench.cards.card_files import CardFiles

    monkeypatch.setattr("gcnnbench.cards.registry.survey", lambda _: CardFiles())
    code, out, err = gcnnbench("validate")
    assert (code, out) == (2, "")
    assert "no card was found" in err


@pytest.mark.parametrize("kind", ["model", "dataset", "benchmark", "claims"])
def test_schema_is_one_json_schema(gcnnbench: Any, kind: str) -> None:
    _, out, _ = gcnnbench("schema", kind)
    schema = json.loads(out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"source" if kind == "claims" else "name", "title"} <= set(schema["required"])
    _, out, _ = gcnnbench("schema")
    assert json.loads(out)[kind] == schema


def test_directories_have_sensible_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(package.__file__).resolve().parents[2]
    in_checkout = (checkout / "pyproject.toml").is_file()
    assert default_results() == (checkout / "results" if in_checkout else Path("results"))
    assert default_data().is_absolute()
    assert "gcnnbench" in default_data().parts


def test_every_error_is_a_user_error() -> None:
    """The frame prints these and nothing else; a card error must be one of them."""
    from gcnnbench.cards.reading import CardsError

    assert issubclass(CardsError, UserError)


def test_show_of_an_entry_is_of_its_size(gcnnbench: Any) -> None:
    _, out, _ = gcnnbench("show", "p4cnn@31")
    assert re.search(r"^at 31 +nothing stated; measure it: gcnnbench audit p4cnn@31$", out, re.MULTILINE)
    assert "mnist-upright@2" not in out
    _, out, _ = gcnnbench("show", "p4cnn@12", "--format", "json")
    assert (json.loads(out)["size"], json.loads(out)["equivariance"]) == (12, "exact")
    for wrong, said in (("p4cnn@x", "write SLUG@SIZE"), ("digits@8", "write digits"), ("p4cnn@3", "too small")):
        code, _, err = gcnnbench("show", wrong)
        assert code == 2
        assert said in err
