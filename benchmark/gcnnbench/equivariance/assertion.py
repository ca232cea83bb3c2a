"""An assertion for other people's test suites: this network is exactly equivariant at these sizes."""

from __future__ import annotations

from collections.abc import Iterable

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.explanation import sizes_that_do
from gcnnbench.equivariance.factories import Model, factory
from gcnnbench.equivariance.wording import words
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import P4, ActingGroup


def assert_equivariant(
    model: Model,
    group: ActingGroup | str = P4,
    *,
    sizes: Iterable[int],
    channels: int | None = None,
    output: Field | None = None,
) -> None:
    """Assert that a network is exactly equivariant under a group at each of these input sizes.

        from gcnnbench.equivariance.assertion import assert_equivariant
        assert_equivariant(MyNetwork(), "p4", sizes=[33, 65])

    It is decided by measurement in float64, with the weights as given and drawn anew; the certificate names the layer.

    Args:
        model: a network, or a class or function that makes one (`factories.factory`).
        group: p2, pm, p4 or p4m, or circular shifts; or its name.
        sizes: heights and widths of square inputs.
        channels: of the input; tried out where None.
        output: how the output should transform; invariant logits where None.

    Raises:
        AssertionError: it is not; names the layer, the size, and the sizes at which it was measured exact.
        UserError: the group is unknown, no number of channels fits, or sizes or output are none.
    """
    found = audit(model, sizes, group, channels=channels, output=output, nearest=True)
    make = factory(model, name=found.network)
    messages = []
    for row in found.sizes:
        if row.decision == "exact" and not row.disagreement:
            continue
        at = f" at {row.first_break}" if row.first_break else ""
        verdict = words(found, row)
        message = f"{found.network} is {verdict} under {found.group} at input size {row.size}{at}: {row.reason}"
        wrong = row.decision != "exact"  # of a size that is measured exact no other one is any better
        near = sizes_that_do(make, row, found.channels, found.acting_group) if wrong else []
        advice = [f"  use {line}" for line in near]
        if not advice and row.decision == "approximate" and not row.disagreement:
            advice = [f"  {row.advice or 'no input size nearby repairs this'}"]
        messages.append("\n".join([message, *advice]))
    if messages:
        raise AssertionError("\n".join(messages))
