"""The event-sourcing library's own test cases, on our recorder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from amends.infrastructure.postgres.datastore import SagaDatastore
from amends.infrastructure.postgres.recorder import SagaRecorder
from tests.infrastructure.postgres.conftest import NAMESPACE


class _OnOurs:
    datastore: SagaDatastore

    @pytest.fixture(autouse=True)
    def _open(self, store_database: str) -> Iterator[None]:
        self.datastore = SagaDatastore(store_database, NAMESPACE, size=10)
        yield
        self.datastore.close()

    def create_recorder(self) -> SagaRecorder:
        return SagaRecorder(self.datastore)


class TestApplicationRecorder(_OnOurs, ApplicationRecorderTestCase[SagaRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNotificationIdsDoNotInterleave(_OnOurs, NonInterleavingNotificationIDsBaseCase):
    pass
