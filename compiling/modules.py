"""What is compiled: the fold, the deciders, the pure part of a batch, and what turns messages into bytes."""

from __future__ import annotations

from typing import Final

MODULES: Final = (
    "amends/domain/aggregate.py",
    "amends/domain/changes.py",
    "amends/domain/decide.py",
    "amends/domain/evolve.py",
    "amends/domain/evolve_waits.py",
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
    "amends/domain/turn.py",
    "amends/infrastructure/encoding.py",
    "amends/infrastructure/headers.py",
    "amends/infrastructure/letters.py",
    "amends/infrastructure/nats/delivery.py",
    "amends/infrastructure/nats/protocol.py",
    "amends/infrastructure/nats/publisher.py",
    "amends/infrastructure/postgres/arrays.py",
    "amends/infrastructure/postgres/batch.py",
    "amends/infrastructure/storable.py",
    "amends/process_managers/batch.py",
    "amends/process_managers/draft.py",
    "amends/process_managers/outgoing.py",
    "amends/process_managers/routing.py",
)
