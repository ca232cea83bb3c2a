"""What a benchmark card may say: data set, split, input, recipe, evaluation, entries and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.base import (
    Assumption,
    Channels,
    Described,
    EntryName,
    Model,
    Name,
    Pixel,
    Some,
    Text,
    Version,
    broken_rule,
)
from gcnnbench.cards.evaluation import Evaluation
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.values import Positive

RankName = Literal[
    "accuracy.upright", "accuracy.seen", "accuracy.unseen", "accuracy.orbit", "accuracy.curve_mean", "auc"
]  # fmt: skip


class Share(Model):
    """A share of a data set's part: `images` of it, or all that is left."""

    part: Name
    images: Positive | None = None


class Split(Model):
    """Which images train, validate and test. Shares of one part are taken one after another from one order.

    `shuffle: seed` draws that order anew for each seed, `fixed` draws one for all seeds, `none` keeps the files' order.

    With `folds` the order is cut into so many, and seed s is tested on fold s mod `folds` and takes its other shares
    from the rest: over so many seeds each image is tested once. `shuffle: seed` then draws anew for each such round.
    """

    train: Share
    validation: Share | None = None
    test: Share
    shuffle: Literal["seed", "fixed", "none"]
    folds: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _folds_are_of_one_part(self) -> Self:
        if self.folds is not None and (self.test.part != self.train.part or self.test.images is not None):
            raise broken_rule("with folds, test must name the part that trains, and no number of images", "test")
        return self


class Input(Model):
    """How an image becomes the network's input: resized as 8-bit pixels, scaled to [0, 1], normalised."""

    channels: Channels
    resize: Literal["none", "pillow-bilinear"]
    source_size: Annotated[int, Field(ge=2, le=1024)] | None = None
    """Height and width in pixels to which the images are resized before they are resized to the entry's size."""
    fitted: Literal["standardised", "contrast-zca"] | None = None
    """What is fitted to the training images first (`gcnnbench.data.fitted`); mean and std act on what it gives."""
    mean: Annotated[tuple[Pixel, ...], Field(min_length=1)]
    std: Annotated[tuple[Annotated[float, Field(gt=0, le=1000)], ...], Field(min_length=1)]

    @property
    def black(self) -> tuple[float, ...]:
        """What black is for the network, in each channel."""
        return tuple((0.0 - mean) / std for mean, std in zip(self.mean, self.std, strict=True))

    @model_validator(mode="after")
    def _fitted_at_the_images_own_size(self) -> Self:
        if self.fitted is not None and self.resize != "none":
            raise broken_rule(f"resize must be none where {self.fitted} is fitted: it gives no 8-bit images", "resize")
        return self

    @model_validator(mode="after")
    def _source_size_where_images_are_resized(self) -> Self:
        if self.source_size is not None and self.resize == "none":
            raise broken_rule("source_size needs resize: pillow-bilinear", "source_size")
        return self

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            wrong = "std" if len(self.mean) == self.channels else "mean"
            raise broken_rule(f"one value is needed for each channel, {self.channels} in all", wrong)
        return self


PURPOSES: Mapping[str | None, str] = {
    "claims": "for claims: published recipes, to check published numbers",
    "inference": "for inference: many seeds at little cost, answers with intervals",
    "first-look": "for a first look: minutes on a CPU, too short to rank networks",
    None: "others, whose cards do not say what for",
}
"""What a benchmark is for, in words."""


class BenchmarkCard(Described):
    """A benchmark, complete on its own: data, split, input, recipe, evaluation, entries and seeds."""

    version: Version
    purpose: Literal["claims", "inference", "first-look"] | None = None
    """What it is for; null where the card does not say."""
    dataset: Name
    split: Split
    input: Input
    recipe: Recipe
    evaluation: Evaluation
    rank_by: RankName
    entries: Some[EntryName]
    seeds: Annotated[int, Field(ge=1, le=1000)]
    deviations: tuple[Text, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    family: Name | None = None
    """Benchmarks of one family show one question under several conditions; their regrets make one table."""
    superseded_by: Positive | None = None
    """The version that took this one's place: it is no longer run, its records are still read, tabled and verified."""
    model_versions: dict[Name, Positive] | None = None
    """Of a superseded version: the version of each entry's model that its records were made with."""

    @model_validator(mode="after")
    def _superseded_with_its_models(self) -> Self:
        if (self.superseded_by is None) != (self.model_versions is None):
            raise broken_rule("superseded_by and model_versions go together", "superseded_by")
        if self.superseded_by is not None and self.superseded_by <= self.version:
            raise broken_rule(f"superseded_by must be above version (={self.version})", "superseded_by")
        return self

    @model_validator(mode="after")
    def _selection_needs_validation(self) -> Self:
        if self.recipe.tested_model == "best-validation" and self.split.validation is None:
            rule = "best-validation needs images to validate on: give split.validation, or write last"
            raise broken_rule(rule, "recipe", "tested_model")
        return self

    @property
    def full_name(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def short_name(self) -> str:
        """What names this version to every command: `name` of the current one, `name@version` of a superseded one."""
        return self.name if self.superseded_by is None else self.full_name

    def how_to_run(self, options: str = "") -> str:
        """The command that makes records of this version; of a superseded one, that none does."""
        if self.superseded_by is None:
            return f"gcnnbench run {self.name}{options}"
        return f"it is superseded by version {self.superseded_by} and no longer run"

    def version_of(self, model: ModelCard) -> int:
        """The model version of an entry's records: the current one, or that at which this version was superseded."""
        return (self.model_versions or {}).get(model.name, model.model_version)
