"""The bench: how an answer is taken apart and judged, and what is made of the figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
import uvloop

from harness.bench.client import Answer, Connection
from harness.bench.growth import Curve, Growth
from harness.bench.judge import PEER, judged
from harness.bench.report import MARKS, as_json, page, tables
from harness.bench.rows import Measured, middle
from harness.bench.run import Results, is_chosen
from harness.bench.subjects import OWN, PASS_THROUGH, RELAY, UPSTREAM, running, running_upstream
from harness.bench.traffic import BULK, BURST, KINDS, Plan, request, stream
from harness.errors import HarnessError

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MACHINE = {"processors": "2 x made up"}


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def answered(*reads: bytes) -> Answer:
    """Return the answer that came in `reads`, a millisecond after another."""
    answer = Answer()
    answer.reads = list(reads)
    answer.times = [answer.asked_at + number * 1_000_000 for number in range(1, len(reads) + 1)]
    return answer


def event(type: str, **more: str) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode({"type": type, **more})


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_an_answer_is_the_same_however_it_is_cut(size: int) -> None:
    plan = Plan("text", 3)
    deltas = [event(KINDS["text"][0], delta=piece) for piece in (" The", " proxy", " reads")]
    wire = HEAD + chunked(event("response.created"), *deltas, event("response.completed"))

    answer = answered(*(wire[at : at + size] for at in range(0, len(wire), size)))

    assert answer.fault(plan) is None
    assert answer.seconds == pytest.approx(len(answer.reads) / 1000)


def test_the_first_delta_is_that_and_no_event_before_it() -> None:
    opening, delta = event("response.created"), event(KINDS["text"][0], delta="x")

    assert answered(HEAD, chunked(opening), chunked(delta)).first_delta == pytest.approx(3)
    assert answered(HEAD, chunked(opening)).first_delta is None


def test_a_delta_says_when_it_was_sent_and_counts_once() -> None:
    answer = answered(HEAD)
    answer.reads.append(b"@%d@" % answer.asked_at)
    answer.reads.append(b"@%d@ and again @%d@" % (answer.asked_at + 1_000_000, answer.asked_at))
    answer.times = [answer.asked_at + ms * 1_000_000 for ms in (1, 3, 5)]

    assert answer.latencies() == [pytest.approx(3), pytest.approx(4)]


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "HTTP 502"),
        (HEAD + chunked(event("response.completed")), "0 of 1 deltas"),
        (HEAD + chunked(event(KINDS["text"][0], delta=" the")), "the text is another"),
        (HEAD + chunked(event(KINDS["text"][0], delta=" The")), "the last event is "),
        (HEAD + chunked(b'data: {"id":"chatcmpl-1"}\n\n'), "the bytes are others"),
    ],
)
def test_a_wrong_answer_is_told(wire: bytes, fault: str) -> None:
    assert (answered(wire).fault(Plan("text", 1)) or "").startswith(fault)


def test_an_answer_that_broke_off_is_told() -> None:
    answer = answered(HEAD)
    answer.broken = True

    assert answer.fault(Plan("text", 1)) == "the connection was closed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_says_which_stream_it_wants(kind: str) -> None:
    plan = Plan(kind, 12, BULK)

    assert Plan.of(request(plan)) == plan
    assert 35_000 < len(request(plan)) < 45_000
    assert len(stream(plan)) >= 14


def test_the_provider_the_relay_and_the_proxy_give_right_answers() -> None:
    plans = [Plan(kind, 20, pace) for kind in KINDS for pace in (BURST, 2000)]

    async def faults(port: int, path: str) -> list[str | None]:
        connection = await Connection.to(port)
        found = [(await connection.ask(path, request(plan))).fault(plan) for plan in plans]
        connection.close()
        return found

    with running_upstream() as upstream:
        assert uvloop.run(faults(upstream.port, upstream.path)) == [None] * len(plans)
        for subject in (RELAY, OWN):
            with running(subject, upstream) as process:
                assert uvloop.run(faults(process.port, process.path)) == [None] * len(plans)
                assert 0 < process.cpu_seconds() < 60
                assert 1 < process.memory_mb() < 1000


def test_a_connection_that_is_refused_is_no_answer() -> None:
    with running_upstream() as upstream:
        pass

    with pytest.raises(OSError, match="Connect"):
        asyncio.run(Connection.to(upstream.port))


# --- figures -------------------------------------------------------------------------------------


def results(**figures: dict[str, list[float | None]]) -> Results:
    """Return a run with figures of text, by subject and round."""
    made = Results(3, "2026-01-02", MACHINE, [0.1], [OWN.name, PEER])
    made.figures["text"] = {name.replace("_", " "): each for name, each in figures.items()}
    return made


def verdicts(made: Results) -> dict[str, str]:
    return {figure.label: figure.verdict for _, figure in judged(made)}


@pytest.mark.parametrize(
    ("own", "verdict"),
    [(310.0, "goal"), (210.0, "floor"), (190.0, "missed")],
)
def test_more_is_judged_by_the_ratio_to_the_peer(own: float, verdict: str) -> None:
    made = results(burst_rate={OWN.name: [own] * 3, PEER: [100.0] * 3, UPSTREAM: [1000.0] * 3})

    assert verdicts(made) == {"events/s, one stream": verdict}


def test_a_ratio_is_taken_within_a_round() -> None:
    made = results(burst_rate={OWN.name: [300.0, 30.0, 330.0], PEER: [100.0, 10.0, 100.0]})

    ((_, figure),) = judged(made)

    assert figure.medians == {OWN.name: 300.0, PEER: 100.0}
    assert figure.ratios == {PEER: pytest.approx(3)}


def test_what_is_added_is_the_rest_over_the_upstream_alone() -> None:
    made = results(first_delta={OWN.name: [3.0] * 3, PEER: [2.0, None, 2.0], UPSTREAM: [1.0] * 3})

    ((_, figure),) = judged(made)

    assert figure.medians == {OWN.name: 2.0, PEER: 1.0}
    assert figure.ratios == {PEER: pytest.approx(2)}
    assert figure.verdict == "missed"


def test_what_the_host_took_is_told() -> None:
    made = results(burst_rate={OWN.name: [300.0] * 3})
    quiet = tables(made)
    made.disturbed, made.measured = 2, 30

    assert "host" not in quiet
    assert "the host took more than 0.25% of the processors while 2 of 30 were measured" in tables(
        made
    )


def test_what_is_absolute_needs_no_peer() -> None:
    made = results(memory_after_load={OWN.name: [70.0, 60.0, 90.0]}, start={OWN.name: [0.2]})

    assert verdicts(made) == {
        "start to healthy, s": "floor",
        "memory after 32 x 1,000, MB": "floor",
    }


def test_a_subject_that_is_not_in_every_round_is_told() -> None:
    whole: dict[str, list[float | None]] = {OWN.name: [300.0] * 3, PEER: [100.0] * 3}

    assert "rounds or more" not in tables(results(burst_rate=whole))
    said = tables(results(burst_rate=whole, load_rate={**whole, PEER: [100.0, None, 100.0]}))
    assert f"- {PEER} is in 2 rounds or more, not in all of them" in said
    assert f"- {OWN.name} is in" not in said


def test_nothing_is_said_beside_a_peer_whose_answers_are_wrong() -> None:
    made = results(burst_rate={OWN.name: [300.0] * 3, PEER: [100.0] * 3})
    made.add(0, PEER, "burst", "text", Measured({}, "the text is another"))

    assert verdicts(made) == {"events/s, one stream": ""}
    assert "(!) text, burst, codex-relay: the text is another" in tables(made)


def test_the_pass_through_stands_beside_the_upstream_and_the_relay() -> None:
    rates: dict[str, list[float | None]] = {
        PASS_THROUGH.name: [600.0] * 3,
        RELAY.name: [800.0] * 3,
        UPSTREAM: [1000.0] * 3,
    }

    lines = tables(results(pass_bulk=rates)).splitlines()

    assert lines[0].startswith("| text | pass-through | bare relay | upstream alone |")
    assert lines[2].endswith("| 600 | 800 | 1,000 |  | 0.60x | 0.5x | floor |")


def test_of_what_is_measured_several_times_the_median_is_told() -> None:
    three = [
        Measured({"p99": 9.0, "p50": 1.0}),
        Measured({"p50": 3.0}, "0 of 3000 deltas"),
        Measured({"p99": 7.0, "p50": 2.0}, "1 of 3000 deltas"),
    ]

    assert middle(three) == Measured({"p99": 8.0, "p50": 2.0}, "0 of 3000 deltas")
    assert middle(three[:1]) == three[0]


def test_a_run_is_whole_in_its_json() -> None:
    made = results(burst_rate={OWN.name: [300.0, None, 1.0], PEER: [100.0] * 3})

    assert msgspec.json.decode(as_json(made), type=Results) == made
    assert msgspec.json.decode(as_json(made))["judged"]["text"]["events/s, one stream"]["wanted"]


@pytest.mark.parametrize(
    ("pattern", "is_one"),
    [("codex-*", True), ("*/burst", True), ("*/burst/text", True), ("*/load", False), ("x", False)],
)
def test_a_row_may_be_chosen(pattern: str, is_one: bool) -> None:
    assert is_chosen([pattern], OWN.name, "burst", "text") is is_one
    assert is_chosen([], OWN.name, "burst", "text")


# --- the page ------------------------------------------------------------------------------------


def grown() -> Growth:
    return Growth("2026-01-03", MACHINE, [Curve("Length", "events", "µs", [(10, 1.0), (100, 1.1)])])


def test_a_page_keeps_what_was_written_by_hand() -> None:
    old = f"# Speed\n\n{MARKS[0]}\nold figures\n{MARKS[1]}\n\nWhy.\n"
    made = results(burst_rate={OWN.name: [300.0] * 3, PEER: [100.0] * 3})

    new = page(old, made, grown(), "performance.svg")

    assert new.startswith(f"# Speed\n\n{MARKS[0]}\n\n| text | codex-proxy | codex-relay |")
    assert new.endswith(f"\n{MARKS[1]}\n\nWhy.\n")
    assert "old figures" not in new
    assert "(performance.svg)" in new
    assert "2026-01-02" in new
    assert "2026-01-03" in new
    assert page(new, made, grown(), "performance.svg") == new


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(HarnessError, match="no part between"):
        page("# Speed\n", results(), grown(), "performance.svg")


def test_the_page_of_this_project_has_a_place() -> None:
    text = Path("docs", "performance.md").read_text(encoding="utf-8")

    assert page(text, results(), grown(), "performance.svg").count(MARKS[0]) == 1
