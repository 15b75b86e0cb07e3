"""`conformance run --target`: any proxy by its URL, however it behaves."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.__main__ import main
from harness.provider import Provider
from harness.server import BreakConnection, LoopbackServer, Receive, Scope, Send, read_body
from harness.subject import OwnProxy
from harness.suite import Subject
from harness.suite import run as judged
from harness.variants import AS_RECORDED
from harness.verdicts import Case, Run, Verdict, read_lines
from tests.cassettes import FOLDER, cerebras
from tests.conformance.mutants import Data, Mutant, Mutation, with_each
from tests.unit.harness.test_command_line import start

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def port() -> int:
    """Where the proxy under test is told to find its provider, before there is one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


@pytest.fixture(scope="module")
def target(port: int) -> Iterator[OwnProxy]:
    environment = {"CEREBRAS_TIMEOUT": "2"}
    with OwnProxy(f"http://127.0.0.1:{port}/v1", environment=environment) as proxy:
        yield proxy


def run(url: str, port: int, *arguments: str) -> int:
    return main(["run", "--target", f"{url}/v1", "--provider-port", str(port), *arguments])


def rows(folder: Path, verdict: str) -> dict[str, Verdict]:
    """Return the rows of a report with this verdict, by rule."""
    lines = read_lines(folder / "verdicts.jsonl")
    return {
        line.rule: line for line in lines if isinstance(line, Verdict) and line.verdict == verdict
    }


def test_this_proxy_conforms_by_its_url_alone(
    target: OwnProxy, port: int, tmp_path: Path, capsys: Output
) -> None:
    only = ("hello", "unicode-arguments", "rate-limit", "cut-text")

    status = run(target.url, port, "--only", *only, "--strict", "--report", str(tmp_path))

    out = capsys.readouterr().out
    assert (status, out.splitlines()[-1]) == (0, "4 of 4 cassettes conform"), out
    head, case, *rest = read_lines(tmp_path / "verdicts.jsonl")
    assert isinstance(head, Run)
    assert (head.subject, head.target, head.strict) == (*[f"{target.url}/v1"] * 2, True)
    assert isinstance(case, Case)
    assert (case.cassette, case.variant) == ("cerebras/cut-text", "recorded")
    (turn,) = case.turns
    assert [type for _, type, _ in turn.events][-1] == "response.failed"
    assert b"".join(text.encode() for _, _, text in turn.chunks).startswith(b"data: {")
    assert 0 < turn.chunks[0][0] <= turn.events[-1][0]
    assert {line.verdict for line in rest if isinstance(line, Verdict)} == {"pass"}
    assert "edge/2" not in rows(tmp_path, "pass")
    assert {"edge/1", "edge/4", "request/1", "schema", "items/2"} <= rows(tmp_path, "pass").keys()


def test_every_variant_of_it_conforms(target: OwnProxy, port: int, capsys: Output) -> None:
    names = ("joined", "cut_in_data", "truncated_last", "reset")

    status = run(target.url, port, "--only", "hello", "--variant", *names)

    out = capsys.readouterr().out
    assert (status, out.splitlines()) == (
        0,
        [*(f"ok      cerebras/hello, {name}" for name in names), "4 of 4 cases conform"],
    )


# --- those that do not conform -------------------------------------------------------------------


class Misbehaving(LoopbackServer):
    """Does one thing, whatever it is asked."""

    def __init__(self, does: Callable[[Receive, Send], Any]) -> None:
        super().__init__(self._app)
        self._does = does

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await self._does(receive, send)


