"""Arithmetic over the series of a trend, by definition: integers exact, quotients rounded once, floats as Python's."""

import ast
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from cdpstore.testing.spec import bad
from cdpstore.testing.values import rounded

__all__ = ["Formula", "formula"]

Formula = Callable[[Sequence[Sequence[Any]]], Any]

_MOST = 2**126


def formula(text: Any, path: str, series_count: int, titles: Sequence[str]) -> Formula:
    """What computes the formula from the measures of each series.

    >>> formula("B / A * 100", "formula[0]", 2, ["total"])([[4], [1]])
    25.0
    """
    if not isinstance(text, str) or not 1 <= len(text.encode()) <= 500:
        bad(path, "expected a formula of 1 to 500 bytes")
    series = [chr(ord("A") + number) for number in range(series_count)]
    names = [(letter, at, 0) for at, letter in enumerate(series)]
    names += [(f"{letter}.{title}", at, i) for at, letter in enumerate(series) for i, title in enumerate(titles)]
    names.sort(key=lambda name: -len(name[0]))
    source = ""
    used: list[tuple[int, int]] = []
    rest = text
    while rest:
        found = next((name for name in names if rest.startswith(name[0])), None)
        if found and not (len(found[0]) == 1 and rest[1:2] == "."):
            source += f" _{len(used)} "
            used.append(found[1:])
            rest = rest[len(found[0]) :]
            continue
        number = re.match(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", rest)
        token = number.group() if number else rest[0]
        if not number and token not in " ()+-*/":
            bad(path, f"did not expect {token!r}")
        source += _number(token) if number else token
        rest = rest[len(token) :]
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        bad(path, "no formula")
    _check(tree, path)
    return lambda values: _evaluate(tree, [values[at][index] for at, index in used])


def _number(token: str) -> str:
    return str(int(token)) if token.isdigit() else repr(float(token))


def _check(node: ast.expr, path: str) -> None:
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right):
            _check(left, path)
            _check(right, path)
        case ast.UnaryOp(ast.USub(), operand):
            _check(operand, path)
        case ast.Constant() | ast.Name():
            pass
        case _:
            bad(path, "no formula")


def _evaluate(node: ast.expr, values: Sequence[Any]) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return values[int(name[1:])]
        case ast.UnaryOp(_, operand):
            value = _evaluate(operand, values)
            return None if value is None else -value
        case ast.BinOp(left, operator, right):
            return _apply(operator, _evaluate(left, values), _evaluate(right, values))
    raise AssertionError(node)


def _apply(operator: ast.operator, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if isinstance(left, int) and isinstance(right, int) and not isinstance(operator, ast.Div):
        exact = {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}[type(operator)]
        if abs(exact) <= _MOST:
            return exact
    if isinstance(operator, ast.Div):
        if right == 0:
            return None
        if isinstance(left, int) and isinstance(right, int) and abs(right) < 2**64:
            return rounded(Fraction(left, right))
        return _finite(lambda: float(left) / float(right))
    if isinstance(operator, ast.Add):
        return _finite(lambda: float(left) + float(right))
    if isinstance(operator, ast.Sub):
        return _finite(lambda: float(left) - float(right))
    return _finite(lambda: float(left) * float(right))


def _finite(compute: Callable[[], float]) -> float | None:
    try:
        value = compute()
    except (OverflowError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None
