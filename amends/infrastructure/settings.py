"""Settings, read from environment variables whose names begin with AMENDS_."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from amends.infrastructure.errors import SettingsError

PREFIX = "AMENDS_"

_DATABASE_SCHEMES = ("postgresql", "postgres")
_NATS_SCHEMES = ("nats", "tls", "ws", "wss")


def _database_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in _DATABASE_SCHEMES:
        raise ValueError("a URL like postgresql://user:password@host:5432/database")
    return value


def _nats_url(value: SecretStr) -> SecretStr:
    urls = value.get_secret_value().split(",")
    if not all(
        urlsplit(url.strip()).scheme in _NATS_SCHEMES and urlsplit(url.strip()).hostname for url in urls
    ):
        raise ValueError("a URL like nats://host:4222, or several with commas between")
    return value


def _namespace(value: str) -> str:
    if "_views" in value:
        raise ValueError("a name without _views in it")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
NatsUrl = Annotated[SecretStr, AfterValidator(_nats_url)]
Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"), AfterValidator(_namespace)]
Address = Annotated[str, StringConstraints(pattern=r"^([0-9A-Za-z.:\[\]-]+:[0-9]{1,5})?$")]
SyncInterval = Annotated[str, StringConstraints(pattern=r"^(always|[1-9][0-9]{0,5}(ms|s|m))$")]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class Settings(BaseSettings):
    """How Amends runs. Each field `x` is read from the environment variable `AMENDS_X`.

    A value passed to the constructor goes before the environment. URLs may hold passwords: they are secrets,
    shown as asterisks wherever the settings are printed; `get_secret_value()` gives them.

    Raises SettingsError, which lists all wrong settings, and all AMENDS_ variables that are not settings.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    database_url: DatabaseUrl | None = None
    """PostgreSQL of the process manager. None: an embedded server in `data_dir`."""

    nats_url: NatsUrl | None = None
    """NATS with JetStream; several URLs with commas between. None: an embedded server in `data_dir`."""

    participant_database_url: DatabaseUrl | None = None
    """Database of the participants; `{name}` stands for a participant's name. None: one database for each of
    them, on the same server as `database_url`."""

    namespace: Namespace = "amends"
    """The tenant: prefix of subjects, streams and the database schema."""

    data_dir: Path = Path(".amends")
    """Folder of the embedded servers. Every command that names the same folder shares the same servers."""

    nats_sync_interval: SyncInterval = "1s"
    """How often the embedded JetStream syncs to disk: `always`, or a time like `500ms`, `1s`, `2m`.

    The server acknowledges before it syncs, and left alone it syncs every two minutes. PostgreSQL is the
    truth here: whatever JetStream loses is sent again by the process manager and the participants, out of
    their databases. Only publishers that keep no outbox have something to lose in a power failure; one
    second bounds that, at next to no cost. `always` takes away even that second, and about halves the
    throughput."""

    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Most messages that a worker takes into one transaction."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto`: readable on a terminal, JSON lines elsewhere."""

    log_level: LogLevel = "info"

    stream_max_age: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days for which the JetStream streams keep messages."""

    timer_lease: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds for which a worker that took a due timer keeps it from the other workers."""

    outbox_retention: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days for which published outbox rows are kept, to send them again should NATS lose them."""

    metrics: Address = ""
    """Where the command line's programs answer `GET /metrics` for Prometheus, as host:port; left out: nowhere."""

    operator: str = ""
    """Who acts, as it is recorded with an operator's action; left out: the name of the user on this machine."""

    def __init__(self, **values: Any) -> None:
        wrong = _unknown_variables(type(self).model_fields)
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = [*_wrong_values(error, values), *wrong]
        if wrong:
            raise SettingsError(
                "\n".join(["These settings are wrong:", *(f"  - {line}" for line in wrong)])
            ) from None


def operator(settings: Settings | None = None) -> str:
    """Who acts from here."""
    return (settings or Settings()).operator or getuser()


_EXPECTED = {
    "namespace": "a lower-case letter, then up to 39 lower-case letters, digits or underscores, and no `_views`, "
    "which is what the schemas of another namespace's views are called",
    "nats_sync_interval": "`always`, or a time like 500ms, 1s or 2m",
    "data_dir": "the path of a folder",
    "metrics": "host:port, such as 127.0.0.1:9464",
}


def _wrong_values(error: ValidationError, values: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            lines.append(f"{name} is not a setting.{_did_you_mean(name, Settings.model_fields)}")
            continue
        expected = _EXPECTED.get(name) or _plain(detail["msg"])
        came = (
            "a value not shown, for it may hold a password"
            if name.endswith("_url")
            else repr(detail["input"])
        )
        variable = f"{PREFIX}{name.upper()}"
        mend = f"Set {variable} so, or leave it out for the default."
        lines.append(f"{name if name in values else variable}: expected {expected}; came {came}. {mend}")
    return lines


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("a valid ")


def _unknown_variables(fields: Iterable[str]) -> list[str]:
    known = [PREFIX + name.upper() for name in fields]
    return [
        f"{name} is not a setting of Amends.{_did_you_mean(name, known)} Rename or unset it."
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), names, n=1)
    return f" Did you mean {names[close[0]]}?" if close else f" Known are: {', '.join(names.values())}."
