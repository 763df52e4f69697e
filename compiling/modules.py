"""What is compiled: the fold, the deciders, the pure part of a batch, and what turns messages into bytes."""

from __future__ import annotations

from typing import Final

MADE_OF: Final = "compiled.txt"
"""The file that tells of which sources; `amends.infrastructure.core` compares it with those that are there."""

MODULES: Final = (
    "amends/domain/aggregate.py",
    "amends/domain/changes.py",
    "amends/domain/decide.py",
    "amends/domain/definition.py",
    "amends/domain/evolve.py",
    "amends/domain/evolve_waits.py",
    "amends/domain/graph.py",
    "amends/domain/handlers/evolve.py",
    "amends/domain/handlers/state.py",
    "amends/domain/hearing.py",
    "amends/domain/history.py",
    "amends/domain/holding.py",
    "amends/domain/identity.py",
    "amends/domain/planning.py",
    "amends/domain/replies.py",
    "amends/domain/seen.py",
    "amends/domain/state.py",
    "amends/domain/told.py",
    "amends/domain/turn.py",
    "amends/domain/wire.py",
    "amends/infrastructure/encoding.py",
    "amends/infrastructure/headers.py",
    "amends/infrastructure/letters.py",
    "amends/infrastructure/nats/delivery.py",
    "amends/infrastructure/nats/in_progress.py",
    "amends/infrastructure/nats/inbox.py",
    "amends/infrastructure/nats/marks.py",
    "amends/infrastructure/nats/protocol.py",
    "amends/infrastructure/nats/publisher.py",
    "amends/infrastructure/nats/pull.py",
    "amends/infrastructure/ports.py",
    "amends/infrastructure/postgres/arrays.py",
    "amends/infrastructure/postgres/batch.py",
    "amends/infrastructure/storable.py",
    "amends/process_managers/batch.py",
    "amends/process_managers/draft.py",
    "amends/process_managers/outgoing.py",
    "amends/process_managers/registry.py",
    "amends/process_managers/remembered.py",
    "amends/process_managers/routing.py",
    "amends/process_managers/sorting.py",
)
