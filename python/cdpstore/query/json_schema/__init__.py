"""JSON Schema (2020-12) of a query spec: for editors, for validators in other languages, for code that writes specs.

>>> json_schema()["$defs"]["funnel"]["properties"]["attempt"]["enum"]
['longest', 'first_entry']

The grammar is that of docs/architecture.md, "Query spec". What it allows, the schema accepts; what the store
refuses, the schema refuses as far as it can tell, unknown fields first of all. Descriptions say where the store checks
more: the order of two numbers, durations beside one another, what a text means. Three things differ by nature: lengths
are of characters here and of bytes there (of ASCII the same), a whole number is written without a point there, and a
field that is null counts as left out there and has to be left out here.

Forms are told apart by `if` and `then`, never by trying them all: an error is that of the form that was meant, at its
place.
"""

import copy

from cdpstore.query.json_schema.clauses import CLAUSES, PREDICATE
from cdpstore.query.json_schema.events import EVENTS
from cdpstore.query.json_schema.kinds import KINDS
from cdpstore.query.json_schema.parts import Schema, enum, ref
from cdpstore.query.json_schema.times import TIMES
from cdpstore.query.json_schema.values import VALUES

__all__ = ["Schema", "json_schema"]


def json_schema() -> Schema:
    """The schema of all kinds of questions; `$defs` has every part by its name. A new dict each time."""
    kinds = [
        {"if": {"required": ["kind"], "properties": {"kind": {"const": kind}}}, "then": ref(kind)} for kind in KINDS
    ]
    return copy.deepcopy(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Question to cdpstore",
            "description": "A query spec: the same map for Python, msgpack and JSON.",
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": enum("What is asked.", *KINDS)},
            "allOf": kinds,
            "$defs": {**KINDS, **PREDICATE, **CLAUSES, **EVENTS, **TIMES, **VALUES},
        }
    )
