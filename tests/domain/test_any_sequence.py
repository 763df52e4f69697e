"""Any sequence of answers, losses, repetitions, delays, timeouts, cancels, crashes keeps the invariants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple, TypeVar, cast
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.domain import events as e
from amends.domain.definition import Definition
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Action, Input, Resume, Retry
from amends.domain.told import Admit, Arrival, Reply, Tick
from amends.domain.wire import Direction, Outcome
from amends.testing import invariants
from tests.domain.driver import SECOND, Play
from tests.domain.random_actions import ACTIONS
from tests.domain.random_sagas import BODY, Told, definitions
from tests.domain.world import Behaviour, World

T = TypeVar("T")


class Act(NamedTuple):
    """One thing that happens: `which` chooses the message, `again` leaves a copy of it in the network."""

    kind: str
    which: int
    behaviour: Behaviour
    again: bool


_KINDS = ["command"] * 8 + ["reply"] * 8 + ["lose command", "lose reply", "tick", "tick", "wait", "crash"]
_KINDS += ["event"] * 3
_BEHAVIOURS: tuple[Behaviour, ...] = (*("do",) * 6, "reject", "fail")


def acts(*more: str) -> st.SearchStrategy[list[Act]]:
    act = st.builds(
        Act,
        st.sampled_from([*_KINDS, *more]),
        st.integers(0, 5),
        st.sampled_from(_BEHAVIOURS),
        st.sampled_from([False, False, True]),
    )
    return st.lists(act, min_size=12, max_size=60)


class Network(Play):
    """A saga, its services, and a network between them that loses, repeats and reorders."""

    def __init__(self, definition: Definition, *, limited: bool = False) -> None:
        self.held: list[e.CommandRecorded] = []
        self.commands_out: list[e.CommandRecorded] = []
        self.replies_out: list[Reply] = []
        self.world = World()
        super().__init__(definition, limited=("service",) if limited else ())

    def check(self) -> None:
        """After every decision: what of the invariants a later history would no longer show."""
        broken = invariants.of_wake_up(self.state, self.history)
        quiet = not self.commands_out and not self.replies_out
        broken += invariants.of_effects(self.definition, self.history, self.world.facts, quiet=quiet)
        assert not broken, "\n".join([*broken, *self.told()])

    def check_all(self) -> None:
        super().check()
        self.check()

    def give(self, given: Input) -> list[e.SagaEvent]:
        events = super().give(given)
        for event in events:
            if isinstance(event, e.CommandRecorded):
                (self.held if event.held else self.commands_out).append(event)
            elif isinstance(event, e.CommandReleased | e.CommandWithdrawn):
                [held] = [each for each in self.held if _place(each) == _place(event)]
                self.held.remove(held)
                self.commands_out += [held] if isinstance(event, e.CommandReleased) else []
        return list(events)

    def act(self, act: Act) -> None:
        match act.kind:
            case "command" | "reply" | "lose command" | "lose reply":
                self._carry(act)
            case "tick" if self.state.wake_up:
                self.tick()
            case "event":
                self.tell(act.which, yes=act.behaviour == "do", again=act.again)
            case "admit" if self.held:
                self.give(Admit(self.held[act.which % len(self.held)].command_id))
            case "wait":
                self.wait(SECOND * act.which * 2)
            case "crash":
                self.decide_again(act.which)
            case kind if kind in ACTIONS:
                self.try_give(ACTIONS[kind](self, self.world, act.which))

    def _carry(self, act: Act) -> None:
        """Something happens to a message on its way."""
        match act.kind:
            case "command" if self.commands_out:
                self.handle(self._take(self.commands_out, act), act.behaviour)
            case "reply" if self.replies_out:
                self.give(self._take(self.replies_out, act))
            case "lose command" if self.commands_out:
                self.commands_out.pop(act.which % len(self.commands_out))
            case "lose reply" if self.replies_out:
                self.replies_out.pop(act.which % len(self.replies_out))
            case _:
                pass

    def tell(self, which: int, *, yes: bool, again: bool = False) -> None:
        """An event comes that some step may wait for, now or later, or that nobody waits for."""
        step = self.definition.steps[which % len(self.definition.steps)].name
        event = Told(step=step, yes=yes)
        self.give(Arrival(f"{step}/{yes}/{again}", event.subject, event.model_dump_json().encode()))

    def _take(self, messages: list[T], act: Act) -> T:
        at = act.which % len(messages)
        return messages[at] if act.again else messages.pop(at)

    def handle(self, command: e.CommandRecorded, behaviour: Behaviour) -> None:
        outcome = self.world.handle(command, behaviour)
        self.replies_out.append(reply_to(command, outcome))

    def decide_again(self, which: int) -> None:
        """The worker crashed before it acknowledged: an input comes that was applied long ago.

        A clock's and a limit's own words are no messages: what they said too early changed nothing and is
        said again.
        """
        given = self.inputs[-1 - which % len(self.inputs)]
        if not isinstance(given, Tick | Admit):
            assert self.try_give(given) == [], "14: an applied input was applied again"

    def try_give(self, given: Input) -> list[e.SagaEvent]:
        try:
            return self.give(given)
        except ActionRefused:
            assert isinstance(given, Action)
            return []

    def calm(self, behaviour: Behaviour) -> None:
        """The network is reliable from now on: the saga settles, or is parked while services refuse."""
        if self.state.suspended:
            self.give(Resume("resume-last", "it is over"))
        for step in [step.name for step, _, line in self.state.active() if line.stopped]:
            self.give(Retry(f"retry-{step}", "nobody looks after it", step))
        for _ in range(400):
            self._deliver_all(behaviour)
            for step in [step.name for step, _ in self.state.waits()] if behaviour == "do" else ():
                self.arrive(Told(step=step))
            if self.commands_out or self.held:
                continue
            if self.state.status.final or (self.parked and (behaviour != "do" or self.untrusted)):
                return
            self.tick()
        raise AssertionError("\n".join(["neither settled nor parked", *self.told()]))

    def _deliver_all(self, behaviour: Behaviour) -> None:
        for held in list(self.held):
            self.give(Admit(held.command_id))
        while self.commands_out or self.replies_out:
            for command in self._drain(self.commands_out):
                self.handle(command, behaviour)
            for reply in self._drain(self.replies_out):
                self.give(reply)

    def _drain(self, messages: list[T]) -> list[T]:
        drained = list(messages)
        messages.clear()
        return drained

    @property
    def untrusted(self) -> bool:
        """A foreign service's no settles nothing while another attempt is unanswered: a person must come."""
        return any(step.forward.foreign is not None for step in self.definition.steps)

    @property
    def parked(self) -> bool:
        lines = any(line.parked for _, _, line in self.state.active())
        return lines or any(wait.parked for _, wait in self.state.waits())


