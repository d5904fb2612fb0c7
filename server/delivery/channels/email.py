"""E-mail by SMTP. The Message-ID is made of the message's own id, so a receiver or a search can tell a repeat.

What an answer means (RFC 5321): a 2xx to the end of data is sent; 4xx, or no connection before the data, is
temporary; 5xx is permanent; a connection lost after the data began is unknown, because the server may have taken the
mail.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Final

import aiosmtplib

from cdpstore.server.delivery.message import Message, Outcome, Result

__all__ = ["EmailChannel", "address_of"]

_TIMEOUT_S: Final = 30.0
_CONNECTIONS: Final = 4

_ADDRESS: Final = re.compile(r"([a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})@((?:[a-zA-Z0-9-]{1,63}\.)*[a-zA-Z0-9-]{1,63})")

Lookup = Callable[[str], Awaitable[bool | None]]


class EmailChannel:
    """A few kept connections to one SMTP server. `lookup`: asks the provider whether it has a Message-ID, if it can
    tell."""

    def __init__(self, host: str, port: int, *, message_domain: str = "cdpstore.local", lookup: Lookup | None = None):
        self._host = host
        self._port = port
        self._domain = message_domain
        self._lookup = lookup
        self._idle: list[aiosmtplib.SMTP] = []
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    async def send(self, message: Message) -> Result:
        """One attempt over a kept connection."""
        try:
            mail = self._mail(message)
        except ValueError as error:  # line breaks in a header, an address that is none
            return Result(Outcome.PERMANENT, str(error))
        async with self._slots:
            try:
                connection = await self._connect()
            except (aiosmtplib.SMTPException, OSError) as error:
                return Result(Outcome.TEMPORARY, f"no connection: {error}")
            return await self._hand_over(connection, message, mail)

    async def was_sent(self, message_id: str) -> bool | None:
        """What the lookup says."""
        return None if self._lookup is None else await self._lookup(self._header_id(message_id))

    async def close(self) -> None:
        """Says goodbye on kept connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _connect(self) -> aiosmtplib.SMTP:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.noop()
            except (aiosmtplib.SMTPException, OSError):
                connection.close()
                continue
            return connection
        connection = aiosmtplib.SMTP(hostname=self._host, port=self._port, timeout=_TIMEOUT_S)
        await connection.connect()
        return connection

    async def _hand_over(self, connection: aiosmtplib.SMTP, message: Message, mail: EmailMessage) -> Result:
        try:
            await connection.mail(message.sender)
            await connection.rcpt(message.to)
        except (aiosmtplib.SMTPException, OSError) as error:  # nothing was handed over yet
            connection.close()
            code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
            return Result(_outcome_of(code), f"refused before the data: {error}")
        try:
            _, answer = await connection.data(mail.as_bytes())
        except aiosmtplib.SMTPResponseException as error:
            connection.close()
            return Result(_outcome_of(error.code), f"{error.code} {error.message}")
        except (aiosmtplib.SMTPException, OSError) as error:
            connection.close()
            return Result(Outcome.UNKNOWN, f"the connection broke: {error}")
        self._idle.append(connection)
        return Result(Outcome.SENT, answer)

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["Message-ID"] = self._header_id(message.message_id)
        mail["From"] = address_of(message.sender)
        mail["To"] = address_of(message.to)
        mail["Subject"] = message.subject
        mail.set_content(message.body)
        return mail

    def _header_id(self, message_id: str) -> str:
        return f"<{message_id}@{self._domain}>"


def address_of(text: str) -> Address:
    """The address as a header takes it, by the rule that browsers use. Raises `ValueError` for anything else: quoted
    names, comments, lists, line breaks, letters beyond ASCII.

    >>> address_of("ada@example.test").domain
    'example.test'
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:100]!r} is no e-mail address")
    return Address(username=found[1], domain=found[2])


def _outcome_of(code: int) -> Outcome:
    return Outcome.PERMANENT if 500 <= code < 600 else Outcome.TEMPORARY
