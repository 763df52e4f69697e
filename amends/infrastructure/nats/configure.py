"""Streams and consumers: created where missing, checked where present, never silently changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from amends.infrastructure.broker import ConfiguredOtherwise, ConsumerSpec, StreamMissing, StreamSpec
from amends.infrastructure.nats.api import CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, Api, ApiError
from amends.infrastructure.subjects import covers, minimal

_LOG: Final = logging.getLogger("amends.nats")
_NANOSECONDS: Final = 1_000_000_000
_STREAM_EXISTS: Final = 10058
_SUBJECTS_OVERLAP: Final = 10065
_STORE_FAILED: Final = 10049
_STORE_FAILS_WITHIN: Final = 10.0
_PAUSE: Final = 0.25
_CONSUMER_EXISTS: Final = frozenset({10148, 10105, 10013})
_OURS: Final = {"created-by": "amends"}

# What the server says, or leaves out, for a field that nobody set. Where one of these is set, messages would
# be dropped or withheld in ways that we do not expect.
_STREAM_DEFAULTS: Final[Mapping[str, object]] = {
    "max_msgs_per_subject": -1, "max_msg_size": -1, "no_ack": False, "sealed": False,
    "mirror": None, "subject_transform": None,
}  # fmt: skip
_CONSUMER_DEFAULTS: Final[Mapping[str, object]] = {
    "deliver_subject": "", "headers_only": False, "inactive_threshold": 0, "backoff": None,
    "rate_limit_bps": 0, "max_batch": 0, "max_expires": 0, "max_bytes": 0,
}  # fmt: skip


async def ensure(
    api: Api, streams: Sequence[StreamSpec], consumers: Sequence[ConsumerSpec], begin: Mapping[str, int]
) -> dict[str, int]:
    """All of these exist afterwards as they are specified. Raises ConfiguredOtherwise, StreamMissing.

    Returns up to which sequence all is acknowledged, by `ConsumerSpec.place`.
    """
    await asyncio.gather(*(_ensure_stream(api, spec) for spec in streams))
    found = await asyncio.gather(*(_ensure_consumer(api, spec, begin.get(spec.place)) for spec in consumers))
    return {spec.place: info["ack_floor"]["stream_seq"] for spec, info in zip(consumers, found, strict=True)}


async def _ensure_stream(api: Api, spec: StreamSpec) -> None:
    found = await api.stream(spec.name)
    if found is None:
        try:
            found = await _create_stream(api, spec)
        except ApiError as error:
            if error.code == _SUBJECTS_OVERLAP:
                raise ConfiguredOtherwise(
                    f"stream {spec.name}",
                    {"subjects": (list(spec.subjects), "some of them in another stream")},
                    "Use another namespace, or remove those subjects from the other stream.",
                ) from error
            if error.code != _STREAM_EXISTS:
                raise
            found = await api.call(f"STREAM.INFO.{spec.name}")  # somebody else was quicker
    _check(f"stream {spec.name}", _stream_expected(spec), found["config"], "nats stream edit", spec.name)


async def _create_stream(api: Api, spec: StreamSpec) -> dict[str, Any]:
    """A server that is just starting on a store that is just being emptied fails for a moment; a full disk stays."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _STORE_FAILS_WITHIN
    while True:
        try:
            return await api.call(f"STREAM.CREATE.{spec.name}", _stream_config(spec))
        except ApiError as error:
            if error.code != _STORE_FAILED or loop.time() > until:
                raise
            _LOG.warning("the store of stream %s cannot be made for now, asking again", spec.name)
        await asyncio.sleep(_PAUSE)


def _stream_expected(spec: StreamSpec) -> dict[str, object]:
    return {
        "subjects": sorted(spec.subjects),
        "retention": "limits",
        "storage": "file",
        "max_age": _nanoseconds(spec.max_age),
        "discard": spec.discard,
        "duplicate_window": _nanoseconds(spec.duplicate_window),
        "max_msgs": spec.max_messages,
        "max_bytes": spec.max_bytes,
        **_STREAM_DEFAULTS,
    }


def _stream_config(spec: StreamSpec) -> dict[str, object]:
    asked = {key: value for key, value in _stream_expected(spec).items() if key not in _STREAM_DEFAULTS}
    return {**asked, "name": spec.name, "num_replicas": spec.replicas, "metadata": _OURS}


