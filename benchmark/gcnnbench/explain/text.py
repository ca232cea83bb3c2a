"""An explanation of one number, as text for readers and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from gcnnbench import formatting
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.explain.explanation import Explanation, File, Origin, Value
from gcnnbench.layout import folded
from gcnnbench.statistics import all_or_none
from gcnnbench.strict_json import json_document

PROTOCOL = ("split", "input", "recipe", "evaluation", "hyperparameters")
"""The parts of a spec that are told as sentences."""


def explanation_as_json(found: Explanation) -> str:
    """One JSON document; accuracies are fractions."""
    document = asdict(found)
    document["assumptions"] = [one.model_dump() for made in found.assumptions.values() for one in made]
    for claim, row in zip(document["claims"], found.claims, strict=True):
        claim["verdict"] = row.verdict
    return json_document(document)


def explanation_as_text(found: Explanation) -> str:
    """The number, its formula, and then layer by layer what it is made of; at most 100 columns wide."""
    parts = [
        [f"{found.benchmark}  {found.entry}  {found.metric}: {_headline(found)}", found.title],
        ["How it is computed", *_formulae(found)],
        [f"Records in {found.results}", *(line for value in found.values for line in _record(value))],
        ["Code and machine", *(line for origin in found.origins for line in _origin(origin))],
        ["Protocol", *_protocol(found)],
        ["Data", *_data(found)],
    ]
    if found.not_counted:
        parts.append(["Not counted", *(f"  {one.record}: {one.excluded}" for one in found.not_counted)])
    if found.claims:
        parts.append(["Claims about this number", *(line for row in found.claims for line in _claim(row))])
        parts += [[text] for text in found.sources.values()]
    elif found.summary is not None:
        parts.append(["Claims about this number", "  none is registered"])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _number(found: Explanation, value: float) -> str:
    return f"{value:.6e}" if found.metric == "invariance_error" else f"{value:.6f}"


def _headline(found: Explanation) -> str:
    sample = found.summary
    if sample is None:
        return "one record"
    error = found.metric == "invariance_error"
    text = formatting.error(sample, wide=True) if error else f"{formatting.percent(sample)} %"
    return f"{text} (n = {sample.n} of {formatting.how_many(found.protocol_seeds, 'seed')})"


def _formulae(found: Explanation) -> Iterator[str]:
    first = found.values[0]
    if first.tally is not None:
        yield _item("metric", f"{first.tally.formula}, over {first.tally.fields_text} of each record")
    elif first.field is not None:
        yield _item("metric", first.field)
    if found.summary is not None:
        yield from _statistics(found)
    if found.test_set_error is not None:
        alone = first.tally is not None and len(first.tally.fields) == 1
        error = (
            f"√(m (1 − m) / N) = {found.test_set_error:.6f} with N = {formatting.how_many(found.test_images, 'image')}"
        )
        error = error if alone else f"at most {error}"
        if found.test_set_error == 0:
            error += (
                f" as every image is right, or none (Wilson's interval is {all_or_none(found.test_images):.4f} wide)"
            )
        tested = len({value.seed % found.folds for value in found.values}) if found.folds else 0
        some = f"{tested} of " if tested < (found.folds or 0) else ""
        here = f" of {some}{formatting.how_many(found.folds, 'fold')}" if found.folds else ""
        if tested > 1:
            yield _item("test set", f"{error}{here}, one a seed; s holds the choice of images, too")
        else:
            yield _item("test set", f"{error}{here}: what another one of that size would change; not in s")


def _statistics(found: Explanation) -> Iterator[str]:
    sample = found.summary
    if sample is None:
        return
    yield _item("mean", f"m = Σ xᵢ / n = {_number(found, sample.mean)} with n = {sample.n}")
    if sample.std is None or sample.ci95 is None:
        yield _item("spread", "none: one seed has no spread")
    else:
        yield _item(
            "spread", f"s = √(Σ (xᵢ − m)² / (n − 1)) = {_number(found, sample.std)}, a sample deviation (ddof = 1)"
        )
        ends = ", ".join(_number(found, end) for end in sample.ci95)
        yield _item("interval", f"m ± t(0.975, n − 1) · s / √n = [{ends}], 95% over seeds")
    if found.missing:
        yield _item("missing", f"{formatting.listed(found.missing)}: no record that counts, so the row is not ranked")


def _record(value: Value) -> Iterator[str]:
    number = formatting.NOTHING if value.value is None else f"{value.value!r}"
    counts = f" = {value.tally.part:,} / {value.tally.total:,}" if value.tally else ""
    excluded = f"  (not counted: {value.excluded})" if value.excluded else ""
    yield f"  seed {value.seed}: {number}{counts}{excluded}"
    yield _path("record", value.record)
    yield f"            sha256 {value.sha256}"
    yield from _file("weights", value.weights, f"epoch {value.tested_epoch}")
    if value.outputs:
        yield from _file("outputs", value.outputs, "logits and classes of every image")


def _file(name: str, file: File, what: str) -> Iterator[str]:
    state = {
        "here": "here, and it is that file",
        "altered": "ALTERED: the file there is another one",
        "not here": "not here",
    }[file.state]
    yield _path(name, file.path)
    yield f"            sha256 {file.sha256}"
    yield f"            {what}, {file.bytes:,} bytes; {state}"


def _path(name: str, path: str) -> str:
    """A path is never folded: it is there to be copied."""
    return f"    {name:<8}{path}"


def _origin(origin: Origin) -> Iterator[str]:
    yield f"  {formatting.listed(origin.seeds)}"
    known = {True: "in this repository's history", False: "NOT in this repository's history", None: "history not known"}
    state = {True: ", with changes that no commit holds", False: ", nothing uncommitted", None: ""}[origin.dirty]
    commit = f"{origin.commit}\n            {known[origin.in_history]}{state}" if origin.commit else "not known"
    yield f"    commit  {commit}"
    yield folded(f"on      {origin.machine}; {origin.numeric_mode}", indent=" " * 12, first=" " * 4)
    yield folded(f"with    {formatting.versions_text(origin.versions)}", indent=" " * 12, first=" " * 4)
    yield f"    from    {origin.started} to {origin.finished}"


def _protocol(found: Explanation) -> Iterator[str]:
    current = "what the registry asks for today" if found.spec_is_current else "NOT what the registry asks for today"
    yield f"  spec digest      {found.spec_digest}\n{' ' * 19}{current}"
    for name in PROTOCOL:
        yield _item(name, _told(found.spec.get(name, {})))
    versions = {key: value for key, value in found.spec.items() if key.endswith(("_version", "_versions"))}
    yield _item("versions", _told(versions))
    for card, assumptions in found.assumptions.items():
        for assumption in assumptions:
            yield _item("assumed", f"{assumption.name} ({assumption.field}); why: gcnnbench show {card}")


def _data(found: Explanation) -> Iterator[str]:
    for part, digest in found.data.items():
        yield f"  {found.dataset}, part {part}: sha256 of its decoded tensors\n    {digest}"
    for file in found.data_files:
        known = f"md5 {file.md5}, {file.bytes:,} bytes" if file.md5 and file.bytes else "no checksum is known"
        yield f"  {file.path}\n    {known}"
    if not found.data_files:
        yield "  no files of its own: the images come with a library"


def _claim(row: ClaimRow) -> Iterator[str]:
    yield folded(f"{row.id} ({row.source}): {row.verdict_text}", indent=" " * 4, first="  ")
    at = f" at {row.judgement.at}" if row.judgement.at is not None else ""
    told = [f"published {row.printed}"]
    if row.published is not None:
        number = row.printed if row.counted == "count" else f"{formatting.percent(row.published)} %{at}"
        told = [f"published {number}, {f'n = {row.published.n}' if row.published.std is not None else 'one run'}"]
    difference = row.judgement.difference
    if difference is not None and row.published is not None:
        told.append(
            f"ours − published{at}: {formatting.points(difference)} points, "
            f"{formatting.share(row.judgement.coverage, 0)}% {formatting.interval(row.judgement.interval)}"
        )
    if row.tolerance is not None:
        told.append(f"tolerance ± {formatting.share(row.tolerance)} points")
    told += [text for text in (f"where: {row.where}", row.warning, row.next and f"next: {row.next}") if text]
    for text in told:
        yield folded(text, indent=" " * 6, first=" " * 4)


def _item(name: str, text: str) -> str:
    return folded(f"{name:<17}{text}", indent=" " * 19, first="  ")


def _told(value: Any) -> str:
    """JSON data in words: `epochs 50, optimiser (name adam, learning_rate 0.01)`."""
    if isinstance(value, Mapping):
        return ", ".join(_pair(key, inner) for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return f"[{_joined(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pair(key: str, value: Any) -> str:
    return f"{key} ({_told(value)})" if isinstance(value, Mapping) else f"{key} {_told(value)}".strip()


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(_told(value) for value in values)
