"""The zoo: cards are read strictly, what is not here is said, verdicts agree with brute force and with the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gcnnbench.cards.reading import CardsError
from gcnnbench.cli import main
from gcnnbench.zoo.auditing import EXACT, ZooRow, audit_zoo
from gcnnbench.zoo.cards import FOLDER, ZooCard, read_zoo
from gcnnbench.zoo.text import page, summary
from tests.zoo.zoo_brute_force import agrees, listed

CARDS = {card.name: card for card in read_zoo()}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
SAMPLE = [
    ("published-entries", "p4cnn-cohen", 28, "exact"),
    ("published-entries", "p4cnn", 27, "approximate"),
    ("rrenet", "RREN C6 strict", 32, "not equivariant"),
    ("published-entries", "z2cnn-cohen", 28, "not exact"),
]


def only(card: str, network: str, size: int) -> ZooCard:
    """A card with one network at one size."""
    whole = CARDS[card]
    chosen = [
        one.model_copy(update={"sizes": (size,)}) for one in whole.networks if one.name == network and size in one.sizes
    ]
    return whole.model_copy(update={"networks": tuple(chosen)})


@pytest.mark.parametrize(("card", "network", "size", "verdict"), SAMPLE)
def test_a_sample_is_found_as_the_page_says_and_brute_force_agrees(
    card: str, network: str, size: int, verdict: str
) -> None:
    (row,) = audit_zoo([only(card, network, size)])
    assert row.verdict == verdict
    assert agrees(row.verdict, row.card, row.network, size)


def test_a_wrong_verdict_is_seen_by_brute_force() -> None:
    card = only("published-entries", "p4cnn", 27)
    assert not agrees("exact", card, card.networks[0], 27)


def test_the_page_holds_every_row_of_the_cards_and_no_other() -> None:
    wanted = [(card.name, one.name, size) for card in CARDS.values() for one in card.networks for size in one.sizes]
    shown = listed(PAGE.read_text())
    assert sorted((row.card, row.network, row.size) for row in shown) == sorted(wanted)
    assert len({(card, network) for card, network, _ in wanted}) >= 40
    for card, network, size, verdict in SAMPLE:
        (row,) = [one for one in shown if (one.card, one.network, one.size) == (card, network, size)]
        assert row.verdict == verdict
    decided = [row for row in shown if not row.verdict.startswith(("not here", "unknown", "inapplicable"))]
    assert len(decided) >= 60


def test_the_pages_summary_counts_its_rows() -> None:
    shown = [row for row in listed(PAGE.read_text()) if row.claimed.startswith("equivariant")]
    exact = sum(row.verdict in EXACT for row in shown)
    judged = [row for row in shown if not row.verdict.startswith(("not here", "unknown", "inapplicable"))]
    line = re.search(r"of (\d+) rows published as equivariant, (\d+) exact", PAGE.read_text())
    assert line is not None
    assert (int(line[1]), int(line[2])) == (len(judged), exact)


def test_what_is_not_here_is_said_with_where_to_get_it() -> None:
    rows = audit_zoo([CARDS["att-gconvs"]], checkouts=None)
    assert {row.verdict for row in rows} == {"not here"}
    assert all("clone dwromero/att_gconvs@872259c into a folder" in str(row.reason) for row in rows)
    card = CARDS["timm"]
    missing = card.model_copy(
        update={"origin": card.origin.model_copy(update={"requires": ("torch>=2", "no-such-package>=1", "nor-this<2")})}
    )
    rows = audit_zoo([missing])
    assert {row.reason for row in rows} == {"not installed: pip install 'no-such-package>=1' 'nor-this<2'"}
    assert "not installed" in page(rows)
    assert "Packages `torch>=2`, `no-such-package>=1`, `nor-this<2`; licence" in page(rows)
    assert f"{len(rows)} rows not decided, with the reason" in summary(rows)


def test_foreign_code_that_fails_costs_its_row() -> None:
    card = CARDS["torchvision"]
    broken = card.networks[0].model_copy(update={"build": "torchvision.models:no_such_network"})
    (row,) = audit_zoo([card.model_copy(update={"networks": (broken,)})])
    assert row.verdict == "unknown"
    assert "there is no 'no_such_network' in it" in str(row.reason)


def test_a_row_without_a_verdict_counts_for_no_claim() -> None:
    card = only("rrenet", "RREN C4 strict", 32)
    network = card.networks[0]
    assert ZooRow(card, network, 32, "exact").holds is True
    assert ZooRow(card, network, 32, "not equivariant").holds is False
    assert ZooRow(card, network, 32, "not here").holds is None
    assert ZooRow(card, network.model_copy(update={"claims": "nothing"}), 32, "not exact").holds is None


def test_a_wrong_card_is_refused_with_its_place(tmp_path: Path) -> None:
    text = (FOLDER / "rrenet.yaml").read_text()
    (tmp_path / "rrenet.yaml").write_text(text.replace("claims: equivariant", "claims: maybe", 1))
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(CardsError) as raised:
        read_zoo(tmp_path)
    assert re.search(r"rrenet\.yaml:\d+:\d+: networks\[0\]\.claims", str(raised.value))
    assert "'rrenet' must be other, as the file is called" in str(raised.value)


def test_the_command_names_the_cards_and_wants_its_options_together(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--zoo", "no-card"], "there is no card 'no-card' in the zoo: one of antialiased-cnns, att-gconvs"),
        (["p4cnn@28", "--write", "page.md"], "--write says nothing without --zoo"),
        ([], "say which NETWORK to audit"),
    ):
        with pytest.raises(SystemExit) as ending:
            main(["audit", *words])
        assert ending.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())