def _place(event: e.OfCommand) -> tuple[str, Direction, int, int]:
    return event.step, event.direction, event.round, event.attempt


def reply_to(command: e.CommandRecorded, outcome: Outcome) -> Reply:
    body = BODY if outcome is Outcome.SUCCEEDED else b""
    return Reply(f"{command.command_id}/{outcome}", command.command_id, outcome, body=body, reason="so it is")


_SETTINGS = settings(
    max_examples=800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def played(definition: Definition, happens: list[Act], behaviour: str, *, limited: bool = False) -> Network:
    network = Network(definition, limited=limited)
    for act in happens:
        network.act(act)
    network.calm(cast("Behaviour", behaviour))
    network.check_all()
    return network


@_SETTINGS
@given(definitions(), acts("cancel"), st.sampled_from(["do", "do", "reject", "fail"]))
def test_with_keeping_participants_every_saga_settles_or_is_parked(
    definition: Definition, happens: list[Act], behaviour: str
) -> None:
    network = played(definition, happens, behaviour)
    assert network.state.contradictions == 0, network.told()


@_SETTINGS
@given(definitions(), acts(*ACTIONS), st.sampled_from(["do", "do", "reject", "fail"]))
def test_whatever_operators_do_every_saga_settles_or_is_parked(
    definition: Definition, happens: list[Act], behaviour: str
) -> None:
    network = played(definition, happens, behaviour)
    # What is heard too late, after an operator's last word, can only be flagged.
    last_word = network.status == "failed" or any(step.by_hand for step in network.state.steps.values())
    assert last_word or network.state.contradictions == 0, network.told()


@_SETTINGS
@given(definitions(), acts(*ACTIONS, *["admit"] * 8), st.sampled_from(["do", "do", "reject", "fail"]))
def test_whatever_limits_hold_every_saga_settles_or_is_parked(
    definition: Definition, happens: list[Act], behaviour: str
) -> None:
    network = played(definition, happens, behaviour, limited=True)
    last_word = network.status == "failed" or any(step.by_hand for step in network.state.steps.values())
    assert last_word or network.state.contradictions == 0, network.told()
    assert not network.held


@_SETTINGS
@given(
    definitions(foreign=False),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Outcome), st.booleans()), min_size=5, max_size=60),
)
def test_with_lying_participants_nothing_breaks_and_every_contradiction_is_flagged(
    definition: Definition, said: list[tuple[int, Outcome, bool]]
) -> None:
    play = lied(definition, said)
    assert bool(play.state.contradictions) == play.contradicted, play.told()


