"""How sagas of an older version go on under a newer one, where its author wrote how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from amends.domain.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Migration:
    """Lets an operator move sagas of `version` to the version that names this in `migrates`.

    `steps` gives, for a step of the older version, its name in the newer one; the others keep theirs. `before` is a
    step of the older version: a saga in which it has begun is refused.
    """

    version: int
    steps: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    before: str = ""

    def name_of(self, step: str) -> str:
        """What a step of the older version is called in the newer one."""
        return self.steps.get(step, step)


def check_migrations(where: str, version: int, steps: Sequence[str], migrations: Sequence[Migration]) -> None:
    """Refuse what cannot be meant. Raises `DefinitionError`."""
    seen = Counter(each.version for each in migrations)
    for each in migrations:
        if each.version >= version or seen[each.version] > 1:
            raise DefinitionError(
                f"{where}: expected one Migration for an older version than {version}, got "
                f"{seen[each.version]} for version {each.version}"
            )
        for old, new in each.steps.items():
            if new not in steps:
                raise DefinitionError(
                    f"{where}: Migration({each.version}): expected {old!r} to become a step of this version "
                    f"({', '.join(steps)}), got {new!r}"
                )
        twice = [new for new, count in Counter(each.steps.values()).items() if count > 1]
        if twice:
            raise DefinitionError(
                f"{where}: Migration({each.version}): expected each step to come from one step, "
                f"got several for {', '.join(twice)}"
            )
