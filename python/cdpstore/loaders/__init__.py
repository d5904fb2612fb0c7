"""Files into a store or a server: one file a format, and one loop that sends what they read.

`load_files` takes records from NDJSON, CSV and Parquet, plain or packed (gz, zst). A row that cannot be is a reject
with its place in its file, never the end of the load; a load that broke off goes on where it stopped when it is started
again.
"""

from cdpstore.loaders.fields import FieldMapping
from cdpstore.loaders.formats import FORMATS, Source, format_of
from cdpstore.loaders.run import FileReport, load_files
from cdpstore.loaders.targets import ClientTarget, StoreTarget, Target

__all__ = [
    "FORMATS",
    "ClientTarget",
    "FieldMapping",
    "FileReport",
    "Source",
    "StoreTarget",
    "Target",
    "format_of",
    "load_files",
]
