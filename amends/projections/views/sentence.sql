-- What an event means, to somebody who has never seen the definition: word for word what `amends history` says.
-- An event of a type that is not known here is told by its type.
CREATE OR REPLACE FUNCTION {views}.sentence(type text, event jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT CASE type
        WHEN 'saga.started' THEN concat(e ->> 'saga', ' ', e ->> 'key', ' started, because of the event ', subject)
        WHEN 'saga.start-refused' THEN 'another start was refused: ' || reason
        WHEN 'saga.completed' THEN 'completed: every step is done'
        WHEN 'saga.compensating' THEN 'turned back, to undo what happened or may have: ' || reason
        WHEN 'saga.compensated' THEN 'compensated: all that had to be undone is undone'
        WHEN 'saga.reopened' THEN 'turned back after its end: ' || reason
        WHEN 'saga.deadline-passed' THEN 'the deadline passed'
        WHEN 'saga.cancel-requested' THEN concat(by, ' asked to cancel: ', reason)
        WHEN 'saga.suspended' THEN concat(by, ' suspended it: ', reason)
        WHEN 'saga.resumed' THEN concat(by, ' resumed it: ', reason)
        WHEN 'saga.migrated' THEN concat(by, ' moved it to version ', e ->> 'definition', ': ', reason)
        WHEN 'saga.released' THEN concat(by, ' released it from quarantine: ', reason)
        WHEN 'saga.failed' THEN concat(
            by, ' abandoned it: ', reason,
            (
                SELECT '; not undone: ' || string_agg(effect, ', ' ORDER BY place)
                FROM jsonb_array_elements_text(e -> 'effects') WITH ORDINALITY AS effects (effect, place)
            ),
            (
                SELECT '; nobody knows of: ' || string_agg(
                    concat(
                        CASE key ->> 'direction' WHEN 'compensate' THEN 'undoing ' WHEN 'close' THEN 'closing ' END,
                        key ->> 'step', ' (', key ->> 'key', ')'
                    ),
                    ', ' ORDER BY place
                )
                FROM jsonb_array_elements(e -> 'unresolved') WITH ORDINALITY AS keys (key, place)
            )
        )
        WHEN 'event.received' THEN concat('the event ', subject, ' came')
        WHEN 'event.handled' THEN 'heard of ' || subject
        WHEN 'event.passed-over' THEN concat('heard of ', subject, ', from which nothing follows: ', reason)
        WHEN 'event.taken-for-answer' THEN concat('the event ', subject, ' was taken for the answer of ', what)
        WHEN 'event.published' THEN 'published the event ' || subject
        WHEN 'timeout.requested' THEN concat('set the timeout ''', name, ''' to ', due)
        WHEN 'timeout.cancelled' THEN concat('took back the timeout ''', name, '''')
        WHEN 'timeout.fired' THEN concat('the timeout ''', name, ''' came')
        WHEN 'completion.requested'
            THEN 'has nothing more to decide, and completes when all that it sent is answered'
        WHEN 'key.learnt' THEN concat('is known by ', name, ' ', e ->> 'value', ', too')
        WHEN 'key.clashed'
            THEN concat('cannot be known by ', name, ' ', e ->> 'value', ', which another saga has; needs a person')
        WHEN 'timer.rescheduled' THEN concat(by, ' moved ', timer, ' to ', due, ': ', reason)
        WHEN 'timer.cancelled' THEN concat(by, ' cancelled ', timer, ': ', reason)
        WHEN 'send.requested' THEN concat('decided to send ', subject, ', as ', step)
        WHEN 'step.skipped' THEN step || ' was skipped: there is nothing to ask for'
        WHEN 'step.skipped-by-hand' THEN concat(by, ' skipped ', step, ': ', reason)
        WHEN 'step.settled-by-hand' THEN concat(by, ' settled ', what, ' as ', e ->> 'outcome', ': ', reason)
        WHEN 'step.given-up' THEN step || ' was given up: it will not be tried again'
        WHEN 'step.compensation-passed-over' THEN concat(step, ' needs no undoing: ', reason)
        WHEN 'step.compensation-reopened' THEN concat(step, ' must be undone once more: ', reason)
        WHEN 'step.announced' THEN step || ' is done: it was told'
        WHEN 'wait.started' THEN concat(
            step, ' waits for ',
            (
                SELECT string_agg(awaited, ' or ' ORDER BY place)
                FROM jsonb_array_elements_text(e -> 'subjects') WITH ORDINALITY AS subjects (awaited, place)
            ),
            ', until ', due, ' at the latest'
        )
        WHEN 'wait.succeeded' THEN step || ' has the event that it waited for'
        WHEN 'wait.rejected' THEN step || ' has the event that it waited for, which says no'
        WHEN 'wait.timed-out' THEN step || ' waited in vain: nothing came in time'
        WHEN 'wait.parked' THEN concat(step, ' needs a person (', reason, '); it waits on')
        WHEN 'command.recorded' THEN concat(
            CASE e ->> 'held' WHEN 'true' THEN 'will ask ' ELSE 'asked ' END, split_part(subject, '.', 1),
            CASE direction
                WHEN 'close' THEN concat(
                    ' whether ', step, ' happened, and to see to it that from now on it cannot'
                )
                ELSE concat(
                    CASE direction WHEN 'compensate' THEN ' to undo ' ELSE ' to do ' END, step,
                    CASE WHEN action <> step THEN concat(' (', action, ')') END
                )
            END,
            attempt,
            CASE e ->> 'held'
                WHEN 'true' THEN concat(', when the limits of ', split_part(subject, '.', 1), ' allow it')
            END
        )
        WHEN 'command.released' THEN concat('the limits allow ', what, attempt, ': it was sent')
        WHEN 'command.withdrawn' THEN concat(what, attempt, ' is wanted no longer, and was never sent')
        WHEN 'command.succeeded' THEN concat(what, ' succeeded', attempt)
        WHEN 'command.rejected' THEN CASE direction
            WHEN 'close' THEN concat(step, ' did not happen, and no longer can: ', why)
            ELSE concat(what, ' was rejected', attempt, ': ', why)
        END
        WHEN 'command.failed' THEN concat(
            what, ' failed', attempt, ', for a technical reason: ', why,
            CASE direction WHEN 'forward' THEN '; that is no proof that it did not happen' END
        )
        WHEN 'command.timed-out'
            THEN concat('no answer in time to ', what, attempt, '; nobody knows whether it happened')
        WHEN 'command.retry-scheduled' THEN concat(what, ' will be tried again at ', due)
        WHEN 'command.retry-requested' THEN concat(by, ' asked to try ', what, ' again now: ', reason)
        WHEN 'command.parked' THEN concat(
            what, ' needs a person to look at it: ', reason,
            CASE e ->> 'stops'
                WHEN 'true' THEN '; until then nothing more is sent'
                ELSE '; meanwhile it is tried again, slowly'
            END
        )
        WHEN 'command.contradiction' THEN concat(
            what, ': the service said ', e ->> 'recorded', ', and now ', e ->> 'came', '; needs a person'
        )
        ELSE concat_ws(' ', type, step, reason)
    END
    FROM (
        SELECT
            event AS e, event ->> 'subject' AS subject,
            substr(event ->> 'subject', strpos(event ->> 'subject', '.') + 1) AS action,
            event ->> 'reason' AS reason, event ->> 'by' AS by,
            event ->> 'name' AS name, event ->> 'step' AS step, coalesce(event ->> 'direction', 'forward') AS direction,
            coalesce(nullif(event ->> 'reason', ''), nullif(event ->> 'code', ''), 'no reason given') AS why,
            to_char((event ->> 'due')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS "UTC"') AS due,
            concat(
                CASE WHEN event ->> 'round' <> '1' THEN format(' (round %s)', event ->> 'round') END,
                CASE WHEN event ->> 'attempt' <> '1' THEN format(' (attempt %s)', event ->> 'attempt') END
            ) AS attempt
    ) AS fields
    CROSS JOIN LATERAL (
        SELECT concat(CASE direction WHEN 'compensate' THEN 'undoing ' WHEN 'close' THEN 'closing ' END, step) AS what
    ) AS doing
    CROSS JOIN LATERAL (
        SELECT CASE WHEN coalesce(step, '') = '' THEN 'the deadline' ELSE 'the timer of ' || what END AS timer
    ) AS timers
);
