"""Floors only go down: by includes for C++, by import-linter for Python."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"

# A room and the rooms it may include, itself apart.
BELOW = {
    "base": set[str](),
    "codec": {"base"},
    "column": {"base"},
    "simd": {"base"},
    "disk": {"base"},
    "store": {"base", "codec", "column", "simd", "disk"},
    "query": {"base", "codec", "column", "simd", "disk", "store"},
    "engine": {"base", "codec", "column", "simd", "disk", "store", "query"},
    "bindings": {"base", "codec", "column", "simd", "disk", "store", "query", "engine"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def cpp_files() -> list[Path]:
    return sorted([*CPP.rglob("*.hpp"), *CPP.rglob("*.cpp")])


def room_of(path: Path) -> str:
    return path.relative_to(CPP).parts[0]


def included(path: Path) -> list[str]:
    return INCLUDE.findall(path.read_text())


def test_every_cpp_room_has_a_floor() -> None:
    assert {room_of(path) for path in cpp_files()} <= set(BELOW)


def test_cpp_includes_only_go_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} includes {include}"
        for path in cpp_files()
        for include in included(path)
        if (room := include.split("/")[0]) != room_of(path) and room not in BELOW[room_of(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_cpp_includes_name_the_room() -> None:
    wrong = [
        f'{path.relative_to(ROOT)} includes "{include}"; write "room/file.hpp"'
        for path in cpp_files()
        for include in included(path)
        if not (CPP / include).exists()
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_are_guarded_by_pragma_once() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in CPP.rglob("*.hpp") if "#pragma once" not in path.read_text()]
    assert not wrong


def test_cpp_includes_have_no_cycle() -> None:
    graph = {str(path.relative_to(CPP)): included(path) for path in cpp_files()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for include in graph.get(name, []):
                walk(include, (*trail, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_python_imports_only_go_down() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    assert linter is not None, "import-linter is missing: it comes with the dev group of pyproject.toml"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
