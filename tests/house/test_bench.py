"""The benchmarks hold together: their peers are not installed where the tests run, so they are read, not imported."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names_of(module: Path) -> set[str]:
    """What a module defines or imports at its top."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def test_what_a_benchmark_takes_from_another_is_there() -> None:
    missing = []
    files = sorted((ROOT / "bench").rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("bench"):
                continue
            path = ROOT.joinpath(*(node.module or "").split("."))
            module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            known = names_of(module) if module.exists() else set()
            for alias in node.names:
                beside = path / f"{alias.name}.py"
                if alias.name not in known and not beside.exists() and not (path / alias.name).is_dir():
                    missing.append(f"{file.relative_to(ROOT)}: {alias.name} of {node.module}")
    assert files
    assert not missing


def test_every_section_that_is_listed_measures() -> None:
    listed = ast.parse((ROOT / "bench" / "sections" / "__init__.py").read_text()).body[-1]
    assert isinstance(listed, ast.Assign)
    for section in ast.literal_eval(listed.value):
        assert "measure" in names_of(ROOT / "bench" / "sections" / f"{section}.py"), section
