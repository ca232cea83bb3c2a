"""An entry of a leaderboard for the Hugging Face hub: `.eval_results/NAME.yaml` and a model card's front matter."""

from __future__ import annotations

from typing import Any

import yaml

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.escaping import markdown
from gcnnbench.explain.explanation import Explanation
from gcnnbench.formatting import how_many, percent


def eval_results(found: Explanation, dataset: str, revision: str | None = None, url: str | None = None) -> str:
    """The evaluation results that the hub reads from `.eval_results/`: one number, what it is in the notes.

    The form is that of hub-docs' `eval_results.yaml`; values are fractions.

    Args:
        found: the explanation of the number.
        dataset: the data set's id on the hub.
        revision: of the data set there.
        url: where the records can be seen.

    Raises:
        UserError: one record alone is explained, which is no result of a leaderboard.
    """
    if found.summary is None:
        raise UserError("one record is no result of the leaderboard: leave --seed out")
    spread = "" if found.summary.std is None else f" ± {found.summary.std:.6f} (sample standard deviation)"
    entry: dict[str, Any] = {
        "dataset": {"id": dataset, "task_id": f"{found.benchmark}/{found.metric}"}
        | ({"revision": revision} if revision else {}),
        "value": found.summary.mean,
        "date": max(origin.finished for origin in found.origins)[:10],
        "notes": (
            f"{found.entry}: mean{spread} over {found.summary.n} of {how_many(found.protocol_seeds, 'seed')}; spec "
            f"digest {found.spec_digest}; gcnnbench explain {found.benchmark} {found.entry} {found.metric}"
        ),
    }
    if url:
        entry["source"] = {"url": url, "name": "gcnnbench"}
    return yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=10_000)


def model_card(registry: Registry, found: Explanation, passport: str = "") -> str:
    """A model card: the front matter, what the network is, its number, and its passport where one is given.

    Args:
        registry: holds the model's card.
        found: the explanation of the number that the benchmark is ranked by.
        passport: the section that `gcnnbench audit --passport FILE.md` wrote.
    """
    card = registry.model(split_entry(found.entry)[0])
    front = {
        "license": card.licence.lower(),
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["equivariance", "group-convolution", card.group, "gcnnbench"],
        "datasets": [found.dataset],
        "metrics": ["accuracy"],
    }
    number = found.summary
    result = "" if number is None else f"{percent(number)} % over {how_many(number.n, 'seed')}"
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {markdown(card.title)}",
        markdown(card.summary),
        f"`{found.entry}` on `{found.benchmark}`, {found.metric}: {result}. The command that leads to its records: "
        f"`gcnnbench explain {found.benchmark} {found.entry} {found.metric}`.",
        *([passport.strip()] if passport else []),
        *(f"```bibtex\n{registry.bibliography[source.key]}\n```" for source in card.sources),
    ]
    return "\n\n".join(parts) + "\n"
