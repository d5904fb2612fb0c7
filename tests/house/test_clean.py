"""Nothing in the repository ties it to one machine, and every package that is imported is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in pieces, so that this file passes its own test.
FOREIGN = [
    "/wor" + "k/",
    "/ro" + "ot/",
    "/tmp/bash" + "_jobs",
    "/opt/ve" + "nv",
    "files.python" + "hosted.org",
    "pypi" + ".org",
    "registry." + "npmjs.org",
    "index-" + "url",
]
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {"liquid": "python-liquid", "dateutil": "python-dateutil", "prometheus_client": "prometheus-client"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_registry() -> None:
    wrong = []
    for path in tracked_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        wrong += [f"{path.relative_to(ROOT)} contains {word}" for word in FOREIGN if word in text]
    assert not wrong, "\n".join(wrong)


def declared(names: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", name, maxsplit=1)[0].lower().replace("_", "-") for name in names}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_every_import_is_a_declared_dependency_and_every_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = declared(project["dependencies"])
    optional = {name for extra in project["optional-dependencies"].values() for name in declared(extra)}
    seen: dict[str, str] = {}
    for path in [*(ROOT / "python").rglob("*.py"), *(ROOT / "server").rglob("*.py")]:
        for name in imported(path) - set(sys.stdlib_module_names) - {"cdpstore"}:
            seen.setdefault(DISTRIBUTIONS.get(name, name).lower().replace("_", "-"), str(path.relative_to(ROOT)))
    undeclared = {name: where for name, where in seen.items() if name not in required | optional}
    assert not undeclared
    unused = required - set(seen) - {"tzdata"}  # tzdata is read by zoneinfo
    assert not unused, f"declared but never imported: {unused}"


def test_no_file_has_an_unfinished_mark() -> None:
    mark = re.compile(r"\b(FIX" + r"ME|XX" + r"X)\b")
    code = [path for path in tracked_files() if path.suffix in {".py", ".cpp", ".hpp", ".cmake"}]
    assert not [str(path.relative_to(ROOT)) for path in code if mark.search(path.read_text())]
