"""What is measured, one file a section. Each section but the first runs in a process of its own, so that none of them
inherits another's memory. To add one: a file with `measure(folder) -> list[Result]`, and its line here."""

SECTIONS = [
    "versus",
    "rules",
    "append",
    "load",
    "point",
    "overhead",
    "live",
    "scale",
    "hundred",
    "shapes",
    "profiles",
    "service",
    "loop",
]
