"""A whole system in one process, in memory, on virtual time; nothing happens in it unless it is told to go on.

It runs the production engine and the production participant over ports in memory. Whoever holds a `Stepper` decides
what happens next: time passes by `advance`, programs are killed by `kill` or where a `Chooser` says so, the broker
loses its store by `lose`. The same calls lead to the same history, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from amends.domain import wire
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded
from amends.domain.identity import saga_id
from amends.infrastructure.broker import ConsumerSpec, StreamSpec
from amends.infrastructure.broker import streams as default_streams
from amends.infrastructure.clock import naming
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.memory.store import MemoryStore
from amends.infrastructure.ports import Incoming, Outgoing, Publisher, Store
from amends.participant.handlers import Handlers
from amends.participant.reactions import Reactions
from amends.process_managers.registry import Registry
from amends.testing.memory_link import MemoryLink
from amends.testing.processes import Calm, Chooser, Gated, Gates, Process
from amends.testing.programs import Place, listen, serve, work
from amends.testing.services import ServiceDatabase
from amends.testing.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")

_STREAMS_KEEP: Final = timedelta(days=7)


class Stepper:
    """Broker, store, clocks, and the programs that run on them.

    `clock` is the broker's and every program's, `database_clock` the store's. `streams`
    are the namespace's own unless others are given. `broker` and `store` may be given, made from their clocks, by who
    wants to watch them.
    """

    def __init__(
        self,
        *,
        namespace: str = "test",
        chooser: Chooser | None = None,
        streams: Sequence[StreamSpec] = (),
        broker: Callable[[VirtualClock], MemoryBroker] = MemoryBroker,
        store: Callable[[VirtualClock], MemoryStore] = MemoryStore,
    ) -> None:
        self.namespace = namespace
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.database_clock = VirtualClock(self.loop)
        self.broker = broker(self.clock)
        self.store = store(self.database_clock)
        self.gates = Gates(self.loop, chooser or Calm())
        self.processes: dict[str, Process] = {}
        self._place = Place(
            namespace,
            self.broker,
            self.store,
            self.clock,
            streams or default_streams(namespace, _STREAMS_KEEP),
        )
        self._names = count(1)
        self.complete(self.broker.ensure(self._place.streams, ()))

    # Programs

    def start(self, name: str, main: Callable[[Process], Coroutine[Any, Any, Any]]) -> Process:
        """Start a program; one of this name that runs already is killed first."""
        if name in self.processes:
            self.kill(name)
        process = self.processes[name] = Process(name, self.loop, self.gates)
        with naming(self._fresh_name):
            process.run(main(process))
        return process

    def worker(self, name: str, definitions: Iterable[AnyDefinition], **options: Any) -> Process:
        """Start a worker that holds these definitions; `options` are those of `Engine`, ports included."""
        registry = Registry(definitions)
        return self.start(name, lambda process: work(self._place, process, registry, options))

    def participant(
        self, name: str, handlers: Handlers, database: ServiceDatabase, reactions: Reactions | None = None
    ) -> Process:
        """Start a replica of a participant. The part of its name before a `-` is the service's: `payments-2`."""
        return self.start(name, lambda process: serve(self._place, process, handlers, database, reactions))

    def foreign(self, name: str, subjects: Sequence[str], handle: Callable[[Incoming], None]) -> Process:
        """Start a service that is no participant: it takes commands on these subjects, and keeps no promises."""
        return self.start(name, lambda process: listen(self._place, process, subjects, handle))

    def ports(self, process: Process) -> tuple[Store, Publisher]:
        """The store and the broker as a program sees them that was started by `start`."""
        store = cast(Store, Gated(self.store, "store", process))
        return store, MemoryLink(self.broker, process).publisher()

    def kill(self, name: str) -> None:
        """As by a power failure: what the program had not yet brought into broker or database is gone."""
        self.processes.pop(name).kill()
        self.loop.run_ready()

    def stop(self, name: str) -> None:
        """Have the program finish what it has in hand, and end."""
        self.processes.pop(name).stopping.set()
        self.settle()

    def close(self) -> None:
        """Kill every program."""
        while self.processes:
            self.processes.popitem()[1].kill()
        while True:
            try:
                return self.loop.run_ready()
            except KeyboardInterrupt:
                continue

    # What happens

    def publish(
        self, subject: str, identity: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Put an event onto the broker, as some service outside does; `subject` is without namespace."""
        message = self.event(subject, identity, body, headers)
        self.complete(self.broker.publisher().publish([message]))

    def event(
        self, subject: str, identity: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Outgoing:
        """An event as a service outside would publish it; `subject` is without namespace."""
        place = wire.event_subject(self.namespace, subject)
        return Outgoing(identity, place, {wire.CE_ID: identity, **(headers or {})}, body)

    def settle(self) -> None:
        """Let every program work until all of them wait for messages or for time to pass.

        Raises what a program died of, unless it was killed.
        """
        self.loop.run_ready()
        if self.loop.errors:
            raise self.loop.errors.pop(0)

    def advance(self, duration: timedelta) -> None:
        """Let time pass; what falls due on the way happens at its moment."""
        until = self.loop.now + duration
        self.settle()
        while (moment := self.loop.next_timer) is not None and moment <= until:
            self.loop.move_to(moment)
            self.settle()
        self.loop.move_to(until)
        self.settle()

    def jump(self, duration: timedelta) -> None:
        """Let time pass while nobody works, as when the machine was suspended."""
        self.loop.move_to(self.loop.now + duration)

    def lose(self, stream: str) -> None:
        """The broker loses a stream, `commands`, `events` or `sagas`, and what its consumers knew."""
        self.broker.lose(wire.stream(self.namespace, stream))

    # What can be seen

    def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a call to a port that does not wait for anything. Raises `Stuck` where it does."""
        with naming(self._fresh_name):
            return self.loop.complete(coroutine)

    def published(self, stream: str) -> list[Incoming]:
        """All that the broker holds of `commands`, `events`, `sagas` or `dead`, in its order."""
        name = f"reader-{next(self._names)}"
        spec = ConsumerSpec(wire.stream(self.namespace, stream), name, (f"{self.namespace}.>",))
        self.complete(self.broker.ensure((), [spec]))
        return list(self.complete(self.broker.inbox([spec]).receive(1_000_000, 0)))

    def id(self, saga: str, key: str) -> UUID:
        """The id of the saga of this type and key."""
        return saga_id(self.namespace, saga, key)

    def history(self, saga: UUID) -> list[Recorded]:
        """The events of a saga so far."""
        return self.complete(self.store.history(saga))

    def _fresh_name(self) -> str:
        return f"name-{next(self._names)}"
