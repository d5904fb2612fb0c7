"""The regular expressions of the query spec as those of `re`: what is promised, and nothing else."""

import re
import warnings
from functools import lru_cache
from typing import Final

__all__ = ["compiled"]

_PUNCTUATION: Final = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ESCAPE: Final = rf"\\(?:[tnrfv{_PUNCTUATION}]|x[0-9a-fA-F]{{2}}|u[0-9a-fA-F]{{4}})"
_ONE: Final = rf"(?:{_ESCAPE}|[^\\\[\]-])"
_ITEM: Final = rf"(?:\\[dDwWsS]|{_ONE}-{_ONE}|{_ONE})"
_CLASS: Final = rf"\[\^?(?:-?(?:{_ITEM})*-?|-)\]"
_ATOM: Final = re.compile(rf"\\[dDwWsS]|{_ESCAPE}|{_CLASS}|\.|[^\\\[\](){{}}|*+?.^$]", re.DOTALL)
_ASSERTION: Final = re.compile(r"\\b|\^|\$")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{([0-9]+)(?:,([0-9]*))?\})\??")
_SIZE_MAX: Final = 1_024
_REPEATS_MAX: Final = 1_000
_DEPTH_MAX: Final = 64


@lru_cache(maxsize=1_000)
def compiled(expression: str, ignore_case: bool = False) -> re.Pattern[str]:
    """The expression of `re` that finds the same; `ValueError` for what the spec does not know.

    >>> bool(compiled("^v[0-9]+$").search("v10")), bool(compiled("B$", True).search("ab"))
    (True, True)
    """
    if len(expression.encode()) > _SIZE_MAX:
        raise ValueError("too long")
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return re.compile(_translated(expression), flags)
        except (re.error, OverflowError) as error:
            raise ValueError(str(error)) from None


def _translated(expression: str) -> str:
    parts, at, depth, can_repeat = [], 0, 0, False
    while at < len(expression):
        for opening in ("(?:", "(", "|", ")"):
            if expression.startswith(opening, at):
                depth += {"|": 0, ")": -1}.get(opening, 1)
                can_repeat = opening == ")"
                at += len(opening)
                parts.append(opening)
                break
        else:
            at, can_repeat = _token(expression, at, can_repeat, parts)
        if not 0 <= depth <= _DEPTH_MAX or (expression.startswith("(?", at) and not expression.startswith("(?:", at)):
            raise ValueError("groups")
    return "".join(parts)


def _token(expression: str, at: int, can_repeat: bool, parts: list[str]) -> tuple[int, bool]:
    if match := _REPEAT.match(expression, at):
        if not can_repeat or any(int(number or 0) > _REPEATS_MAX for number in match.groups()):
            raise ValueError("repetition")
        parts.append(match[0])
        return match.end(), False
    if match := _ASSERTION.match(expression, at):
        parts.append(r"\Z" if match[0] == "$" else match[0])
        return match.end(), False
    if match := _ATOM.match(expression, at):
        if match[0] in ("[]", "[^]"):
            raise ValueError("empty class")
        parts.append(match[0])
        return match.end(), True
    raise ValueError(f"unknown at {at}")
