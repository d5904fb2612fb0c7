"""Runs the sections and prints what they found beside the floors.

make bench                  20 M events, and 50 M for `scale`; half an hour, 12 GB of memory, 12 GB of disk
make bench SIZE=small       1 M events: to see that it runs; ratios at this size say little
python -m bench --size small --only append,point
"""

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench import report
from bench.data import generate
from bench.report import Result
from bench.sections import SECTIONS, versus
from bench.versus.engines import ENGINES
from bench.versus.questions import QUESTIONS


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", choices=generate.SIZES, default="full")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, comma-separated")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for option, given, known in (
        ("--only", asked.only, SECTIONS),
        ("--engines", asked.engines, ENGINES),
        ("--questions", asked.questions, QUESTIONS),
    ):
        unknown = [name for name in given.split(",") if name not in known]
        if unknown:
            parser.error(f"argument {option}: {', '.join(unknown)}: expected of {', '.join(known)}")
    return asked


def run_apart(section: str, size: str) -> list[Result]:
    """A section in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = [sys.executable, "-m", "bench", "--size", size, "--only", section, "--child", answer.name]
        subprocess.run(command, check=True)
        return msgspec.json.decode(Path(answer.name).read_bytes(), type=list[Result])


def main() -> None:
    asked = arguments()
    folder = generate.ensure(asked.size)
    sections = asked.only.split(",")
    if asked.child:
        measure = importlib.import_module(f"bench.sections.{sections[0]}").measure
        Path(asked.child).write_bytes(msgspec.json.encode(measure(folder)))
        return
    results: list[Result] = []
    failed: list[str] = []
    for section in sections:
        print(f"## {section}", flush=True)
        try:
            found = measured(section, asked, folder)
        except (AssertionError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failed.append(section)
            print(f"{section} failed: {error}", file=sys.stderr, flush=True)
            continue
        report.show(found)
        results += found
    print(f"saved in {report.save(asked.size, results)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def measured(section: str, asked: argparse.Namespace, folder: Path) -> list[Result]:
    """The results of a section."""
    if section != "versus":
        return run_apart(section, asked.size)
    return versus.measure(
        folder, engines=asked.engines.split(","), questions=asked.questions.split(","), runs=asked.runs
    )


if __name__ == "__main__":
    main()
