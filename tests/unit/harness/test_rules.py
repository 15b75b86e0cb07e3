"""How rules are told, and asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.chat_stream import Said
from harness.rules import RULES, Exchange, Fault, Rule, Violation, check, rule
from tests.unit.harness.handmade import ends, event, told


@pytest.mark.parametrize("known", RULES.values(), ids=lambda known: known.id)
def test_a_rule_says_what_it_demands_who_suffers_and_who_says_so(known: Rule) -> None:
    section, _, number = known.id.partition("/")

    assert section.isalpha()
    assert int(number) > 0
    assert known.breaks
    assert known.source
    for sentence in (known.requirement, known.breaks, known.source):
        assert not sentence.endswith(".")
        assert "  " not in sentence


def test_sections_are_numbered_without_a_gap() -> None:
    sections: dict[str, list[int]] = {}
    for id in RULES:
        section, _, number = id.partition("/")
        sections.setdefault(section, []).append(int(number))

    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in sections.values())


def test_an_id_is_used_once() -> None:
    def nothing(exchange: Exchange) -> Iterator[Violation]:
        yield from ()

    with pytest.raises(AssertionError, match="two rules are called items/1"):
        rule("items/1", "something else", breaks="nobody", source="nothing")(nothing)


def test_a_fault_names_rule_requirement_and_place() -> None:
    found = told(ends("completed"))
    assert found.answer.events[2].data is not None
    found.answer.events[2].data["sequence_number"] = 7

    (fault,) = check(found)

    assert str(fault) == (
        "sequence/1  MUST: every event has a `sequence_number`, counting up by one from 0 "
        "(breaks: clients that resume a stream)\n"
        "    Expected: sequence_number 2\n"
        "    Actual:   sequence_number 7\n"
        "    Where:    cassettes/a/b.yaml, turn 1, event 2 (response.completed)"
    )
    assert (fault.level, fault.turn, fault.event, fault.chunk) == ("MUST", None, 2, None)


def test_a_fault_names_the_chunk_where_it_shows() -> None:
    def anything(exchange: Exchange) -> Iterator[Violation]:
        yield Violation("one", "another", exchange.events[0], chunk=4)

    known = Rule("a/1", "SHOULD", "nothing", "nobody", "nothing", "stream", anything)
    found = told()
    found.turn = 3

    (fault,) = known.faults(found)

    assert fault.where.endswith("event 0 (response.created), chunk 4 of the provider")
    assert (fault.level, fault.turn, fault.event, fault.chunk) == ("SHOULD", 3, 0, 4)


def test_a_fault_of_several_lines_stays_below_its_name() -> None:
    fault = Fault("edge/2", "the request is the recorded one", "one", "body:\n-a\n+b", "there")

    assert str(fault).splitlines()[2:5] == [
        "    Actual:   body:",
        "              -a",
        "              +b",
    ]


def test_a_fault_of_no_event_is_told_of_the_turn() -> None:
    said = Said(text="Hi", finish_reason="stop")

    assert check(told(ends("completed"), said=said)) == [
        Fault(
            "text/1",
            "MUST: the text of the messages that are done is the provider's, to the byte "
            "(breaks: Codex, all versions)",
            "'Hi' from character 0",
            "'' from character 0",
            "cassettes/a/b.yaml, turn 1",
        )
    ]


def test_a_rule_that_stumbles_is_left_out_where_events_are_not_valid_and_only_there() -> None:
    added = event("output_item.added", output_index=0, item={})
    done = event("output_item.done", output_index=0, item={})
    found = told(added, done, ends("incomplete"))

    assert "lifecycle/4" in [fault.rule for fault in check(found, valid=False)]
    with pytest.raises(KeyError):
        check(found)


def test_rules_are_asked_by_what_they_need() -> None:
    found = told(ends("completed"), ends("completed"), said=Said(text="Hi", finish_reason="stop"))

    assert [fault.rule for fault in check(found, "stream")] == ["lifecycle/2"]
    assert [fault.rule for fault in check(found, "provider")] == ["text/1"]
    assert check(found, "request") == []
