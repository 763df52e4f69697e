"""Requests to JetStream's API that wait for the broker to be there."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from nats import errors
from nats.aio.msg import Msg

from amends.domain.errors import AmendsError

if TYPE_CHECKING:
    from amends.infrastructure.nats.connection import Broker

_LOG: Final = logging.getLogger("amends.nats")
_ANSWERS_WITHIN: Final = 5.0
_PAUSE: Final = 0.25

STREAM_NOT_FOUND: Final = 10059
CONSUMER_NOT_FOUND: Final = 10014
MESSAGE_NOT_FOUND: Final = 10037
_FOR_NOW: Final = frozenset({10008, 10009})  # no leader, or the cluster is not ready


class ApiError(AmendsError):
    """JetStream refused a request; `code` is its own error code."""

    def __init__(self, subject: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"JetStream refused {subject}: {error.get('description')} ({error.get('err_code')})")
        self.code: int = error.get("err_code", 0)
        self.description = str(error.get("description", ""))


class Api:
    """JetStream's API over a broker's connection."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def call(self, subject: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer, however long the broker is away. Raises ApiError where it refuses."""
        body = json.dumps(request).encode() if request is not None else b""
        while True:
            answer = await self._ask(f"$JS.API.{subject}", body)
            if answer is not None:
                error = answer.get("error")
                if error is None:
                    return answer
                if error.get("err_code") not in _FOR_NOW:
                    raise ApiError(subject, error)
            _LOG.warning("JetStream does not answer %s for now, asking again", subject)
            await asyncio.sleep(_PAUSE)

    async def find(
        self, subject: str, absent: frozenset[int], request: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """As `call`, but None where the refusal's code is one of `absent`."""
        try:
            return await self.call(subject, request)
        except ApiError as error:
            if error.code in absent:
                return None
            raise

    async def _ask(self, subject: str, body: bytes) -> dict[str, Any] | None:
        """One try; None if there was no answer. Ends at once when the connection breaks."""
        connection = await self._broker.connected()
        asked = asyncio.create_task(self._broker.client.request(subject, body, timeout=_ANSWERS_WITHIN))
        try:
            either: set[asyncio.Future[Any]] = {asked, connection.broken}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                return None
            message: Msg = asked.result()
            answer: dict[str, Any] = json.loads(message.data)
        except (errors.TimeoutError, errors.NoRespondersError, errors.OutboundBufferLimitError):
            return None
        finally:
            asked.cancel()
        return answer

    async def stream(self, name: str) -> dict[str, Any] | None:
        """What the server tells of a stream; None: there is none."""
        return await self.find(f"STREAM.INFO.{name}", frozenset({STREAM_NOT_FOUND}))

    async def consumer(self, stream: str, durable: str) -> dict[str, Any] | None:
        """What the server tells of a consumer; None: there is none, or no such stream."""
        absent = frozenset({CONSUMER_NOT_FOUND, STREAM_NOT_FOUND})
        return await self.find(f"CONSUMER.INFO.{stream}.{durable}", absent)

    async def message(self, stream: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """A stored message (`seq`, `subject`, `time`, `hdrs`) as the leader has it; None: there is none."""
        absent = frozenset({MESSAGE_NOT_FOUND, STREAM_NOT_FOUND})
        answer = await self.find(f"STREAM.MSG.GET.{stream}", absent, request)
        return None if answer is None else answer["message"]
