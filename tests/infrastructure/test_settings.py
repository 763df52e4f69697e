from __future__ import annotations

from pathlib import Path

import pytest

from amends.infrastructure.errors import SettingsError
from amends.infrastructure.settings import Settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith("AMENDS_")]:
        monkeypatch.delenv(name)


def refusal(**values: object) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return str(caught.value)


def test_without_any_variable_everything_is_embedded_in_the_working_directory() -> None:
    settings = Settings()
    assert settings.database_url is None
    assert settings.nats_url is None
    assert settings.data_dir == Path(".amends")
    assert settings.namespace == "amends"
    assert settings.nats_sync_interval == "1s"


def test_the_environment_is_read_and_the_constructor_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENDS_BATCH_SIZE", "50")
    monkeypatch.setenv("AMENDS_NAMESPACE", "shop")
    settings = Settings(namespace="other")
    assert (settings.batch_size, settings.namespace) == (50, "other")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENDS_DATABASE_URL", "")
    assert Settings().database_url is None


def test_passwords_are_not_shown() -> None:
    settings = Settings(
        database_url="postgresql://u:hidden@h/d",
        nats_url="nats://u:hidden@h",
        participant_database_url="postgresql://u:hidden@h/{name}",
    )
    assert "hidden" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hidden@h/d"


def test_all_wrong_settings_are_named_at_once_with_what_was_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENDS_NAMESPACE", "Shop")
    monkeypatch.setenv("AMENDS_BATCH_SIZE", "0")
    monkeypatch.setenv("AMENDS_NATS_SYNC_INTERVAL", "soon")
    monkeypatch.setenv("AMENDS_LOG_FORMAT", "xml")
    text = refusal()
    assert "AMENDS_NAMESPACE: expected a lower-case letter, then" in text
    assert "came 'Shop'" in text
    assert "AMENDS_BATCH_SIZE: expected greater than or equal to 1; came '0'" in text
    assert "AMENDS_NATS_SYNC_INTERVAL: expected `always`, or a time like 500ms, 1s or 2m; came 'soon'" in text
    assert "AMENDS_LOG_FORMAT: expected 'auto', 'console' or 'json'; came 'xml'" in text


@pytest.mark.parametrize("name", ["database_url", "participant_database_url", "nats_url"])
def test_a_wrong_url_is_refused_without_showing_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AMENDS_{name.upper()}", "mysql://u:hidden@h/d")
    text = refusal()
    assert f"AMENDS_{name.upper()}: expected a URL like" in text
    assert "hidden" not in text


def test_an_unknown_variable_is_refused_with_the_likely_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENDS_DATABSE_URL", "postgresql://h/d")
    assert "AMENDS_DATABSE_URL is not a setting of Amends. Did you mean AMENDS_DATABASE_URL?" in refusal()


def test_an_unknown_argument_is_refused_with_the_likely_name() -> None:
    assert "bach_size is not a setting. Did you mean batch_size?" in refusal(bach_size=1)


@pytest.mark.parametrize("namespace", ["", "1a", "a-b", "a.b", "ä", "a" * 41, "a\n", "amends_views"])
def test_a_namespace_that_would_not_do_as_subject_stream_and_schema(namespace: str) -> None:
    assert "namespace: expected" in refusal(namespace=namespace)


def test_several_nats_urls_are_one_setting() -> None:
    settings = Settings(nats_url="nats://a:4222,tls://b:4222")
    assert settings.nats_url is not None
    assert settings.nats_url.get_secret_value() == "nats://a:4222,tls://b:4222"
