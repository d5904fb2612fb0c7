"""What a schema is put together from: references, texts, numbers, lists, closed maps and the choice between forms."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

__all__ = [
    "BOOLEAN",
    "NEVER",
    "Schema",
    "array",
    "chosen",
    "closed",
    "enum",
    "has",
    "integer",
    "may",
    "pair",
    "ref",
    "text",
    "told",
]

Schema: TypeAlias = dict[str, Any]

BOOLEAN: Final[Schema] = {"type": "boolean"}
# What no value is; `false` says the same, but some validators then tell the map around it as the place of the fault.
NEVER: Final[Schema] = {"not": {}}


def ref(name: str, description: str = "") -> Schema:
    """A part by its name, and what it is for here."""
    return told({"$ref": f"#/$defs/{name}"}, description)


def told(schema: Schema, description: str) -> Schema:
    """The schema with a description of its own."""
    return {**schema, "description": description} if description else schema


def enum(description: str, *choices: str) -> Schema:
    """One of some texts."""
    return {"description": description, "enum": list(choices)}


def may(description: str) -> Schema:
    """true or false."""
    return told(BOOLEAN, description)


def integer(low: int, high: int, description: str = "") -> Schema:
    """A whole number, both bounds included."""
    return told({"type": "integer", "minimum": low, "maximum": high}, description)


def text(low: int, high: int, description: str = "", **more: Any) -> Schema:
    """A string of so many characters."""
    return told({"type": "string", "minLength": low, "maxLength": high, **more}, description)


def array(item: Schema, low: int, high: int, description: str = "", **more: Any) -> Schema:
    """A list of so many items."""
    return told({"type": "array", "items": item, "minItems": low, "maxItems": high, **more}, description)


def pair(first: Schema, second: Schema, description: str = "") -> Schema:
    """A list of two."""
    both = {"type": "array", "prefixItems": [first, second], "minItems": 2, "maxItems": 2}
    return told(both, description)


def closed(
    title: str, required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, /, **rules: Any
) -> Schema:
    """A map of these fields and no others. `rules` are keywords beside them."""
    description = {"description": rules.pop("description")} if "description" in rules else {}
    return {
        "title": title,
        **description,
        "type": "object",
        "properties": {**required, **(optional or {})},
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
        **rules,
    }


def has(*names: str) -> Schema:
    """True of a map with these fields."""
    return {"required": list(names)}


def chosen(cases: Sequence[tuple[Schema, Schema]], otherwise: Schema) -> Schema:
    """What the first condition that holds asks for."""
    for condition, schema in reversed(cases):
        otherwise = {"if": condition, "then": schema, "else": otherwise}
    return otherwise
