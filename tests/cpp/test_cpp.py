"""Every built C++ test, each as a test of its own."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path.stem for path in (ROOT / "tests" / "cpp").glob("*_test.cpp"))


def build_folder() -> Path:
    """CDPSTORE_CPP_BUILD, or the newest of the builds that have tests."""
    if named := os.environ.get("CDPSTORE_CPP_BUILD"):
        return ROOT / named
    builds = [path for name in ("python", "dev", "release") if (path := ROOT / "build" / name / "tests").is_dir()]
    if not builds:
        pytest.fail("no C++ tests are built: run `make test`, or `cmake --preset dev && ninja -C build/dev`")
    return max(builds, key=lambda path: max((file.stat().st_mtime for file in path.iterdir()), default=0.0)).parent


def test_there_are_tests() -> None:
    assert SOURCES


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SOURCES)
def test_cpp(name: str) -> None:
    executable = build_folder() / "tests" / name
    assert executable.exists(), f"{executable} is not built"
    done = subprocess.run([executable], capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
