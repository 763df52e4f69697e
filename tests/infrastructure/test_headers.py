"""Headers as the lines that travel: they say what they were made of, and are kept as what they are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from amends.domain.wire import NATS_MSG_ID
from amends.infrastructure.broker import Unsendable
from amends.infrastructure.encoding import encode
from amends.infrastructure.headers import Headers, plain, restored, stored, template
from amends.infrastructure.nats.protocol import header_fields
from amends.infrastructure.ports import Outgoing

SAID = {"ce-id": "m1", "Amends-Key": "a: b", "Amends-Step": "größe", "empty": ""}


def test_lines_are_the_headers_that_they_were_made_of() -> None:
    headers = plain(SAID)
    assert headers == SAID
    assert list(headers.items()) == list(SAID.items())
    assert (len(headers), "ce-id" in headers, headers.get("ce-type")) == (4, True, None)


def test_a_template_is_completed_by_values() -> None:
    lines = template("ce-id", "Amends-Round") % ("m1", 2)
    assert Headers(lines.encode()) == {"ce-id": "m1", "Amends-Round": "2"}


@pytest.mark.parametrize("headers", [SAID, plain(SAID), {}, {"a": "x\r\nb: y"}, {"{": "}"}])
def test_an_outbox_gives_back_what_it_keeps(headers: Mapping[str, str]) -> None:
    kept = restored(stored(headers).decode())
    assert kept == headers
    assert isinstance(kept, Headers) == isinstance(headers, Headers), "whether it travels is still to be seen"


def test_lines_travel_as_the_same_headers_in_a_dictionary_do() -> None:
    known, unknown = (Outgoing("m1", "a.b", headers, b"{}", "m1@2") for headers in (plain(SAID), SAID))
    [one], [other] = encode([known]), encode([unknown])
    assert one.frame("reply") == other.frame("reply")
    assert header_fields(one.headers) == {**SAID, NATS_MSG_ID: "m1@2"}


def test_what_an_outbox_kept_unseen_is_refused_where_it_cannot_travel() -> None:
    headers = restored(stored({"ce-id": "m1", "Amends-Step": "x\r\ny: z"}).decode())
    with pytest.raises(Unsendable, match="Amends-Step has a line break"):
        encode([Outgoing("m1", "a.b", headers, b"{}")])
