"""What a card may say: strict, frozen pydantic models of model, dataset and benchmark cards.

A field added later is optional and null where absent, and null fields stay out of the digest:
so a new field changes the digest of no benchmark that does not use it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Hashable, Mapping
from itertools import combinations, pairwise
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gcnnbench.formatting import how_many
from gcnnbench.outside_text import unfit

_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_ENTRY = r"^[a-z0-9]+(-[a-z0-9]+)*@[1-9][0-9]{0,3}$"
_IDENTIFIER = r"^[a-z][a-z0-9_]*$"
_FIELD = r"^[a-z][a-z0-9_]*(\.[a-z0-9_-]+)*$"
_PATH = r"^\w[\w.-]*(/\w[\w.-]*)*$"
_REQUIREMENT = (
    r"^[A-Za-z0-9][A-Za-z0-9._-]*( ?[<>=!~]=? ?[0-9][A-Za-z0-9.*+!-]*(, ?[<>=!~]=? ?[0-9][A-Za-z0-9.*+!-]*)*)?$"
)
_SHA256 = r"^[0-9a-f]{64}$"
_MD5 = r"^[0-9a-f]{32}$"

FORMS: Mapping[str, str] = {
    _NAME: "small letters and digits, in words joined by '-', as p4cnn-subsample is",
    _ENTRY: "SLUG@SIZE, as p4cnn@28 is, of at most 9999 pixels",
    _REQUIREMENT: "a package, with its versions if need be, as e2cnn>=0.2.3 is",
    _IDENTIFIER: "a name of small letters, digits and '_' that starts with a letter, as weight_decay is",
    _FIELD: "the way to a field of this card, as hyperparameters.dropout is",
    _PATH: "a path below the data directory, with '/' between its parts, as MNIST/raw/images-ubyte is",
    _SHA256: "a SHA-256 in 64 small hexadecimal digits",
    _MD5: "an MD5 in 32 small hexadecimal digits",
}
"""What each pattern asks for, in words."""

LINE, TEXT, MOST = 300, 20_000, 10**15
"""Characters of a line and of a text, and the largest whole number: a float64 holds it exactly."""
BUILD_ARGUMENTS = ("size", "channels", "classes")
"""What `build` is given beside the hyper-parameters."""

T = TypeVar("T")


def broken_rule(rule: str, *place: str | int) -> PydanticCustomError:
    """The error of a validator: the rule that is broken, in words, and the field below the model that breaks it."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "place": place})


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise broken_rule(f"{value} stands twice; name each once", index)
        seen.add(value)
    return values


def _line(text: str) -> str:
    if found := unfit(text):
        raise broken_rule(f"it holds {found}; write one line of text in which every character shows")
    return text


def _text(text: str) -> str:
    if found := unfit(text, "\n\t"):
        raise broken_rule(f"it holds {found}; write text in which every character shows")
    return text


