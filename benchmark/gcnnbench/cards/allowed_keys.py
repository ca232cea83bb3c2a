"""The keys that a mapping in a card may have, read from the JSON Schema of the card; for suggestions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from gcnnbench.cards.base import Model


def allowed_keys(kind: type[Model], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the mapping at `loc` may have, as the JSON Schema of the card tells."""
    schema = _schema(kind)
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in loc:
        node = _resolved(node, definitions)
        tags = node.get("discriminator", {}).get("mapping", {})
        if part in tags:
            node = {"$ref": tags[part]}
        elif isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        else:
            node = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), {})
    return list(_resolved(node, definitions).get("properties", {}))


@cache
def _schema(kind: type[Model]) -> dict[str, Any]:
    """Built once for a kind of card."""
    return kind.model_json_schema()


def _resolved(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A node of a JSON Schema without references and without `or null`."""
    while True:
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in node:
            node = next((option for option in node["anyOf"] if option.get("type") != "null"), {})
        else:
            return node
