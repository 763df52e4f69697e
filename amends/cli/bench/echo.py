"""A service that answers every command at once and keeps nothing: what sagas cost without their participants.

`python -m amends.cli.bench.echo`. When it is stopped it prints, as JSON, how many keys took effect by command.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import timedelta
from operator import itemgetter
from typing import Final

from amends.cli.running import execute, on_signal
from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.headers import Headers, template
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.settings import Settings

_REPLIES: Final = {
    "inventory.reserve": ("inventory.reserved", b'{"order_id":"x"}'),
    "payments.charge": ("payments.charged", b'{"payment_id":"x"}'),
    "shipping.create": ("shipping.created", b'{"tracking":"x"}'),
}
_COPIED: Final = (wire.SAGA_ID, wire.SAGA, wire.KEY, wire.STEP, wire.DIRECTION, wire.ROUND, wire.ATTEMPT)
_HEADERS: Final = template(*_COPIED, wire.CE_ID, wire.CAUSATION_ID, wire.OUTCOME)
_copied: Final = itemgetter(*_COPIED)
_AT_ONCE: Final = 500
_LOOK_UP: Final = 0.5


class Echo:
    """Answers, and counts the idempotency keys that took effect."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._keys: dict[str, set[str]] = defaultdict(set)

    @property
    def effects(self) -> dict[str, int]:
        return {subject: len(keys) for subject, keys in self._keys.items()}

    def answer(self, message: Incoming) -> Outgoing:
        subject = message.subject.removeprefix(f"{self._namespace}.cmd.")
        refused = subject == "shipping.create" and b"Atlantis" in message.body
        if refused:
            reply, body = f"{subject}.rejected", b'{"code":"unreachable","reason":"no carrier goes there"}'
        else:
            reply, body = _REPLIES.get(subject, (f"{subject}.done", b"{}"))
            self._keys[subject].add(message.headers[wire.IDEMPOTENCY_KEY])
        command = message.headers[wire.CE_ID]
        identity = f"reply-{command}"
        # Plain already: that is how the command brought them.
        told = (*_copied(message.headers), identity, command, "rejected" if refused else "succeeded")
        headers = Headers((_HEADERS % told).encode())
        return Outgoing(identity, wire.event_subject(self._namespace, reply), headers, body)


def effects_said(said: str) -> dict[str, int]:
    """What the program printed at its end."""
    found: dict[str, int] = json.loads(said)
    return found


async def _serve() -> None:
    settings = Settings()
    stopped = asyncio.Event()
    on_signal(stopped.set)
    ns = settings.namespace
    echo = Echo(ns)
    consumer = ConsumerSpec(wire.stream(ns, "commands"), "echo", (f"{ns}.cmd.>",))
    async with Servers(settings) as servers, Broker(servers.nats_url, name="echo", namespace=ns) as broker:
        await broker.ensure(streams(ns, timedelta(days=settings.stream_max_age)), [consumer])
        publisher = broker.publisher()
        async with broker.inbox([consumer]) as inbox:
            _say("ready")
            while not stopped.is_set():
                messages = await inbox.receive(_AT_ONCE, _LOOK_UP)
                await publisher.publish([echo.answer(message) for message in messages])
                await inbox.acknowledge(messages)
    _say(json.dumps(echo.effects))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the program that started this one reads it


if __name__ == "__main__":
    execute(_serve())