def _free(name: str) -> str:
    """A name that `build` can take beside its own arguments."""
    if name in BUILD_ARGUMENTS:
        raise broken_rule(f"{name} is given to build by the benchmark; choose another name")
    if keyword.iskeyword(name):
        raise broken_rule(f"{name} is a word of Python, which no argument can be called; choose another name")
    return name


Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=60)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=LINE, strip_whitespace=True), AfterValidator(_line)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT, strip_whitespace=True), AfterValidator(_text)]
Requirement = Annotated[str, StringConstraints(pattern=_REQUIREMENT, max_length=100)]
Sha256 = Annotated[str, StringConstraints(pattern=_SHA256)]
Md5 = Annotated[str, StringConstraints(pattern=_MD5)]
EntryName = Annotated[str, StringConstraints(pattern=_ENTRY)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Size = Annotated[int, Field(ge=1, le=9999)]
Channels = Annotated[int, Field(ge=1, le=10_000)]
Classes = Annotated[int, Field(ge=2, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Version = Annotated[int, Field(ge=1, le=10_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1000)]
Decay = Annotated[float, Field(ge=0, le=1000)]
Factor = Annotated[float, Field(gt=0, le=1)]
Pixel = Annotated[float, Field(ge=-1000, le=1000)]
"""A pixel's value, a mean or a fill, after any normalisation."""
Degrees = Annotated[float, Field(ge=-360, le=360)]
Hyperparameter = (
    bool | int | float | Annotated[str, StringConstraints(max_length=LINE), AfterValidator(_line)] | tuple[int, ...]
)
HyperparameterName = Annotated[str, StringConstraints(pattern=_IDENTIFIER, max_length=60), AfterValidator(_free)]
RoleName = Annotated[str, StringConstraints(pattern=_NAME, max_length=30)]
"""What a network's parameters are for, in its own words: `degree`, `free`, `weights`."""
GroupName = Literal["trivial", "p4", "p4m", "C4", "C8", "C16"]
GridGroupName = Literal["p2", "pm", "p4", "p4m", "shifts", "shifts-p4"]
ElementName = Literal[
    "upright", "rot90", "rot180", "rot270", "mirror", "mirror-rot90", "mirror-rot180", "mirror-rot270",
    "shift-0-1", "shift-1-0", "shift-1-1", "shift-0-2", "shift-3-0", "shift-2-5", "shift-6-3", "shift-7-4",
    "rot90-shift-0-1", "rot90-shift-1-0", "rot180-shift-1-1", "rot180-shift-0-2", "rot270-shift-3-0", "rot270-shift-2-5"
]  # fmt: skip
ProbeName = Literal["degree", "alignment", "subspace"]
RankName = Literal[
    "accuracy.upright", "accuracy.seen", "accuracy.unseen", "accuracy.orbit", "accuracy.curve_mean", "auc"
]  # fmt: skip


_SHIFTS = ("shift-0-1", "shift-1-0", "shift-1-1", "shift-0-2", "shift-3-0", "shift-2-5", "shift-6-3", "shift-7-4")
"""Pixels downwards and to the right, on an image that closes to a torus."""

ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "p2": ("upright", "rot180"),
    "pm": ("upright", "mirror"),
    "p4": ("upright", "rot90", "rot180", "rot270"),
    "p4m": ("upright", "rot90", "rot180", "rot270", "mirror", "mirror-rot90", "mirror-rot180", "mirror-rot270"),
    "shifts": ("upright", *_SHIFTS),
    "shifts-p4": (
        *("upright", "rot90", "rot180", "rot270", *_SHIFTS),
        *("rot90-shift-0-1", "rot90-shift-1-0", "rot180-shift-1-1"),
        *("rot180-shift-0-2", "rot270-shift-3-0", "rot270-shift-2-5"),
    ),
}
"""The elements of each grid group, as `gcnnbench.nn.groups` names them (which costs an import of torch).

Of circular shifts, which are as many as pixels, these stand for all."""

Some = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_unique)]
Each = Annotated[tuple[T, ...], AfterValidator(_unique)]
"""Any number of values, each once."""