def saying(*body: bytes, status: int = 200) -> Callable[[Receive, Send], Any]:
    async def does(receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        for data in body:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body"})

    return does


async def hangs(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def drips(receive: Receive, send: Send) -> None:
    """Keep alive for ever."""
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    while True:
        await send({"type": "http.response.body", "body": b": hm\n\n", "more_body": True})
        await asyncio.sleep(0.05)


async def floods(receive: Receive, send: Send) -> None:
    """Send one line that never ends, as fast as it is taken."""
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        await asyncio.sleep(0)


async def hangs_up(receive: Receive, send: Send) -> None:
    raise BreakConnection(reset=True)


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


NONSENSE = {
    "hangs": (hangs, "edge/1"),
    "drips": (drips, "framing/3"),
    "floods": (floods, "framing/3"),
    "hangs up": (hangs_up, "edge/1"),
    "refuses": (saying(b"<html>", status=503), "framing/1"),
    "says nothing": (saying(), "text/1"),
    "says no JSON": (saying(b"data: {\n\n", b"\xff\xfe\n\n"), "framing/3"),
    "nests deeply": (saying(b"data: " + b"[" * 100_000 + b"\n\n"), "framing/3"),
    "has types that are none": (saying(event({"type": ["response.created"]})), "schema"),
    "has items that are none": (
        saying(event({"type": "response.output_item.done", "item": 7, "output_index": "x"})),
        "schema",
    ),
    "has no response": (saying(event({"type": "response.completed", "response": None})), "schema"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_whatever_a_target_does_is_a_fault_of_the_case(
    kind: str, port: int, tmp_path: Path, capsys: Output
) -> None:
    does, rule = NONSENSE[kind]
    with Misbehaving(does) as target:
        arguments = ("--only", "hello", "wrong-key", "--timeout", "0.5", "--report", str(tmp_path))
        status = run(target.url, port, *arguments)

    out = capsys.readouterr().out
    assert (status, out.splitlines()[-1]) == (1, "0 of 2 cassettes conform"), out
    faults = rows(tmp_path, "fault")
    assert rule in faults
    # It answered by itself: nobody asked the provider.
    assert "edge/3" in faults or rule == "edge/1"


def test_how_long_an_answer_went_on_is_told_in_round_seconds(port: int, tmp_path: Path) -> None:
    with Misbehaving(drips) as target:
        arguments = ("--only", "hello", "--timeout", "0.5", "--report", str(tmp_path))
        assert run(target.url, port, *arguments) == 1

    assert "it had not ended after 0.5 s" in rows(tmp_path, "fault")["framing/3"].actual


def test_a_flood_of_faults_costs_what_its_events_cost() -> None:
    def cost(events: int) -> float:
        """Return the seconds of CPU that it takes to judge so many events, all of them invalid."""
        flood = event({"type": "response.output_item.added", "item": 7, "output_index": "x"})
        with Provider() as provider, Misbehaving(saying(flood * events)) as target:
            cases = [(cerebras("hello"), AS_RECORDED)]
            before = time.process_time()
            lines = list(judged(cases, Subject.at(f"{target.url}/v1"), provider))
            spent = time.process_time() - before
        assert any(isinstance(line, Verdict) and line.rule == "schema" for line in lines)
        return spent

    cost(10)
    assert cost(20_000) < 20 * cost(2_000)


def test_a_port_on_which_nothing_listens_is_a_fault_of_the_case(
    port: int, tmp_path: Path, capsys: Output
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    assert run(url, port, "--only", "hello", "--report", str(tmp_path)) == 1
    assert list(rows(tmp_path, "fault")) == ["edge/1"]
    assert rows(tmp_path, "skipped")["items/2"].reason == "follows from edge/1"


def test_a_provider_that_nobody_waits_for_does_not_hold_up_the_next_case(
    port: int, tmp_path: Path, capsys: Output
) -> None:
    """A target that asks the provider, and does not leave when its own client does."""
    done = threading.Event()

    async def asks_and_waits(receive: Receive, send: Send) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as http:
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            with_error = {"type": "http.response.start", "status": 502, "headers": []}
            try:
                await http.post(url, json={})
            except httpx.TransportError:
                done.set()
            await send(with_error)
            await send({"type": "http.response.body"})

    with Misbehaving(asks_and_waits) as target:
        run(target.url, port, "--only", "stall-text", "hello", "--timeout", "0.5")
        assert done.wait(5)


def test_a_proxy_that_waits_longer_for_a_silent_provider_is_not_judged_by_its_end(
    port: int, tmp_path: Path, capsys: Output
) -> None:
    environment = {"CEREBRAS_TIMEOUT": "60"}
    arguments = ("--only", "stall-text", "hello", "--timeout", "1", "--report", str(tmp_path))

    with OwnProxy(f"http://127.0.0.1:{port}/v1", environment=environment) as patient:
        status = run(patient.url, port, *arguments)

    assert (status, rows(tmp_path, "fault")) == (0, {}), capsys.readouterr().out
    skipped = rows(tmp_path, "skipped")
    assert skipped.keys() == {"framing/3", "lifecycle/2"}
    assert "still waited for it when --timeout ended" in skipped["framing/3"].reason


# --- levels, gaps, what is told ------------------------------------------------------------------


def _other_words(data: Data) -> None:
    data["response"]["error"]["message"] = "It failed."


@pytest.fixture(scope="module")
def spoilt(target: OwnProxy) -> Iterator[Mutant]:
    """This proxy, but that the provider's own words are lost: a SHOULD (failures/3)."""
    with Mutant(target.url) as mutant:
        mutant.mutation = Mutation(with_each("response.failed", _other_words))
        yield mutant


def test_a_should_is_told_and_fails_where_one_is_strict(
    spoilt: Mutant, port: int, capsys: Output
) -> None:
    only = ("--only", "error-in-stream", "hello")

    assert run(spoilt.url, port, *only) == 0
    out = capsys.readouterr().out
    assert out.startswith("noted   cerebras/error-in-stream\n\nfailures/3  SHOULD: ")
    assert out.endswith("\nok      cerebras/hello\n2 of 2 cassettes conform\n")

    assert run(spoilt.url, port, *only, "--strict") == 1
    assert capsys.readouterr().out.startswith("FAILED  cerebras/error-in-stream\n")


#: A target that is never asked.
ELSEWHERE = ("--target", "http://127.0.0.1:1/v1", "--provider-port", "9100")


@contextmanager
def gaps_file(folder: Path, *gaps: dict[str, str]) -> Iterator[str]:
    path = folder / "gaps.yaml"
    path.write_text(json.dumps(gaps))
    yield str(path)


def test_a_known_gap_is_a_note(spoilt: Mutant, port: int, tmp_path: Path, capsys: Output) -> None:
    gap = {"rule": "failures/3", "cassette": "cerebras/error-in-stream", "reason": "a secret"}
    with gaps_file(tmp_path, gap) as gaps:
        arguments = ("--gaps", gaps, "--report", str(tmp_path))
        status = run(spoilt.url, port, "--only", "error-in-stream", "--strict", *arguments)

    assert status == 0
    assert capsys.readouterr().out.startswith(
        "noted   cerebras/error-in-stream\n        known gap, failures/3: a secret\n"
    )
    assert rows(tmp_path, "gap")["failures/3"].reason == "a secret"


def test_a_gap_that_no_longer_occurs_fails(
    target: OwnProxy, port: int, tmp_path: Path, capsys: Output
) -> None:
    gone = {"rule": "items/2", "cassette": "cerebras/hello", "reason": "an old one"}
    not_played = {"rule": "items/2", "cassette": "cerebras/create-file", "reason": "another"}
    with gaps_file(tmp_path, gone, not_played) as gaps:
        status = run(target.url, port, "--only", "hello", "--gaps", gaps)

    out = capsys.readouterr().out
    assert status == 1
    assert "gaps/1  MUST: a gap that is known occurs" in out
    assert "a fault of items/2: an old one" in out
    assert "another" not in out
    assert out.endswith(
        f"\n1 of 1 cassettes conform; {gaps} has what no longer occurs: a fault of items/2\n"
    )


def test_a_gap_names_its_cassette_as_only_does(
    spoilt: Mutant, port: int, tmp_path: Path, capsys: Output
) -> None:
    gap = {"rule": "failures/3", "cassette": "error-in-stream", "reason": "a secret"}
    with gaps_file(tmp_path, gap) as gaps:
        status = run(spoilt.url, port, "--only", "error-in-stream", "--strict", "--gaps", gaps)

    assert (status, "known gap, failures/3: a secret" in capsys.readouterr().out) == (0, True)


@pytest.mark.parametrize(
    ("gap", "message"),
    [
        ("{rule: itms/2, reason: x}", "there is no rule 'itms/2'; did you mean items/2?"),
        ("{rule: items, reason: x}", "there is no rule 'items'"),
        (
            "{rule: items/2, cassette: helo, reason: x}",
            "there is no cassette 'helo'; did you mean hello?",
        ),
        (
            "{rule: items/2, variant: joind, reason: x}",
            "there is no variant 'joind'; did you mean joined?",
        ),
    ],
)
def test_a_gap_about_what_does_not_exist_is_told_with_its_line(
    gap: str, message: str, port: int, tmp_path: Path, capsys: Output
) -> None:
    path = tmp_path / "gaps.yaml"
    path.write_text(f"# known\n- {{rule: items/2, reason: x}}\n\n- {gap}\n")

    assert run("http://127.0.0.1:1", port, "--only", "hello", "--gaps", str(path)) == 2
    assert f"{path}, line 4: {message}" in capsys.readouterr().err


def test_a_gap_may_be_about_a_neighbour_of_the_cassette_that_is_played(
    target: OwnProxy, port: int, tmp_path: Path
) -> None:
    folder = tmp_path / "cerebras"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_bytes(cerebras("hello").read_bytes())
    with gaps_file(tmp_path, {"rule": "items/2", "cassette": "two", "reason": "x"}) as gaps:
        assert run(target.url, port, str(folder / "one.yaml"), "--gaps", gaps) == 0


@pytest.mark.parametrize("content", ["", "# none is known\n", "[]"])
def test_a_file_without_gaps_has_none(
    content: str, target: OwnProxy, port: int, tmp_path: Path
) -> None:
    path = tmp_path / "gaps.yaml"
    path.write_text(content)

    assert run(target.url, port, "--only", "hello", "--gaps", str(path)) == 0


@pytest.mark.parametrize(
    "content",
    ["{", "- rule: items/2", "- {rule: items/2, reason: ''}", "- {rul: x}", "7", "2001-99-99"],
)
def test_a_file_that_is_no_list_of_gaps_is_named(
    content: str, port: int, tmp_path: Path, capsys: Output
) -> None:
    path = tmp_path / "gaps.yaml"
    path.write_text(content)

    assert run("http://127.0.0.1:1", port, "--gaps", str(path)) == 2
    assert f"{path}: is no list of gaps" in capsys.readouterr().err


def test_the_stream_that_depends_on_its_chunks_is_a_fault(
    target: OwnProxy, port: int, tmp_path: Path
) -> None:
    answers: list[Data] = []

    def forgetful(event: Data, before: Sequence[Data]) -> list[Data]:
        """From the second answer on, lose the first delta."""
        answers.extend([] if before else [event])
        lost = len(answers) > 1 and event.get("delta") == "Hello"
        return [] if lost else [event]

    with Mutant(target.url) as mutant:
        mutant.mutation = Mutation(forgetful)
        arguments = ("--variant", "joined", "--only", "hello", "--report", str(tmp_path))
        assert run(mutant.url, port, *arguments) == 1

    fault = rows(tmp_path, "fault")["variants/1"]
    assert '"delta": "Hello, world!"' in fault.expected
    assert '"delta": ", world!"' in fault.actual


def test_rules_and_sections_can_be_chosen(
    target: OwnProxy, port: int, tmp_path: Path, capsys: Output
) -> None:
    only = ("--only", "hello", "items", "edge/1", "--report", str(tmp_path))

    assert run(target.url, port, *only) == 0
    found = rows(tmp_path, "pass")
    assert {rule.partition("/")[0] for rule in found} == {"items", "edge"}
    assert "edge/4" not in found


def test_no_choice_of_rules_is_kept_by_a_proxy_that_is_not_reached(
    port: int, tmp_path: Path, capsys: Output
) -> None:
    only = ("--only", "hello", "items/2", "--report", str(tmp_path))

    assert run("http://127.0.0.1:9", port, *only) == 1
    assert capsys.readouterr().out.endswith("0 of 1 cassettes conform\n")
    assert list(rows(tmp_path, "fault")) == ["edge/1"]
    assert list(rows(tmp_path, "skipped")) == ["items/2"]


def _no_index(data: Data) -> None:
    data["content_index"] = []


def test_what_stood_before_the_chosen_rules_is_told(
    target: OwnProxy, port: int, tmp_path: Path
) -> None:
    with Mutant(target.url) as mutant:
        mutant.mutation = Mutation(with_each("response.output_text.done", _no_index))
        only = ("--only", "hello", "deltas", "--report", str(tmp_path))
        assert run(mutant.url, port, *only) == 1
        assert list(rows(tmp_path, "fault")) == ["schema"]
        assert rows(tmp_path, "skipped")["deltas/1"].reason == "the events are not valid"

        # It stands before no other rule.
        only = ("--only", "hello", "request", "--report", str(tmp_path))
        assert run(mutant.url, port, *only) == 0


def test_an_invalid_request_stands_before_the_rules_of_requests(port: int, tmp_path: Path) -> None:
    async def asks_for_nothing(receive: Receive, send: Send) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as http:
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            await http.post(url, json={"messages": 7})
        await saying()(receive, send)

    with Misbehaving(asks_for_nothing) as target:
        only = ("--only", "hello", "conversation", "--report", str(tmp_path))
        assert run(target.url, port, *only) == 1
    assert "request/1" in rows(tmp_path, "fault")
    assert {one.reason for one in rows(tmp_path, "skipped").values()} == {
        "the request is not valid"
    }


def test_a_cassette_that_is_given_twice_is_played_once(
    target: OwnProxy, port: int, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "cerebras").symlink_to(FOLDER / "cerebras")
    twice = (str(cerebras("hello")), str(tmp_path / "cerebras" / "hello.yaml"))

    assert run(target.url, port, *twice) == 0
    assert capsys.readouterr().out.endswith("1 of 1 cassettes conform\n")


@pytest.mark.parametrize("rule", ["variants", "variants/1", "edge/2", "edge/5"])
def test_a_rule_that_no_case_is_asked_for_is_told(
    rule: str, target: OwnProxy, port: int, capsys: Output
) -> None:
    assert run(target.url, port, "--only", "hello", "items/2", rule) == 2
    assert f"--only {rule}: is asked of none of these cases" in capsys.readouterr().err


def test_what_is_not_chosen_is_not_read(tmp_path: Path, capsys: Output) -> None:
    odd = tmp_path / "odd.yaml"
    odd.write_text("{")

    arguments = [str(odd), str(cerebras("hello")), "--only", "hello", "--backend", "cerebras"]
    assert main(["run", *arguments]) == 0
    assert capsys.readouterr().out.endswith("1 of 1 cassettes conform\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "http://127.0.0.1:1/v1"], "--target and --provider-port belong together"),
        (["--provider-port", "9100"], "--target and --provider-port belong together"),
        (["--only", "helo"], "--only helo: is no cassette of this run, no rule and no section"),
        (["--only", "helo"], "; did you mean hello? 'conformance list' shows the cassettes"),
        (["--only", "items/99"], "--only items/99: is no cassette of this run, no rule"),
        (["--only", "items/22"], "did you mean items/2?"),
        (["--only", "items/2,items/3"], "--only items/2,items/3: is no cassette of this run"),
        (["--only", "edge/9"], "did you mean edge/"),
        (["--only", "schema/1"], "did you mean schema?"),
        (["--only", "hello", "itmes"], "--only itmes: is no cassette of this run"),
        (["--variant", "joind"], "there is no variant 'joind'"),
        (["--gaps", "/none.yaml"], "/none.yaml: cannot be read"),
        (
            ["--target", "127.0.0.1:4000", "--provider-port", "0"],
            "is no URL like http://127.0.0.1:4000/v1",
        ),
        *(
            ([*ELSEWHERE, "--timeout", seconds], "a case has more than 0 seconds")
            for seconds in ("nan", "inf", "0", "-3", "1e300")
        ),
        *(
            (["--target", "http://127.0.0.1:1/v1", "--provider-port", port], "is no port")
            for port in ("0", "-1", "65536")
        ),
        *(
            (["--target", f"http://127.0.0.1{rest}", "--provider-port", "9100"], message)
            for rest, message in (
                (":99999/v1", "99999 is no port"),
                (":0/v1", "0 is no port"),
                (":1/v1?key=x", "is no base URL"),
                (":1/v1#top", "is no base URL"),
            )
        ),
        (
            [str(cerebras("cut-text")), "--variant", "joined"],
            "none of these cassettes can be replayed in such a variant",
        ),
        (
            [str(FOLDER / "chatgpt" / "hello.yaml"), "--backend", "cerebras"],
            "there are no cassettes of the cerebras backend",
        ),
    ],
)
def test_what_cannot_be_run_is_told(arguments: list[str], message: str, capsys: Output) -> None:
    assert main(["run", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys: Output) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("http://127.0.0.1:1", port) == 2
    assert f"cannot listen on port {port}" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_told_before_anything_is_played(
    port: int, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "file").write_text("")

    asked = threading.Event()

    async def notes(receive: Receive, send: Send) -> None:
        asked.set()
        await saying()(receive, send)

    with Misbehaving(notes) as target:
        folder = str(tmp_path / "file")
        assert run(target.url, port, "--only", "hello", "--report", folder) == 2
    assert "the report cannot be written" in capsys.readouterr().err
    assert not asked.is_set()


def test_who_interrupts_gets_a_report_of_what_was_judged(port: int, tmp_path: Path) -> None:
    asked: list[int] = []
    hanging = threading.Event()

    async def hangs_at_the_second(receive: Receive, send: Send) -> None:
        asked.append(1)
        if len(asked) > 1:
            hanging.set()
            await hangs(receive, send)
        await saying()(receive, send)

    with Misbehaving(hangs_at_the_second) as target:
        where = ("--target", f"{target.url}/v1", "--provider-port", str(port))
        cassettes = (str(cerebras("hello")), str(cerebras("wrong-key")))
        with start("run", *where, *cassettes, "--report", "report", folder=tmp_path) as process:
            assert hanging.wait(20)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    told = "conformance: interrupted; what was judged by then is told above, and in the report\n"
    assert err == told
    assert out.startswith("FAILED  cerebras/hello\n")
    cases = [one for one in read_lines(tmp_path / "report/verdicts.jsonl") if isinstance(one, Case)]
    assert [case.cassette for case in cases] == ["cerebras/hello"]
    assert "edge/3" in rows(tmp_path / "report", "fault")
    assert (tmp_path / "report" / "index.html").is_file()
