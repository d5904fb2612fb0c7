"""Questions that read as they are asked, and that are nothing but a spec: one file a kind, this list of them.

>>> funnel("Viewed", "Added", "Charged", window="7d").by_trait("country").spec()["steps"]
['Viewed', 'Added', 'Charged']

Every builder is immutable: each call returns a new one, so parts can be shared. `to_spec` takes a builder or a dict.
"""

from cdpstore.query.did import did, did_not, regularly, restarted, stopped
from cdpstore.query.explain import Explain, explain
from cdpstore.query.funnel import Funnel, Step, funnel, step
from cdpstore.query.json_schema import json_schema
from cdpstore.query.local import (
    bucket,
    created,
    first_seen,
    identity,
    in_segment,
    item,
    last_seen,
    near,
    own_value,
    ranked,
    trait_value,
)
from cdpstore.query.overlap import Overlap, changes, overlap
from cdpstore.query.predicate import (
    HasDevice,
    InGroup,
    Predicate,
    TraitPredicate,
    consent,
    has_device,
    in_group,
    is_suppressed,
    on_list,
    trait,
)
from cdpstore.query.profile import Profile, profile
from cdpstore.query.profiles import Profiles, profiles
from cdpstore.query.question import Question, Spec, to_spec
from cdpstore.query.retention import Retention, retention
from cdpstore.query.selector import Selector, any_event, any_of, named
from cdpstore.query.sequence import Sequence, sequence
from cdpstore.query.share import mostly, share_of
from cdpstore.query.timed import at_times
from cdpstore.query.trend import Series, Trend, series, trend
from cdpstore.query.where import Where, field
from cdpstore.query.zone import zone_kept_in

__all__ = [
    "KINDS",
    "Explain",
    "Funnel",
    "HasDevice",
    "InGroup",
    "Overlap",
    "Predicate",
    "Profile",
    "Profiles",
    "Question",
    "Retention",
    "Selector",
    "Sequence",
    "Series",
    "Spec",
    "Step",
    "TraitPredicate",
    "Trend",
    "Where",
    "any_event",
    "any_of",
    "at_times",
    "bucket",
    "changes",
    "consent",
    "created",
    "did",
    "did_not",
    "explain",
    "field",
    "first_seen",
    "funnel",
    "has_device",
    "identity",
    "in_group",
    "in_segment",
    "is_suppressed",
    "item",
    "json_schema",
    "last_seen",
    "mostly",
    "named",
    "near",
    "on_list",
    "overlap",
    "own_value",
    "profile",
    "profiles",
    "ranked",
    "regularly",
    "restarted",
    "retention",
    "sequence",
    "series",
    "share_of",
    "step",
    "stopped",
    "to_spec",
    "trait",
    "trait_value",
    "trend",
    "zone_kept_in",
]

KINDS = ("trend", "funnel", "retention", "profiles", "overlap", "explain", "profile")