class Model(BaseModel):
    """Base of everything a card holds: unknown keys are errors, values are not converted, nothing changes later."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Source(Model):
    """Where something was published: a key of `references.bib` and the place in it."""

    key: Name
    where: Line | None = None


class Assumption(Model):
    """A choice that the published protocol leaves open, made in one field of this card, with the evidence for it."""

    name: Name
    field: Annotated[str, StringConstraints(pattern=_FIELD)]
    because: Text


class ParameterCount(Model):
    """The number of trainable parameters of one configuration, and the multiply-accumulates of one image through it."""

    channels: Channels
    classes: Classes
    size: Size
    count: Positive
    published: Positive | None = None
    macs: Positive | None = None


class Entering(Model):
    """A benchmark that a model enters by its own card, at these input sizes."""

    benchmark: Name
    sizes: Some[Size]


class Described(Model):
    """What every card says of itself."""

    name: Name
    title: Line
    summary: Text
    sources: tuple[Source, ...] = ()


class ModelCard(Described):
    """A network: a folder `models/<name>` with this card and a `model.py` that has `build`."""

    model_version: Version
    authors: Some[Line]
    licence: Line
    group: GroupName
    exact_at: Each[Size] = ()
    approximate_at: Each[Size] = ()
    learnt_at: Each[Size] = ()
    """Sizes at which the network can be exact and need not: how much symmetry it has is learnt."""
    smallest_size: Size | None = None
    """The smallest input that `build` takes: below it some layer would have no pixel left. Null where nobody says."""
    hyperparameters: dict[HyperparameterName, Hyperparameter]
    parameters: Some[ParameterCount]
    requires: Each[Requirement] = ()
    deviations: tuple[Text, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    enters: tuple[Entering, ...] | None = None
    citation: Text | None = None
    trained_on: Text | None = None
    """What the weights beside the card were trained on: such a network is scored, never trained here."""

    @model_validator(mode="after")
    def _one_count_a_configuration(self) -> Self:
        seen: set[tuple[int, int, int]] = set()
        for index, one in enumerate(self.parameters):
            configuration = (one.channels, one.classes, one.size)
            if configuration in seen:
                where = "{} channels, {} classes, size {}".format(*configuration)
                raise broken_rule(f"a second count for {where}; state one", "parameters", index)
            seen.add(configuration)
        return self

    @model_validator(mode="after")
    def _claims_fit_the_group(self) -> Self:
        claims = {name: getattr(self, name) for name in ("exact_at", "approximate_at", "learnt_at")}
        for first, second in combinations(claims, 2):
            both = sorted(set(claims[first]) & set(claims[second]))
            if both:
                rule = f"{both[0]} stands in {first} and in {second}; a size is one or the other"
                raise broken_rule(rule, second, claims[second].index(both[0]))
        if self.group == "trivial" and self.claimed_at:
            rule = "the group is trivial, so exact_at, approximate_at and learnt_at must be left out"
            raise broken_rule(rule, next(name for name in claims if claims[name]))
        if self.group != "trivial" and not self.claimed_at:
            rule = f"the group is {self.group}, so exact_at, approximate_at or learnt_at must name at least one size"
            raise broken_rule(rule, "group")
        return self

    @model_validator(mode="after")
    def _sizes_are_not_too_small(self) -> Self:
        """No claim and no count is of an input that the network does not take."""
        claims = ("exact_at", "approximate_at", "learnt_at")
        stated: list[tuple[int, tuple[str | int, ...]]] = [
            (size, (name, index)) for name in claims for index, size in enumerate(getattr(self, name))
        ]
        stated += [(one.size, ("parameters", index, "size")) for index, one in enumerate(self.parameters)]
        for size, place in stated:
            if (rule := self.too_small(size)) is not None:
                raise broken_rule(rule, *place)
        return self

    def too_small(self, size: int) -> str | None:
        """Why the network does not take images of a size; null where it does, or where the card does not say."""
        if self.smallest_size is None or size >= self.smallest_size:
            return None
        return f"size {size} is too small for {self.name}, which takes {self.smallest_size} pixels and more"

    @property
    def claimed_at(self) -> tuple[int, ...]:
        """Every size about which the card claims something."""
        return (*self.exact_at, *self.approximate_at, *self.learnt_at)

    def claim_at(self, size: int) -> Literal["exact", "approximate", "learnt"] | None:
        """What the card claims at a size."""
        if size in self.learnt_at:
            return "learnt"
        return "exact" if size in self.exact_at else "approximate" if size in self.approximate_at else None


class Part(Model):
    """One part of a data set as its files hold it, with the digest of the decoded tensors.

    Where nobody has published the digest of a copy it is left out: then each data directory records the digest of its
    copy when it is first read, and records name it.
    """

    images: Positive
    digest: Sha256 | None = None


class File(Model):
    """One file of a data set below the data directory.

    Length and md5 are left out where they are not known, or differ between writers of one content; the digest of the
    decoded tensors decides.
    """

    path: Annotated[str, StringConstraints(pattern=_PATH)]
    bytes: Positive | None = None
    md5: Md5 | None = None


class DatasetCard(Described):
    """A data set: a folder `datasets/<name>` with this card and a `dataset.py` that has `load`."""

    licence: Line
    classes: Classes
    channels: Channels
    size: Size
    pixels: Literal["uint8", "float32"]
    orientation: Literal["as-shown", "transposed"] | None = None
    """How images stand in the tensors: as a reader sees them, or with rows and columns exchanged, a mirror image."""
    parts: Annotated[dict[Name, Part], Field(min_length=1)]
    files: tuple[File, ...] = ()
    download_bytes: Natural
    disk_bytes: Natural
    by_hand: Text | None = None

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        seen: set[str] = set()
        for index, file in enumerate(self.files):
            if file.path in seen:
                raise broken_rule(f"{file.path} stands twice; name each file once", "files", index, "path")
            seen.add(file.path)
        return self


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
    def _one_value_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            wrong = "std" if len(self.mean) == self.channels else "mean"
            raise broken_rule(f"one value is needed for each channel, {self.channels} in all", wrong)
        return self


class Adam(Model):
    """Adam; the weight decay is added to the gradient."""

    name: Literal["adam"]
    learning_rate: Rate
    weight_decay: Decay = 0.0


class NormBiases(Model):
    """What the optimiser does otherwise with the biases of norms."""

    learning_rate: Rate
    weight_decay: Decay


class SGD(Model):
    """Stochastic gradient descent; the weight decay is added to the gradient."""

    name: Literal["sgd"]
    learning_rate: Rate
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: Decay = 0.0
    norm_biases: NormBiases | None = None

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise broken_rule("nesterov looks ahead along a momentum of 0; give momentum, or leave it out", "nesterov")
        return self


class Constant(Model):
    """The learning rate stays as it is."""

    name: Literal["constant"]


class StepDecay(Model):
    """The learning rate is multiplied by `factor` after every `every` epochs."""

    name: Literal["step"]
    every: Epochs
    factor: Factor


class MultiStepDecay(Model):
    """The learning rate is multiplied by `factor` after each of these epochs."""

    name: Literal["multi-step"]
    epochs: Some[Epochs]
    factor: Factor

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for index, (before, after) in enumerate(pairwise(self.epochs), start=1):
            if after < before:
                raise broken_rule(f"{after} stands after {before}; write the epochs in order", "epochs", index)
        return self


class OneCycle(Model):
    """PyTorch's OneCycleLR with its default shape; the optimiser's learning rate is the peak; stepped every batch."""

    name: Literal["one-cycle"]


class Triangular(Model):
    """The learning rate rises linearly from `start` times itself to itself over the first `rise` of all steps.

    Then it falls linearly to `end` times itself; stepped every batch.
    """

    name: Literal["triangular"]
    start: Fraction
    rise: Annotated[float, Field(gt=0, lt=1)]
    end: Fraction


Schedule = Annotated[Constant | StepDecay | MultiStepDecay | OneCycle | Triangular, Field(discriminator="name")]


class UniformAngle(Model):
    """An angle in degrees, uniform in [low, high)."""

    name: Literal["uniform"]
    low: Degrees
    high: Degrees

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if not self.low < self.high:
            raise broken_rule(f"high (={self.high}) must be above low (={self.low})", "high")
        return self


class NormalAngle(Model):
    """An angle in degrees from a normal distribution."""

    name: Literal["normal"]
    mean: Degrees
    std: Annotated[float, Field(gt=0, le=360)]


class Fill(Model):
    """What stands outside the image: `value` before normalisation (0 is black) or after it (0 is the mean)."""

    value: Pixel
    scale: Literal["before-normalisation", "after-normalisation"]

    @model_validator(mode="after")
    def _a_pixel_lies_between_black_and_white(self) -> Self:
        if self.scale == "before-normalisation" and not 0 <= self.value <= 1:
            raise broken_rule(f"{self.value} must lie in [0, 1], black to white, before normalisation", "value")
        return self


class Rotation(Model):
    """Bilinear rotation about the centre by a random angle, one for a whole batch or one for each image."""

    angle: Annotated[UniformAngle | NormalAngle, Field(discriminator="name")]
    per: Literal["batch", "image"]
    fill: Fill


class Augmentation(Model):
    """Random changes of each training batch, in this order."""

    crop_padding: Size | None = None
    crop_border: Literal["reflected"] | None = None
    """What a crop brings in from outside: the image reflected at its border pixels; black where null."""
    horizontal_flip: bool | None = None
    vertical_flip: bool | None = None
    quarter_turns: bool | None = None
    rotation: Rotation | None = None
    alternating_flip: bool | None = None
    """A horizontal flip of each image in every other epoch: a random half in even ones, the other half in odd ones."""

    @model_validator(mode="after")
    def _only_crops_have_a_border(self) -> Self:
        if self.crop_border is not None and self.crop_padding is None:
            raise broken_rule("without crop_padding there is no border; leave crop_border out", "crop_border")
        return self


class Lookahead(Model):
    """Slow weights that follow the trained ones and replace them, after every `every` steps.

    After t of T steps `s ← s + (1 − a)(w − s), w ← s` with `a = decay^every · (t/T)³`; after the last step `w ← s`.
    Running statistics count as weights. Lookahead is of Zhang et al. 2019 (arXiv 1907.08610), the growing a of
    KellerJordan/cifar10-airbench at f1c599c.
    """

    every: Positive
    decay: Fraction


class RoleRates(Model):
    """The peak learning rate and the weight decay of one role's parameters, where they differ from the optimiser's."""

    learning_rate: Rate | None = None
    weight_decay: Decay | None = None


class TrainingPhase(Model):
    """Some epochs of a recipe with an optimiser of their own; what is left out is the recipe's.

    Networks name the roles of their parameters: `degree` for what says how much symmetry there is, `free` for what
    breaks it, `weights` for the rest. Only the roles that `trains` names change, all where it is left out.
    """

    epochs: Epochs | None = None
    optimiser: Annotated[Adam | SGD, Field(discriminator="name")] | None = None
    schedule: Schedule | None = None
    roles: dict[RoleName, RoleRates] | None = None
    trains: Some[RoleName] | None = None


class Recipe(Model):
    """How a network is trained. The loss is the cross entropy of the logits plus a network's own penalty."""

    epochs: Epochs
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    drop_last: bool
    optimiser: Annotated[Adam | SGD, Field(discriminator="name")]
    schedule: Schedule
    label_smoothing: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of a label that is spread evenly over all classes."""
    lookahead: Lookahead | None = None
    augmentation: Augmentation
    tested_model: Literal["best-validation", "last"]
    norm_statistics: Literal["re-estimated"] | None = None
    """`re-estimated`: the mean over one more pass of augmented training batches, before each validation or test."""
    numeric_mode: Literal["fp32", "tf32", "bf16"]
    phases: Annotated[tuple[TrainingPhase, ...], Field(min_length=1)] | None = None
    """One after another; only the last one may leave its epochs out, and has those that are left."""

    @model_validator(mode="after")
    def _the_schedule_acts_within_the_epochs(self) -> Self:
        for index, epoch in enumerate(self.schedule.epochs if isinstance(self.schedule, MultiStepDecay) else ()):
            if epoch >= self.epochs:
                rule = f"{epoch} is no epoch after which training goes on: the recipe has {self.epochs}"
                raise broken_rule(rule, "schedule", "epochs", index)
        if isinstance(self.schedule, StepDecay) and self.schedule.every > self.epochs:
            rule = (
                f"{self.schedule.every} is more than the {how_many(self.epochs, 'epoch')} of the recipe; write constant"
            )
            raise broken_rule(rule, "schedule", "every")
        return self

    @model_validator(mode="after")
    def _phases_make_up_the_epochs(self) -> Self:
        given = [phase.epochs for phase in self.phases or ()]
        for index, epochs in enumerate(given[:-1]):
            if epochs is None:
                raise broken_rule("epochs is missing; only the last phase may leave it out", "phases", index)
        said = sum(epochs or 0 for epochs in given)
        if given and (said != self.epochs if given[-1] is not None else said >= self.epochs):
            before = "" if given[-1] else " before the last"
            rule = f"the phases have {how_many(said, 'epoch')}{before}, the recipe {self.epochs}"
            raise broken_rule(rule, "phases")
        return self


class Curve(Model):
    """Accuracy at the angles 0, step, 2·step, … below 360 degrees, bilinear."""

    step: Annotated[int, Field(ge=1, le=360)]
    fill: Fill

    @model_validator(mode="after")
    def _step_divides_the_circle(self) -> Self:
        if 360 % self.step:
            raise broken_rule(f"step (={self.step}) must divide 360, as 10, 15 and 30 do", "step")
        return self

    @property
    def angles(self) -> tuple[int, ...]:
        """The angles in degrees."""
        return tuple(range(0, 360, self.step))


class Evaluation(Model):
    """What is measured: under which group, which of its elements training has seen, and on which fixed images."""

    group: GridGroupName
    seen: Some[ElementName]
    curve: Curve
    equivariance_images: Annotated[int, Field(ge=1, le=1_000_000)]
    auc: bool | None = None
    labels: dict[ElementName, tuple[Natural, ...]] | None = None
    """The class that each class becomes where an element moves the image, such as 6 to 9; as it is for the others."""
    probes: Some[ProbeName] | None = None
    """What is read from the network after every epoch and at the end (`gcnnbench.probes`)."""

    @model_validator(mode="after")
    def _labels_move_one_to_one(self) -> Self:
        for element, moved in (self.labels or {}).items():
            if sorted(moved) != list(range(len(moved))):
                rule = f"each class 0 to {len(moved) - 1} must stand once, as what some class becomes"
                raise broken_rule(rule, "labels", element)
            if element == "upright" and moved != tuple(range(len(moved))):
                raise broken_rule("upright moves no label; leave it out", "labels", element)
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

    def version_of(self, model: ModelCard) -> int:
        """The model version of an entry's records: the current one, or that at which this version was superseded."""
        return (self.model_versions or {}).get(model.name, model.model_version)


def split_entry(entry: str) -> tuple[str, int]:
    """The slug and the input size of an entry's name, `p4cnn@28` -> ("p4cnn", 28).

    Raises:
        ValueError: the name has another form.
    """
    match = re.fullmatch(r"([a-z0-9-]+)@([1-9][0-9]{0,3})", entry)
    if not match:
        raise ValueError(f"{entry!r} is no entry: write SLUG@SIZE, as in p4cnn@28")
    return match[1], int(match[2])
