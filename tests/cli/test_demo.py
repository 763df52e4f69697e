"""`amends demo`: what it shows, and that it ends."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex

from tests.cli.conftest import Shell


def test_the_demonstration_shows_outcomes_histories_and_books_that_balance(bare: Shell) -> None:
    own = bare.settings.model_copy(update={"namespace": f"t{token_hex(6)}"})
    said = replace(bare, settings=own).amends("demo", "--orders", "32")
    assert (said.status, said.errors) == (0, "")
    for fate, end, orders in (
        ("shipped", "completed", 24),
        ("payment declined", "compensated", 2),
        ("out of stock", "compensated", 2),
        ("refused at shipping", "compensated", 2),
        ("payment never answered", "compensated", 2),
    ):
        assert f"{fate} │ {end} │ {end} │ {orders}" in said.words
    assert said.words.count(": completed, recorded by") == 1
    assert said.words.count(": compensated, recorded by") == 1
    balance = said.out.partition("Do the books balance?")[2]
    assert balance.count("  yes  ") == 8
    assert "NO" not in balance
    assert "amends history" in said.out.partition("What to try next")[2]
    listed = replace(bare, settings=own).amends("list", "--status", "compensated", "--json").json
    assert (len(listed["rows"]), listed["behind"]) == (8, 0)
    with replace(bare, settings=own).running("worker", "amends.examples.order"):
        pass  # the order of the example, beside the hasty version of the demonstration
