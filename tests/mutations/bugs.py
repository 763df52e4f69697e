"""Deliberate bugs: each must be found by the simulator or by a property test. `run.py` plays them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Bug(NamedTuple):
    """In `file`, the text `old` occurs once; with `new` in its place, `why` no longer holds."""

    name: str
    file: str
    old: str
    new: str
    why: str


BUGS: Final = (
    Bug(
        "compensates in forward order",
        "amends/domain/planning.py",
        "left.isdisjoint(graph.after[step.name])",
        "left.isdisjoint(step.after)",
        "A step is compensated only after everything that came after it is settled.",
    ),
    Bug(
        "does not compensate an ambiguous step",
        "amends/domain/state.py",
        "return happened or (ended and not (self.rejected or self.forward.unsent))",
        "return happened",
        "A step that was given up with a command recorded and no `rejected` is compensated.",
    ),
    Bug(
        "takes a new idempotency key for each attempt",
        "amends/domain/turn.py",
        "            key=round_.key,\n",
        "            key=idempotency_key(self._saga_id, step, direction, 100 + number),\n",
        "The key is the same for every attempt.",
    ),
    Bug(
        "gives up steps after the pivot, and compensates",
        "amends/domain/planning.py",
        "direction is Direction.FORWARD and step.name not in turn.definition.graph.after_pivot",
        "direction is Direction.FORWARD",
        "After the pivot a saga only goes forward.",
    ),
    Bug(
        "guesses about a pivot that did not answer",
        "amends/domain/planning.py",
        "    elif step.pivot:\n",
        "    elif step.pivot and step.compensation:\n",
        "A pivot whose retries are used up is closed.",
    ),
    Bug(
        "turns back while the pivot is out",
        "amends/domain/planning.py",
        "if pivot and line and line.open and not line.unsent:",
        "if pivot and turn.state.step(pivot.name).close.rounds:",
        "Deadline or cancel while the pivot's command is out lead to `close`.",
    ),
    Bug(
        "joins branches before all of them are done",
        "amends/domain/planning.py",
        "done.issuperset(s.after)",
        "(not s.after or not done.isdisjoint(s.after))",
        "No forward command before all predecessors are done or skipped.",
    ),
    Bug(
        "goes on while suspended",
        "amends/domain/planning.py",
        "moved = not turn.state.suspended",
        "moved = True",
        "While a saga is suspended, nothing new is sent.",
    ),
    Bug(
        "takes a repeated start for another one",
        "amends/domain/decide.py",
        "start.message_id != state.started_by and ",
        "",
        "Starting again with the same start message is a no-op.",
    ),
    Bug(
        "does not reopen for a late success",
        "amends/domain/replies.py",
        "    if turn.state.status is Status.COMPENSATED:\n",
        "    if False:\n",
        "A late success whose compensation was never sent opens a compensation, even from `compensated`.",
    ),
    Bug(
        "does not chain its history",
        "amends/domain/aggregate.py",
        'previous = self._last.digest if self._last else ""',
        'previous = ""',
        "Every event carries the hash of the event before it.",
    ),
    Bug(
        "acknowledges before the commit",
        "amends/process_managers/engine.py",
        "        if messages or due:\n            await self._deciding.handle(messages, due, until)\n"
        "        if messages:\n            await self._inbox.acknowledge(messages)\n",
        "        if messages:\n            await self._inbox.acknowledge(messages)\n"
        "        if messages or due:\n            await self._deciding.handle(messages, due, until)\n"
        "        if messages:\n",
        "A message is acknowledged only after what it caused is committed.",
    ),
    Bug(
        "publishes before the commit",
        "amends/process_managers/deciding.py",
        "                lost = await self._store.commit(commit)\n",
        "                await self.publish([message for _, message in commit.outbox])\n"
        "                lost = await self._store.commit(commit)\n",
        "Every published command equals a committed record.",
    ),
    Bug(
        "does not sweep the outbox",
        "amends/process_managers/engine.py",
        "found = await self._store.unpublished(self._batch_size + len(refused), grace)",
        "found = []",
        "What a worker committed and could not publish is published by another.",
    ),
    Bug(
        "forgets timers",
        "amends/process_managers/draft.py",
        "wake_up=state.wake_up,",
        "wake_up=None,",
        "Timers are durable and survive every crash.",
    ),
    Bug(
        "lets timeouts overtake events",
        "amends/process_managers/engine.py",
        "until = asked if handled is None else min(handled, asked)",
        "until = asked",
        "A timeout fires only when the events received before it fell due have been handled.",
    ),
    Bug(
        "drops what another worker was quicker with",
        "amends/process_managers/deciding.py",
        "for saga_id in (*lost, *batch.doubtful)",
        "for saga_id in batch.doubtful",
        "A saga that another worker changed is decided again.",
    ),
    Bug(
        "drops the tombstone",
        "amends/participant/promises.py",
        "    if key.outcome is None:\n        key.decide(\n            refusal(\n                Outcome.REJECTED,\n"
        '                "compensated",\n',
        "    if False:\n        key.decide(\n            refusal(\n                Outcome.REJECTED,\n"
        '                "compensated",\n',
        "A compensation leaves a tombstone: a forward command arriving later is rejected.",
    ),
    Bug(
        "does not remember what it did",
        "amends/participant/promises.py",
        "    elif request.direction is not Direction.COMPENSATE:\n        key.decide(answer)\n",
        "    elif request.direction is not Direction.COMPENSATE:\n        pass\n",
        "One key, at most one effect.",
    ),
    Bug(
        "keeps what a handler did before it failed",
        "amends/participant/handling.py",
        "        await savepoint.undo()\n",
        "        await savepoint.keep()\n",
        "The handler runs inside a savepoint that `Rejected` and `Failed` roll back.",
    ),
    Bug(
        "acknowledges a command before it is answered",
        "amends/participant/batches.py",
        "        return await self._batches.answer(messages)\n",
        "        await self._inbox.acknowledge(messages)\n"
        "        return await self._batches.answer(messages)\n",
        "Answer and effect commit together; the command is acknowledged after that.",
    ),
    Bug(
        "forgets a wait whose sibling was given up",
        "amends/domain/planning.py",
        "        if known.begun and not known.decided:\n",
        "        if known.forward.rounds and not known.decided:\n",
        "When a sibling is given up, wait steps end at once.",
    ),
    Bug(
        "asks again for ever before a rejection counts",
        "amends/domain/planning.py",
        "delays = step.forward.ask_again[len(known.forward.rounds) - 1 :]",
        "delays = step.forward.ask_again",
        "A rejection is asked again after the declared delays, and then it counts.",
    ),
    Bug(
        "trusts that a foreign service did nothing after its compensation",
        "amends/domain/replies.py",
        "    if foreign and turn.state.status is Status.COMPENSATING and step.compensation.rounds:\n",
        "    if False:\n",
        "A late success of a foreign participant opens a new compensation round.",
    ),
    Bug(
        "takes what a foreign service did once more for a repeat",
        "amends/domain/replies.py",
        "if reply.outcome in ref.attempt.outcomes and not (by_event and _did_it_again(turn, ref, reply)):",
        "if reply.outcome in ref.attempt.outcomes:",
        "Any success of a foreign service after its compensation was sent opens another round of it.",
    ),
    Bug(
        "tells a handler twice of one event",
        "amends/domain/handlers/calling.py",
        "if arrival.message_id in turn.state.handlers.handled:",
        "if not arrival.message_id:",
        "Every handled event is recorded by its id, and repeats are dropped.",
    ),
    Bug(
        "lets handlers decide while what they sent is undone",
        "amends/domain/handlers/calling.py",
        "return state.status is Status.RUNNING and not state.handlers.completing",
        "return not state.handlers.completing",
        "No forward command after compensation was decided.",
    ),
    Bug(
        "undoes what handlers sent in the order in which it was sent",
        "amends/domain/handlers/definition.py",
        "send.step: [before.step for before in sends[max(0, at - 1) : at]]",
        "send.step: [after.step for after in sends[at + 1 : at + 2]]",
        "A send is compensated only after everything that was sent later is settled.",
    ),
    Bug(
        "does not rename the steps of a migrated saga",
        "amends/domain/actions/migrating.py",
        "steps={old: new for old, new in names.items() if old != new},",
        "steps={},",
        "A migration moves an instance to a newer version where its author wrote how.",
    ),
    Bug(
        "decides every saga by the newest version",
        "amends/process_managers/batch.py",
        "return self.registry.get(aggregate.state.saga, version)",
        "return self.registry.newest(aggregate.state.saga)",
        "A saga finishes under the version that it started with.",
    ),
    Bug(
        "drops what it cannot decide",
        "amends/process_managers/batch.py",
        '        self._hold(saga_id, told, "quarantine", error)\n',
        "",
        "What comes for a saga in quarantine is held, and told when it is released.",
    ),
    Bug(
        "undoes an effect again",
        "amends/participant/promises.py",
        "    if key.compensation_answer is not None:\n"
        "        return Answer(Outcome.SUCCEEDED, key.compensation_answer)\n"
        "    if key.outcome is Outcome.SUCCEEDED:\n",
        "    if key.outcome is Outcome.SUCCEEDED:\n        key.compensated = False\n",
        "A compensation runs its handler only if the effect is not yet compensated, whatever its own key.",
    ),
    Bug(
        "closes a key without a tombstone",
        "amends/participant/promises.py",
        '        key.decide(\n            refusal(Outcome.REJECTED, "closed",',
        '        return (\n            refusal(Outcome.REJECTED, "closed",',
        "After `close` the key can never take effect.",
    ),
    # What services do that react to each other's events.
    Bug(
        "forgets that it reacted",
        "amends/participant/desk.py",
        "        settle(work.request, memory, answer)\n        return answer\n",
        "        return answer\n",
        "One row and one effect for each key and event.",
    ),
    Bug(
        "acknowledges an event whose reaction failed",
        "amends/participant/desk.py",
        "                batch.postponed.append(message)\n",
        "                pass\n",
        "What failed is tried again.",
    ),
    Bug(
        "undoes another row than the one that took effect",
        "amends/participant/reactions.py",
        "return self.undoes.subject if self.undoes else self.event.subject",
        "return self.event.subject",
        "The compensating event undoes what the reaction to the other event did for the same key.",
    ),
    Bug(
        "says nothing where there was nothing to undo",
        "amends/participant/reactions.py",
        "self.publishes if self.undoes else self.rejected",
        "None if self.undoes else self.rejected",
        "Services behind it in the compensation chain have their turn, also where it had nothing to undo.",
    ),
    Bug(
        "says nothing of a no",
        "amends/participant/reactions.py",
        "self.rejected if answer.outcome is Outcome.REJECTED else None",
        "None",
        "A no is definite and has an event of its own.",
    ),
    # What an observer of a choreography does.
    Bug(
        "passes over an event that overtook another",
        "amends/domain/choreography/observing.py",
        "    if _came(turn, chain, subject):\n",
        "    begun = {link.publishes.subject for link in chain.links if turn.state.step(link.name).begun}\n"
        "    if _came(turn, chain, subject) or subject not in begun | chain.turning:\n",
        "An observer records events whatever their order.",
    ),
    Bug(
        "expects what comes forwards when a chain has turned back",
        "amends/domain/choreography/observing.py",
        "            turn.record(e.StepGivenUp, step=link.name, reason=reason)\n",
        "            pass\n",
        "What comes of the chain forwards is recorded, and nothing follows from it.",
    ),
    Bug(
        "takes a chain for undone when one of its services has told so",
        "amends/domain/choreography/observing.py",
        "if all(known.decided for known in begun):",
        "if any(known.decided for known in begun):",
        "The chain is compensated when every link that undoes has told so.",
    ),
    Bug(
        "undoes after the first of several events only",
        "amends/domain/choreography/observing.py",
        "subjects = (event.subject for event in link.after)",
        "subjects = (event.subject for event in link.after[:1])",
        "A link that undoes comes after any of several events.",
    ),
    Bug(
        "leaves a completed chain completed whatever comes",
        "amends/domain/choreography/observing.py",
        "            return _reopen(turn, chain)\n",
        "            return False\n",
        "An event that only undoing comes after turns the chain back.",
    ),
    Bug(
        "gives up on a silent link",
        "amends/domain/choreography/observing.py",
        "        turn.record(e.WaitParked, step=name, reason=_silent(link))\n",
        "        turn.record(e.StepGivenUp, step=name, reason=_silent(link))\n",
        "A silent link is flagged for a person and waited for further.",
    ),
    # What limits hold.
    Bug(
        "does not count what is out",
        "amends/domain/gate.py",
        "[limit.outstanding - out.count]",
        "[limit.outstanding]",
        "A participant may have a limit of how many commands are outstanding.",
    ),
    Bug(
        "forgets what left within the second",
        "amends/domain/gate.py",
        "limit.per_second - sum(count for _, count in self._last_second(now))",
        "limit.per_second",
        "A participant may have a limit of how many commands leave in a second.",
    ),
    Bug(
        "asks through an open circuit breaker",
        "amends/domain/gate.py",
        '        if self.state == "open":\n            bounds.append(0)\n        elif',
        "        if",
        "A circuit breaker holds all commands when too many of the last ones failed.",
    ),
    Bug(
        "never closes a circuit breaker again",
        "amends/domain/gate.py",
        "closes = len(recent) >= breaker.probes",
        "closes = len(recent) > breaker.probes",
        "It closes when what it let through was answered.",
    ),
    Bug(
        "begins the time of a held command when it is recorded",
        "amends/domain/holding.py",
        "expires=turn.now + (ref.attempt.expires - ref.attempt.sent),",
        "expires=ref.attempt.expires,",
        "A held command's attempt clock and expiry start when it is released.",
    ),
    Bug(
        "does not withdraw what nobody wants any more",
        "amends/domain/holding.py",
        "set() if everything else _wanted(turn.state)",
        "set() if everything else {(step, direction) for step in turn.state.steps for direction in Direction}",
        "What is held leaves, or is withdrawn by what gives its step up.",
    ),
    Bug(
        "does not pull starts again when there is room",
        "amends/process_managers/starting.py",
        '            self._inbox.resume(f"{START}{saga}")\n',
        "            pass\n",
        "At the limit the consumer of starts is not pulled, and below it is.",
    ),
)
