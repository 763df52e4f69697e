"""Operators' actions on their way to a worker that holds the saga's version, and the answers."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from amends.domain import inputs
from amends.domain.errors import ActionRefused, AmendsError
from amends.domain.events import JsonObject
from amends.domain.inputs import Action
from amends.infrastructure.ports import Publisher, Store
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry

ACTIONS: Final[dict[str, type[Action]]] = {
    "abandon": inputs.Abandon,
    "cancel": inputs.Cancel,
    "migrate": inputs.Migrate,
    "release": inputs.Release,
    "reschedule": inputs.Reschedule,
    "resume": inputs.Resume,
    "retry": inputs.Retry,
    "settle": inputs.Settle,
    "skip": inputs.Skip,
    "suspend": inputs.Suspend,
}
"""Every action by the name that operators call it by."""

_NAMES: Final = {kind: name for name, kind in ACTIONS.items()}


class BadAction(AmendsError):
    """An action does not say, in a way that can be read, what is to be done."""


class Desk:
    """Does in a worker what operators ask for."""

    def __init__(self, store: Store, publisher: Publisher, registry: Registry, namespace: str) -> None:
        self._store = store
        self._publisher = publisher
        self._registry = registry
        self._namespace = namespace

    async def answer(self, question: bytes) -> bytes:
        """An empty object where it is done, else why it is refused."""
        try:
            saga_id, action = read_question(question)
            await act(self._store, self._publisher, self._registry, self._namespace, saga_id, action)
        except AmendsError as error:
            return to_json({"refused": str(error)})
        return b"{}"


def question(saga_id: UUID, action: Action) -> bytes:
    """What is sent to a worker."""
    return to_json({"saga_id": saga_id, **to_data(action)})


def read_question(body: bytes) -> tuple[UUID, Action]:
    """The reverse of `question`. Raises `BadAction`."""
    try:
        asked = from_json(body)
        return UUID(asked["saga_id"]), from_data(asked)
    except (ValueError, KeyError, TypeError) as error:
        raise BadAction(f"expected JSON with saga_id, action and fields; {error}") from None


def read_answer(body: bytes) -> None:
    """Raises `ActionRefused` where that was the answer."""
    refused = from_json(body).get("refused")
    if refused:
        raise ActionRefused(refused)


def to_data(action: Action) -> JsonObject:
    """The action as JSON, to be sent or kept."""
    fields: dict[str, Any] = TypeAdapter(type(action)).dump_python(action, mode="json")
    return {"action": _NAMES[type(action)], "fields": fields}


def from_data(data: JsonObject) -> Action:
    """The reverse of `to_data`. Raises `BadAction`."""
    kind = ACTIONS.get(data["action"])
    if kind is None:
        raise BadAction(f"expected one of {', '.join(ACTIONS)}, got {data['action']!r}")
    try:
        return TypeAdapter(kind).validate_python(data["fields"], strict=False)
    except ValidationError as error:
        raise BadAction(f"{data['action']}: {error}") from None