async def _ensure_consumer(api: Api, spec: ConsumerSpec, begin: int | None) -> dict[str, Any]:
    filters = minimal(spec.filter_subjects)
    found = await api.consumer(spec.stream, spec.durable)
    if found is not None and begin is not None and found["config"].get("opt_start_seq", 0) > begin:
        _LOG.warning("consumer %s of %s skips messages; it is made anew", spec.durable, spec.stream)
        await api.find(f"CONSUMER.DELETE.{spec.stream}.{spec.durable}", frozenset({CONSUMER_NOT_FOUND}))
        found = None
    if found is None:
        found = await _create_consumer(api, spec, _consumer_config(spec, filters, begin))
    expected = _consumer_expected(spec)
    if found["config"].get("deliver_policy") not in {"all", "new", "by_start_sequence"}:
        expected["deliver_policy"] = spec.deliver
    present = _filters_of(found["config"])
    ours = _is_ours(found["config"])
    if not ours and not all(any(covers(wanted, each) for wanted in filters) for each in present):
        expected["filter_subjects"] = list(filters)
    _check(
        f"consumer {spec.durable} of stream {spec.stream}",
        expected,
        {**found["config"], "filter_subjects": sorted(present)},
        "nats consumer edit",
        f"{spec.stream} {spec.durable}",
    )
    union = minimal((*present, *filters))
    if set(union) != set(present):
        _LOG.warning(
            "consumer %s of %s now also gets %s", spec.durable, spec.stream, set(union) - set(present)
        )
        config = {key: value for key, value in found["config"].items() if key != "filter_subject"}
        found = await _put_consumer(api, spec, {**config, "filter_subjects": list(union)}, "update")
    return found


async def _create_consumer(api: Api, spec: ConsumerSpec, config: Mapping[str, object]) -> dict[str, Any]:
    try:
        created = await _put_consumer(api, spec, config, "create")
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            raise StreamMissing(spec.stream, spec.durable) from error
        if error.code not in _CONSUMER_EXISTS:
            raise
        return await api.call(f"CONSUMER.INFO.{spec.stream}.{spec.durable}")  # somebody else was quicker
    _LOG.info("created consumer %s of %s, which begins with %s", spec.durable, spec.stream, _start(config))
    return created


async def _put_consumer(
    api: Api, spec: ConsumerSpec, config: Mapping[str, object], action: str
) -> dict[str, Any]:
    request = {"stream_name": spec.stream, "config": config, "action": action}
    return await api.call(f"CONSUMER.CREATE.{spec.stream}.{spec.durable}", request)


def _consumer_expected(spec: ConsumerSpec) -> dict[str, object]:
    return {
        "ack_policy": "explicit",
        "ack_wait": round(spec.ack_wait * _NANOSECONDS),
        "max_ack_pending": spec.max_ack_pending,
        "max_deliver": -1,
        "replay_policy": "instant",
        **_CONSUMER_DEFAULTS,
    }


def _consumer_config(spec: ConsumerSpec, filters: Sequence[str], begin: int | None) -> dict[str, object]:
    asked = {key: value for key, value in _consumer_expected(spec).items() if key not in _CONSUMER_DEFAULTS}
    start: dict[str, object] = {"deliver_policy": spec.deliver}
    if begin is not None:
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": max(begin, 1)}
    return {
        **asked, **start, "name": spec.durable, "durable_name": spec.durable,
        "filter_subjects": list(filters), "num_replicas": 0, "metadata": _OURS,
    }  # fmt: skip


def _start(config: Mapping[str, object]) -> object:
    return config.get("opt_start_seq") or config["deliver_policy"]


def _filters_of(config: Mapping[str, Any]) -> list[str]:
    """A consumer without a filter gets all subjects."""
    several: list[str] = config.get("filter_subjects") or []
    return several or [config.get("filter_subject") or ">"]


def _is_ours(config: Mapping[str, Any]) -> bool:
    metadata: Mapping[str, str] = config.get("metadata") or {}
    return all(metadata.get(key) == value for key, value in _OURS.items())


def _check(
    what: str, expected: Mapping[str, object], found: Mapping[str, Any], command: str, name: str
) -> None:
    defaults = {**_STREAM_DEFAULTS, **_CONSUMER_DEFAULTS, "subjects": []}
    differences: dict[str, tuple[object, object]] = {}
    for field, value in expected.items():
        present = found.get(field, defaults.get(field))
        if isinstance(present, list):
            present = sorted(present)
        if present != value:
            differences[field] = (_readable(field, value), _readable(field, present))
    if differences:
        author = "created by Amends with other settings" if _is_ours(found) else "not created by Amends"
        mend = (
            f"It was {author}. Change it with `{command} {name}`, or correct the settings, "
            "or use another namespace; Amends does not change it."
        )
        raise ConfiguredOtherwise(what, differences, mend)


def _readable(field: str, value: object) -> object:
    if field in {"max_age", "duplicate_window", "ack_wait"} and isinstance(value, int):
        return str(timedelta(microseconds=value // 1000))
    return value


def _nanoseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1000