@_SETTINGS
@given(
    definitions(),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Outcome), st.booleans()), min_size=5, max_size=60),
)
def test_with_lying_foreign_participants_nothing_breaks(
    definition: Definition, said: list[tuple[int, Outcome, bool]]
) -> None:
    lied(definition, said)


def lied(definition: Definition, said: list[tuple[int, Outcome, bool]]) -> Liars:
    play = Liars(definition)
    for which, outcome, ticks in said:
        play.says(which, outcome)
        play.tell(which, yes=outcome is not Outcome.REJECTED)
        if ticks and play.state.wake_up:
            play.tick()
    play.check_all()
    return play


@_SETTINGS
@given(definitions(foreign=True), acts("cancel"))
def test_what_foreign_participants_do_late_or_twice_is_undone(
    definition: Definition, happens: list[Act]
) -> None:
    play = Strangers(definition)
    for act in happens:
        if not act.kind.startswith("lose"):
            play.act(act._replace(again=False))
    play.calm("do")
    play.check_all()
    assert play.status != "compensated" or not play.left_behind(), play.told()


class Strangers(Network):
    """Services that do a thing for each command that asks for it, and undo it for each that asks for that."""

    def __init__(self, definition: Definition) -> None:
        self.effects: set[str] = set()
        super().__init__(definition)

    def handle(self, command: e.CommandRecorded, behaviour: Behaviour) -> None:
        outcomes = {"do": Outcome.SUCCEEDED, "reject": Outcome.REJECTED, "fail": Outcome.FAILED}
        if behaviour == "do":
            undoes = command.direction is Direction.COMPENSATE
            (self.effects.discard if undoes else self.effects.add)(command.step)
        self.replies_out.append(reply_to(command, outcomes[behaviour]))

    def left_behind(self) -> set[str]:
        """Steps that took effect, although they could have been undone."""
        undoable = {step.name for step in self.definition.steps if step.compensation is not None}
        return {name for name in self.effects & undoable if not self.state.step(name).passed_over}

    def check(self) -> None:
        broken = invariants.of_wake_up(self.state, self.history)
        assert not broken, "\n".join([*broken, *self.told()])


class Liars(Network):
    """Services that answer anything to any command, at any time, as often as they like."""

    def __init__(self, definition: Definition) -> None:
        self.answers: defaultdict[UUID | None, set[Outcome]] = defaultdict(set)
        super().__init__(definition)

    def says(self, which: int, outcome: Outcome) -> None:
        commands = self.commands
        if not commands:
            return
        command = commands[-1 - which % len(commands)]
        if outcome is Outcome.TIMED_OUT:  # it never travels; a failure without remedy instead
            self.give(replace(reply_to(command, Outcome.FAILED), code="forgotten"))
            return
        self.give(reply_to(command, outcome))
        key = command.forward_key if command.direction is Direction.CLOSE else command.key
        if outcome is not Outcome.FAILED:
            self.answers[key].add(outcome)

    @property
    def contradicted(self) -> bool:
        return any(len(outcomes) > 1 for outcomes in self.answers.values())

    def check(self) -> None:
        broken = invariants.of_wake_up(self.state, self.history)
        assert not broken, "\n".join([*broken, *self.told()])
