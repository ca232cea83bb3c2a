"""The groups obey their axioms, act on images as they multiply, and refuse what is no group."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from gcnnbench.errors import UserError
from gcnnbench.nn.groups import ACTING_GROUPS, CIRCULAR_SHIFTS_P4, GROUPS, P4, P4M, TRIVIAL, Element, Group, group

EVERY = list(P4M.elements)


@pytest.mark.parametrize("members", list(GROUPS.values()), ids=lambda members: members.name)
def test_the_axioms_hold(members: Group) -> None:
    identity = Element()
    assert members.elements[0] == identity
    for a, b, c in product(members.elements, repeat=3):
        assert a * b in members
        assert (a * b) * c == a * (b * c)
    for a in members.elements:
        assert a * identity == identity * a == a
        assert a * a.inverse == a.inverse * a == identity
        assert members.elements[members.index(a)] == a


def test_orders_and_names() -> None:
    assert {name: len(members) for name, members in GROUPS.items()} == {
        "trivial": 1,
        "p2": 2,
        "pm": 2,
        "p4": 4,
        "p4m": 8,
    }
    assert [element.name for element in EVERY] == [
        *("upright", "rot90", "rot180", "rot270"),
        *("mirror", "mirror-rot90", "mirror-rot180", "mirror-rot270"),
    ]


def test_actions_multiply_as_the_elements_do() -> None:
    image = torch.arange(25.0).view(1, 5, 5)
    for g, h in product(EVERY, repeat=2):
        assert torch.equal(g.act(h.act(image)), (g * h).act(image))
    moved = {tuple(element.act(image).flatten().tolist()) for element in EVERY}
    assert len(moved) == 8, "no two elements do the same"


def test_a_quarter_turn_is_counter_clockwise() -> None:
    image = torch.zeros(3, 3)
    image[1, 2] = 1  # right
    assert Element(turns=1).act(image)[0, 1] == 1  # top
    assert Element(mirrored=1).act(image)[1, 0] == 1  # left


def test_what_is_no_group_is_refused() -> None:
    with pytest.raises(ValueError, match="the first element must be the identity"):
        Group("odd", (Element(0, 1),))
    with pytest.raises(ValueError, match="an element stands twice"):
        Group("odd", (Element(), Element()))
    with pytest.raises(ValueError, match=r"rot90 · rot90 = rot180 is missing"):
        Group("odd", (Element(), Element(0, 1)))
    with pytest.raises(ValueError, match=r"turns \(=4\) must be 0 to 3"):
        Element(0, 4)


def test_groups_are_found_by_name() -> None:
    assert group("p4") is P4
    with pytest.raises(UserError, match="unknown group 'p5': one of trivial, p2, pm, p4, p4m"):
        group("p5")


SHIFTED = [
    Element(mirrored, turns, shift) for mirrored in (0, 1) for turns in range(4) for shift in ((0, 0), (1, 0), (2, -5))
]


def test_shifts_multiply_with_turns_and_mirrors_as_they_act() -> None:
    image = torch.arange(98.0).view(2, 7, 7)
    for g, h in product(SHIFTED, repeat=2):
        assert torch.equal(g.act(h.act(image)), (g * h).act(image)), (g.name, h.name)
    for g in SHIFTED:
        assert torch.equal(g.inverse.act(g.act(image)), image)
        assert g * g.inverse == g.inverse * g == Element()
        assert Element(shift=g.shift) * g.point == g


def test_groups_with_shifts() -> None:
    assert {name: (len(one), one.point) for name, one in ACTING_GROUPS.items() if name not in GROUPS} == {
        "shifts": (9, TRIVIAL),
        "shifts-p4": (18, P4),
    }
    for one in (group("shifts"), group("shifts-p4")):
        assert one.elements[0] == Element()
        assert len({element.name for element in one.elements}) == len(one)
        assert {Element(shift=(0, 1)), Element(shift=(1, 0)), *one.point.generators} <= set(one.elements)
    own = [g for g in CIRCULAR_SHIFTS_P4.elements if g.turns and g.shifts and g.inverse != g]
    assert own, "an element that shifts and turns and is not its own inverse"
    assert Element(turns=1, shift=(0, 1)).name == "rot90-shift-0-1"


def test_a_shift_is_downwards_and_to_the_right() -> None:
    image = torch.zeros(4, 4)
    image[0, 0] = 1
    assert Element(shift=(1, 2)).act(image)[1, 2] == 1
    assert Element(shift=(-1, 4)).act(image)[3, 0] == 1
