"""Programs of the benchmarks: `worker`, `views`, `real` (the four services) and `echo` (answers, and keeps nothing)."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from amends import Settings, Worker
from amends.cli.projecting import projecting
from amends.cli.running import execute, on_signal
from amends.domain import wire
from amends.examples.order.saga import Order
from amends.examples.order.services import inventory, notifications, payments, shipping
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Incoming, Outgoing

REPLIES = {
    "inventory.reserve": ("inventory.reserved", b'{"order_id":"x"}'),
    "payments.charge": ("payments.charged", b'{"payment_id":"x"}'),
    "shipping.create": ("shipping.created", b'{"tracking":"x"}'),
}
COPIED = (wire.SAGA_ID, wire.SAGA, wire.KEY, wire.STEP, wire.DIRECTION, wire.ROUND, wire.ATTEMPT)


async def worker() -> None:
    running = Worker([Order], deliver="all")
    on_signal(running.stop)
    run = asyncio.create_task(running.run())
    await running.ready()
    print("ready", flush=True)
    await run


async def views() -> None:
    stopped = asyncio.Event()
    on_signal(stopped.set)
    async with projecting(Settings()):
        print("ready", flush=True)
        await stopped.wait()


async def real() -> None:
    services = (inventory, payments, shipping, notifications)

    def stop() -> None:
        for each in services:
            each.stop()

    on_signal(stop)
    runs = [asyncio.create_task(each.run(Settings())) for each in services]
    print("ready", flush=True)
    await asyncio.gather(*runs)


async def echo() -> None:
    settings = Settings()
    stopped = asyncio.Event()
    on_signal(stopped.set)
    ns = settings.namespace
    consumer = ConsumerSpec(wire.stream(ns, "commands"), "echo", (f"{ns}.cmd.>",))
    async with Servers(settings) as servers, Broker(servers.nats_url, name="echo", namespace=ns) as broker:
        await broker.ensure(streams(ns, timedelta(days=settings.stream_max_age)), [consumer])
        publisher = broker.publisher()
        async with broker.inbox([consumer]) as inbox:
            print("ready", flush=True)
            while not stopped.is_set():
                messages = await inbox.receive(500, 0.5)
                await publisher.publish([answer(ns, message) for message in messages])
                await inbox.acknowledge(messages)


def answer(ns: str, message: Incoming) -> Outgoing:
    subject = message.subject.removeprefix(f"{ns}.cmd.")
    refused = subject == "shipping.create" and b"Atlantis" in message.body
    reply, body = REPLIES.get(subject, (f"{subject}.done", b"{}"))
    if refused:
        reply, body = f"{subject}.rejected", b'{"code":"unreachable","reason":"no carrier goes there"}'
    command = message.headers[wire.CE_ID]
    headers = {name: message.headers[name] for name in COPIED}
    headers |= {
        wire.CE_ID: f"reply-{command}",
        wire.CAUSATION_ID: command,
        wire.OUTCOME: "rejected" if refused else "succeeded",
    }
    return Outgoing(f"reply-{command}", wire.event_subject(ns, reply), headers, body)


if __name__ == "__main__":
    execute({"worker": worker, "views": views, "real": real, "echo": echo}[sys.argv[1]]())
