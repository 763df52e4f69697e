"""Text from outside, made fit for a database."""

from __future__ import annotations


def all_storable(texts: list[str]) -> list[str]:
    """These texts, each `storable`; nearly always as they are."""
    together = "".join(texts)
    if together.isascii() and "\0" not in together:
        return texts
    return list(map(storable, texts))


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL characters and halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
