"""`amends unclaimed`: what became of events that found no saga."""

from __future__ import annotations

from amends.infrastructure.embedded import Servers
from amends.infrastructure.ports import Commit, Unclaimed
from amends.infrastructure.postgres.store import PostgresStore
from tests.cli.conftest import Shell


async def test_events_that_found_no_saga_are_listed(bare: Shell, servers: Servers, namespace: str) -> None:
    kept = Unclaimed("m1", "order", "payments.charged", "o-1", "kept")
    ignored = Unclaimed("m2", "order", "guests.sneezed", "o-2", "ignored")
    async with PostgresStore.open(servers.database_url, namespace) as store:
        await store.commit(Commit(unclaimed=[kept, ignored]))
    said = bare.amends("unclaimed", "--json", namespace=namespace)
    assert said.status == 0
    assert [(each["message_id"], each["became"]) for each in said.json] == [("m2", "ignored"), ("m1", "kept")]
    assert all(each["at"] for each in said.json)
    table = bare.amends("unclaimed", "--limit", "1", namespace=namespace)
    assert "guests.sneezed" in table.words
    assert "payments.charged" not in table.words
