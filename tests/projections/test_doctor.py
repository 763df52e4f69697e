"""What the examination of a database finds, each trouble made on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from amends.domain import events as e
from amends.infrastructure.ports import Commit
from amends.infrastructure.postgres.store import MIGRATIONS
from amends.projections.doctor.database import migration_findings, projection_findings, store_findings
from amends.projections.doctor.finding import Finding
from amends.projections.runner import Runner
from tests.infrastructure.store_data import dead, outgoing
from tests.projections.conftest import NAMESPACE, Place


def about(findings: Sequence[Finding], name: str) -> Finding:
    [found] = [finding for finding in findings if finding.about == name]
    return found


async def a_saga(place: Place) -> None:
    start = e.SagaStarted(
        at=datetime.now(UTC), cause="m1", by="w1", saga="order", definition=3, namespace="test", key="o1",
        subject="orders.placed", start={},
    )  # fmt: skip
    await place.record(uuid4(), start)


async def test_an_empty_store_is_well(place: Place) -> None:
    findings = [
        *await migration_findings(place.url, NAMESPACE),
        *await store_findings(place.store),
        *await projection_findings(place.url, NAMESPACE),
    ]
    assert {finding.health for finding in findings} == {"well"}


async def test_a_version_that_nobody_runs(place: Place) -> None:
    await a_saga(place)
    found = about(await store_findings(place.store), "workers")
    assert (found.health, found.told) == ("broken", "nobody holds order@3: 1 sagas and 0 messages wait")
    assert found.mend == "amends worker MODULE  # one that holds order@3"


async def test_sagas_in_quarantine(place: Place) -> None:
    saga = uuid4()
    await place.store.commit(Commit(quarantined={saga: "ZeroDivisionError: by zero"}))
    found = about(await store_findings(place.store), "quarantine")
    assert found.health == "attention"
    assert found.told.startswith("1 sagas cannot be decided; the longest since ")
    assert found.told.endswith("ZeroDivisionError: by zero")
    assert f"amends show {saga}" in found.mend


async def test_messages_that_the_broker_has_not_taken(place: Place) -> None:
    await place.store.commit(Commit(outbox=[(None, outgoing())]))
    assert about(await store_findings(place.store), "outbox").health == "well", "it may be on its way"
    await place.query("UPDATE test.outbox SET created_at = created_at - interval '1 minute'")
    found = about(await store_findings(place.store), "outbox")
    assert (found.health, found.told[:10]) == ("broken", "1 messages")


async def test_dead_letters_and_a_view_that_is_behind(place: Place) -> None:
    await place.store.commit(Commit(dead=[dead("m1"), dead("m2")]))
    await a_saga(place)
    findings = await projection_findings(place.url, NAMESPACE)
    assert about(findings, "dead letters").told == "2 messages could not be handled"
    assert about(findings, "projection sagas").told.startswith("1 events are not shown yet")
    await Runner(place.url, NAMESPACE).catch_up()
    findings = await projection_findings(place.url, NAMESPACE)
    assert about(findings, "projection sagas").health == "well"


async def test_a_projection_that_does_not_go_on(place: Place) -> None:
    await place.query("UPDATE test.projections SET error = 'KeyError: step' WHERE name = 'sagas'")
    found = about(await projection_findings(place.url, NAMESPACE), "projection sagas")
    assert (found.health, found.told) == ("broken", "does not go on: KeyError: step")
    assert found.mend == "amends projections rebuild sagas"


async def test_migrations_that_are_missing_or_unknown(place: Place) -> None:
    await place.query("INSERT INTO test.migrations VALUES (%s, 999, '999_later.sql')", MIGRATIONS)
    [found] = await migration_findings(place.url, NAMESPACE)
    assert (found.health, found.mend) == ("broken", "upgrade this program: a newer one has run here")
    assert "999_later.sql" in found.told
    [found] = await migration_findings(place.url, "never")
    assert found.health == "attention"
    assert "001_store.sql" in found.told
