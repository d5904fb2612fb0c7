"""The errors of the whole product: one root, one class a family, the same codes in C++, on the wire and over HTTP.

A family says who is at fault and whether trying again can help; the `code` (dotted, listed in `cpp/base/error.hpp`)
says what exactly happened; `path` points into the query or record that caused it. Callers catch
families and show codes.

>>> error = from_core("BadQuery", "query.field.unknown", "no such field", "steps[0].wher")
>>> type(error).__name__, error.code, error.path, error.http_status
('BadQuery', 'query.field.unknown', 'steps[0].wher', 400)
>>> isinstance(error, InvalidRequest) and isinstance(error, CDPError)
True
"""

from typing import ClassVar, Final

__all__ = [
    "FAMILIES",
    "BadEvent",
    "BadFrame",
    "BadQuery",
    "CDPError",
    "Conflict",
    "Corruption",
    "Forbidden",
    "InternalError",
    "InvalidRequest",
    "LimitExceeded",
    "NotFound",
    "Timeout",
    "Unauthenticated",
    "Unavailable",
    "from_core",
]


class CDPError(Exception):
    """The root of every error that cdpstore raises on purpose.

    `retry_after_ms` is None unless waiting that long can help; `path` is empty when nothing in the input is at fault.
    """

    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, *, retry_after_ms: int | None = None, path: str = "") -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
        self.retry_after_ms: Final = retry_after_ms
        self.path: Final = path

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.code}{where}: {self.message}"

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders whole (pytest-xdist, executors)."""
        return _rebuild, (type(self), self.code, self.message, self.retry_after_ms, self.path)


class InvalidRequest(CDPError):
    """The caller sent something that cannot be meant; `path` names it. Never worth a retry."""

    http_status = 400


class BadQuery(InvalidRequest):
    """A query that cannot be answered as written."""


class BadEvent(InvalidRequest):
    """A record that was refused, where it is the whole request; in a batch it is a reject of the ack instead."""


class BadFrame(InvalidRequest):
    """A batch or frame that cannot be read at all, so that no record of it was looked at."""


class Unauthenticated(CDPError):
    """The credential is missing, unknown or revoked."""

    http_status = 401


class Forbidden(CDPError):
    """The credential is good but lacks the right."""

    http_status = 403


class NotFound(CDPError):
    """What was named does not exist."""

    http_status = 404


class Conflict(CDPError):
    """What was asked contradicts what already is: a name taken, a producer's number gone by."""

    http_status = 409


class LimitExceeded(CDPError):
    """Over a bound of `limits`; the message gives the limit and the value."""

    http_status = 413


class Unavailable(CDPError):
    """Starting, draining, poisoned by a failed disk, or a provider that is down."""

    http_status = 503
    retryable = True


class Timeout(CDPError):
    """The deadline passed before the answer was there."""

    http_status = 504
    retryable = True


class Corruption(CDPError):
    """Bytes on disk are not what was written. Stop, never guess."""


class InternalError(CDPError):
    """Anything unforeseen: a bug of ours."""


FAMILIES: Final[dict[str, type[CDPError]]] = {
    family.__name__: family
    for family in (
        InvalidRequest,
        BadQuery,
        BadEvent,
        BadFrame,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        LimitExceeded,
        Unavailable,
        Timeout,
        Corruption,
        InternalError,
    )
}
FAMILIES["Internal"] = InternalError  # the enumerator in cpp/base/error.hpp is kInternal


def from_core(family: str, code: str, message: str, path: str = "", retry_after_ms: int | None = None) -> CDPError:
    """The error that C++ threw, as its Python class; an unknown family is an `InternalError` that keeps its code.

    `family` is the enumerator's name in `cpp/base/error.hpp`, with or without its leading k.
    """
    name = family[1:] if family[:1] == "k" and family[1:2].isupper() else family
    return FAMILIES.get(name, InternalError)(code, message, retry_after_ms=retry_after_ms, path=path)


def _rebuild(family: type[CDPError], code: str, message: str, retry_after_ms: int | None, path: str) -> CDPError:
    return family(code, message, retry_after_ms=retry_after_ms, path=path)
