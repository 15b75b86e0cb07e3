"""A cassette as a person reads it: all that is in it, and nothing that acts on the terminal."""

from __future__ import annotations

import datetime
import json
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion
from vcr.request import Request

from harness.cassette import open_cassette
from harness.show import show
from harness.terminal import width_of
from tests.cassettes import FOLDER
from tests.unit.harness.handmade import Json, request, response, sse, write

RECORDED = sorted(FOLDER.rglob("*.yaml"))

NOW = datetime.datetime(2026, 11, 25, 18, tzinfo=datetime.UTC)

ORIGIN = {
    "scenario": "handmade",
    "backend": "cerebras",
    "model": "gpt-oss-120b",
    "upstream": "live",
    "client": "codex 0.163.0",
    "recorded_at": "2026-11-22T12:00:00+00:00",
    "recorder": "codex-proxy-conformance 0.1.0",
    "sha256": "0f" * 32,
}

CHATGPT = "https://chatgpt.com/backend-api/codex/responses"


def shown(path: Path, **more: Any) -> str:
    with open_cassette(path) as cassette:
        return show(cassette, **{"color": False, "width": 80, "now": NOW, **more})


def asking(body: Json) -> Json:
    return {"method": "POST", "path": "/v1/responses", "headers": {}, "body": json.dumps(body)}


def sending(body: Json, uri: str = "https://api.cerebras.ai/v1/chat/completions") -> Request:
    headers = {"content-type": "application/json"}
    return Request("POST", uri, json.dumps(body).encode(), headers)


def chunks(*deltas: Json, finish: str = "stop", usage: Json | None = None) -> list[bytes]:
    """Return an answer of Cerebras', a chunk for each delta."""
    said = [{"choices": [{"delta": delta, "index": 0}]} for delta in deltas]
    end = {"choices": [{"delta": {}, "finish_reason": finish, "index": 0}], "usage": usage}
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in [*said, end]]


def calling(id: str, name: str, arguments: str, index: int = 0) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def rows(text: str, label: str) -> list[str]:
    """Return the text beside each `label`, with the lines that go on below it."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(f"  {label} "):
            found.append(line[13:])
        elif found and line.startswith(" " * 13):
            found[-1] += f"\n{line[13:]}"
        elif found:
            found.append("")  # what follows belongs to another label
    return [row for row in found if row]


# --- a whole page --------------------------------------------------------------------------------

SCRIPT = """\
cat > /tmp/x.py <<'EOF'
print("é")
EOF"""

PATCH = """\
*** Begin Patch
*** Update File: x.py
@@ def f():
-    return 1
+    return 2
*** End Patch"""


def a_conversation(path: Path) -> Path:
    """Write a conversation in which Cerebras calls two tools, and then says so."""
    tools = [
        {"type": "function", "name": "shell", "parameters": {}},
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "web", "tools": [{"type": "function", "name": "open"}]},
        {"type": "web_search"},
    ]
    first: Json = {
        "model": "gpt-5-codex",
        "instructions": "[elided sha256:0123456789ab, 12345 characters]",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go!"}]}
        ],
        "tools": tools,
        "reasoning": {"effort": "high"},
        "store": False,
        "stream": True,
    }
    call = {"type": "function_call", "call_id": "75a06f4da", "name": "shell", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "75a06f4da", "output": "done\n" * 20}
    second = {**first, "input": [*first["input"], {"type": "reasoning"}, call, output]}
    sent: Json = {
        "model": "gpt-oss-120b",
        "messages": [{"role": "system", "content": "..."}, {"role": "user", "content": "Go!"}],
        "tools": [
            {"type": "function", "function": {"name": name}}
            for name in ("shell", "apply_patch", "web__open")
        ],
        "reasoning_effort": "high",
        "stream": True,
    }
    answered = {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "done"}
    arguments = json.dumps({"command": ["bash", "-lc", SCRIPT], "timeout": 5})
    calls = chunks(
        {"role": "assistant"},
        *({"reasoning": f"I have thought {count} times.\n"} for count in range(1, 21)),
        calling("75a06f4da", "shell", arguments),
        calling("1b2c3d4e5", "apply_patch", json.dumps({"input": PATCH}), 1),
        finish="tool_calls",
        usage={
            "prompt_tokens": 3595,
            "prompt_tokens_details": {"cached_tokens": 3584},
            "completion_tokens": 239,
            "completion_tokens_details": {"reasoning_tokens": 187},
        },
    )
    text = chunks({"content": "It is done."}, usage={"prompt_tokens": 9, "completion_tokens": 4})
    return write(
        path,
        (
            sending(sent),
            response(
                *calls, at=range(120, 120 + 10 * len(calls), 10), client_request=asking(first)
            ),
        ),
        (
            sending({**sent, "messages": [*sent["messages"], *answered]}),
            response(*text, at=[80, 90], client_request=asking(second)),
        ),
        provenance=ORIGIN,
    )


def test_a_conversation_is_a_pleasure_to_read(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert shown(a_conversation(tmp_path / "c.yaml")) == snapshot


def test_a_wider_terminal_is_made_use_of(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert shown(a_conversation(tmp_path / "c.yaml"), width=120) == snapshot


def test_all_of_it_is_shown_where_all_is_asked_for(tmp_path: Path) -> None:
    path = a_conversation(tmp_path / "c.yaml")

    assert "20 times" not in shown(path)
    assert "more characters" in shown(path)
    assert "20 times" in shown(path, full=True)
    assert "more characters" not in shown(path, full=True)


RESPONSE = {
    "id": "resp_1",
    "output": [],
    "usage": {
        "input_tokens": 56,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 14,
        "output_tokens_details": {"reasoning_tokens": 8},
    },
}


def a_conversation_with_chatgpt(path: Path) -> Path:
    asked = {"model": "gpt-5.4", "input": "Go!", "stream": True, "store": False}
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAA" * 200}
    patch = {"type": "custom_tool_call", "name": "apply_patch", "call_id": "call_1", "input": PATCH}
    stream = sse(
        {"type": "response.created", "response": {}},
        {"type": "response.output_item.done", "output_index": 0, "item": sealed},
        {"type": "response.output_item.done", "output_index": 1, "item": patch},
        {"type": "response.completed", "response": RESPONSE},
    )
    answer = response(stream, at=[1234.5], client_request=asking(asked))
    answer["headers"] |= {"x-codex-plan-type": ["plus"], "x-codex-primary-used-percent": ["50"]}
    origin = {**ORIGIN, "backend": "chatgpt", "model": "gpt-5.4", "upstream": "emulator"}
    return write(path, (sending(asked, CHATGPT), answer), provenance=origin)


def test_a_conversation_with_chatgpt_is_one_too(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    assert shown(a_conversation_with_chatgpt(tmp_path / "c.yaml")) == snapshot


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recording_is_shown(path: Path, width: int) -> None:
    text = shown(path, width=width)

    with open_cassette(path) as cassette:
        for number in range(1, len(cassette) + 1):
            assert f"── turn {number} of {len(cassette)} ─" in text
    assert [line for line in text.splitlines() if width_of(line) > width] == []


# --- colour --------------------------------------------------------------------------------------


def without_color(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_colour_changes_nothing_but_the_colour(tmp_path: Path) -> None:
    for path in (a_conversation(tmp_path / "1.yaml"), a_conversation_with_chatgpt(tmp_path / "2")):
        colored = shown(path, color=True)

        assert colored != shown(path)
        assert without_color(colored) == shown(path)
        assert all(line.count("\x1b[0m") * 2 == line.count("\x1b[") for line in colored.split("\n"))


def test_reasoning_is_dim_and_a_patch_is_in_its_colours(tmp_path: Path) -> None:
    text = shown(a_conversation(tmp_path / "c.yaml"), color=True)

    assert "\x1b[2mI have thought 1 times.\x1b[0m" in text
    assert "\x1b[31m-    return 1\x1b[0m" in text
    assert "\x1b[32m+    return 2\x1b[0m" in text


@pytest.mark.parametrize(
    ("end", "style"),
    [("complete", 32), ("cut", 31), ("reset", 31), ("timeout", 31), ("abandoned", 33)],
)
def test_the_end_of_a_stream_has_its_colour(tmp_path: Path, end: str, style: int) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"data: {}\n\n", end=end)))

    assert f"\x1b[{style}m{end}\x1b[0m" in shown(path, color=True)


# --- what the client asked -----------------------------------------------------------------------


def asked(tmp_path: Path, *bodies: Json) -> str:
    """Return what is shown of requests with these bodies."""
    return shown(
        write(
            tmp_path / "c.yaml",
            *((sending(body), response(b"x", client_request=asking(body))) for body in bodies),
        )
    )


def test_only_what_is_new_is_shown_of_the_next_turn(tmp_path: Path) -> None:
    user = {"type": "message", "role": "user", "content": "One"}
    more = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two"}]}

    text = asked(tmp_path, {"input": [user], "top_p": 1}, {"input": [user, more], "top_p": 1})

    assert rows(text, "user") == ["One", "Two"]
    assert rows(text, "with") == ["top_p 1"]


def test_a_conversation_that_begins_anew_says_so(tmp_path: Path) -> None:
    one, two, three = ({"role": "user", "content": word} for word in ("One", "Two", "Three"))

    text = asked(tmp_path, {"input": [one, two]}, {"input": [one, three]})

    assert rows(text, "input") == ["begins anew after 1 of the 2 items of the turn before"]
    assert rows(text, "user") == ["One", "Two", "Three"]


def test_an_output_that_is_an_object_is_shown_as_what_is_in_it(tmp_path: Path) -> None:
    output = json.dumps({"output": "one\ntwo\n", "metadata": {"exit_code": 0}})
    item = {"type": "function_call_output", "call_id": "a1b", "output": output}

    text = asked(tmp_path, {"input": [item]})

    assert rows(text, "output") == [
        'of a1b\noutput    one\n          two\nmetadata  {"exit_code": 0}'
    ]


def test_an_image_is_named(tmp_path: Path) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 5000}
    item = {"type": "function_call_output", "call_id": "a1b", "output": [image, {"type": "x"}]}

    text = asked(tmp_path, {"input": [item]})

    assert rows(text, "output") == ["of a1b\n[input_image: image/png, 5,022 characters]\n[x]"]


def test_another_kind_of_item_is_shown_under_its_name(tmp_path: Path) -> None:
    text = asked(tmp_path, {"input": [{"type": "compaction_trigger"}, {"type": "odd", "a": "é"}]})

    assert "  compaction_trigger\n" in text
    assert rows(text, "odd") == ['{"a": "é"}']


def test_elided_prose_is_counted(tmp_path: Path) -> None:
    tools = [{"name": "a", "description": "[elided sha256:0123456789ab, 1000 characters]"}]

    text = asked(
        tmp_path, {"instructions": "[elided sha256:ba9876543210, 234 characters]", "tools": tools}
    )

    assert rows(text, "elided") == ["1,234 characters of prose, in 2 places"]


def test_elided_prose_is_counted_once(tmp_path: Path) -> None:
    body = {"instructions": "[elided sha256:ba9876543210, 234 characters]"}

    text = asked(tmp_path, body, body)

    assert rows(text, "elided") == ["234 characters of prose, in 1 place"]


def test_a_request_that_is_passed_on_as_it_is_is_not_shown_twice(tmp_path: Path) -> None:
    assert rows(asked(tmp_path, {"input": "Hi"}), "body")[0] == "as the client asked"


def test_another_model_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.yaml",
        (sending({"model": "b"}), response(b"x", client_request=asking({"model": "a"}))),
    )

    assert rows(shown(path), "model") == ["a", "b instead of a"]


# --- what the provider answered ------------------------------------------------------------------


def answered(
    tmp_path: Path, *body: bytes, uri: str = "http://p/v1/chat/completions", **more: Any
) -> str:
    answer = {**response(*body), **more}
    return shown(write(tmp_path / "c.yaml", (sending({}, uri), answer)))


def test_an_error_is_shown_as_its_fields(tmp_path: Path) -> None:
    error = {"message": "Wrong API Key", "code": "wrong_api_key"}

    text = answered(
        tmp_path, json.dumps(error).encode(), status={"code": 401, "message": "Unauthorized"}
    )

    assert "provider ─▶ proxy  HTTP 401 Unauthorized\n" in text
    assert rows(text, "body")[-1] == "\nmessage  Wrong API Key\ncode     wrong_api_key"


def test_a_page_of_html_is_shown_as_it_is_and_shortened(tmp_path: Path) -> None:
    page = b"<html>\n" + b"<p>Bad gateway</p>\n" * 100

    text = answered(tmp_path, page, status={"code": 502, "message": None})

    assert "HTTP 502\n" in text
    assert rows(text, "body")[-1].startswith("<html>\n<p>Bad gateway</p>\n")
    assert rows(text, "body")[-1].endswith("… 1,614 more characters")


def test_a_stream_that_failed_shows_why(tmp_path: Path) -> None:
    error = {"code": "server_error", "message": "Sorry."}
    stream = sse({"type": "response.failed", "response": {"error": error}})

    text = answered(tmp_path, stream, uri=CHATGPT)

    assert rows(text, "finish") == ["response.failed: server_error: Sorry."]


def test_arguments_that_are_no_json_are_shown_as_they_are(tmp_path: Path) -> None:
    text = answered(tmp_path, *chunks(calling("1", "shell", '{"cmd": "l'), finish="length"))

    assert rows(text, "call") == ['shell  1\n{"cmd": "l']
    assert rows(text, "finish") == ["length"]


def test_a_long_object_is_shortened(tmp_path: Path) -> None:
    arguments = json.dumps({f"name{number}": number for number in range(100)})

    text = answered(tmp_path, *chunks(calling("1", "shell", arguments)))

    assert "name15  15" in text
    assert "name16" not in text
    assert "… 84 more\n" in text


def test_tokens_a_second_are_those_of_the_wire(tmp_path: Path) -> None:
    body = chunks({"content": "Hi"}, {"content": "!"}, usage={"completion_tokens": 50})
    answer = response(*body, at=[100, 150, 200])

    path = write(tmp_path / "c.yaml", (sending({}), answer))

    assert "3 chunks, " in rows(shown(path), "stream")[0]
    assert rows(shown(path), "stream")[0].endswith(", 500 tokens/s")


# --- odd ones ------------------------------------------------------------------------------------

EURO = 'data: {"choices":[{"index":0,"delta":{"content":"€"}}]}\n\n'.encode()

ODD = {
    "nothing": b"",
    "nothing of a stream": b"\n\n",
    "cut inside a character": EURO[: EURO.index("€".encode()) + 2],
    "cut inside an event": EURO[:-20],
    "binary": bytes(range(256)) * 4,
    "zeros": b"\0" * 1000,
    "binary that looks like a stream": b"data: " + bytes(range(256)) * 4,
    "JSON that is no object": b"[1, 2]",
    "an empty object": b"{}",
    "JSON that is too deep": b'{"a":' * 100_000,
    "a stream of JSON that is too deep": b"data: " + b"[" * 100_000 + b"\n\n",
    "lines that end as on Windows": EURO.replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + EURO,
    "one long line": b"x" * 200_000,
}


@pytest.mark.parametrize(
    "uri", ["http://p/v1/chat/completions", CHATGPT], ids=["chat", "responses"]
)
@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_whatever_the_body_is_it_is_shown(tmp_path: Path, body: bytes, uri: str) -> None:
    text = answered(tmp_path, body, uri=uri)

    assert_safe(text)
    assert len(text.splitlines()) < 60


def test_bytes_that_are_no_text_are_counted(tmp_path: Path) -> None:
    assert "1.0 KB that are no text" in answered(tmp_path, ODD["binary"])
    assert "1.0 KB that are no text" in answered(tmp_path, ODD["zeros"])


def test_a_stream_that_was_cut_says_so(tmp_path: Path) -> None:
    text = answered(tmp_path, ODD["cut inside a character"])

    assert rows(text, "odd") == ['data: {"choices":[{"index":0,"delta":{"content":"\ufffd']
    assert rows(text, "finish") == ["the answer has no end"]


def test_an_answer_without_a_byte_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (sending({}), response(end="timeout")))

    assert rows(shown(path), "stream") == ["nothing came"]
    assert rows(shown(path), "ended") == ["timeout"]


def assert_safe(text: str) -> None:
    acting = [
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character != "\n")
        or unicodedata.bidirectional(character) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI")
    ]
    assert acting == []


ATTACK = "\x1b]0;owned\x07\x1b[2J\r\x9b1m\u202egnp"


def test_no_text_can_act_on_the_terminal(tmp_path: Path) -> None:
    """Everything that is text in a cassette tries to."""
    item = {"type": ATTACK, ATTACK: ATTACK}
    inputs = [
        {"type": "message", "role": ATTACK, "content": ATTACK},
        {"type": "function_call_output", "call_id": ATTACK, "output": json.dumps({ATTACK: ATTACK})},
        item,
    ]
    body = {
        "model": ATTACK,
        "instructions": ATTACK,
        "input": inputs,
        "tools": [{"name": ATTACK}],
        ATTACK: ATTACK,
    }
    stream = chunks(
        {"reasoning": ATTACK},
        {"content": ATTACK},
        calling(ATTACK, ATTACK, json.dumps({ATTACK: [ATTACK, ATTACK + "\n"]})),
        finish=ATTACK,
    )
    ours = {**asking(body), "method": ATTACK, "path": f"/{ATTACK}"}
    answer = response(*stream, ATTACK.encode(), client_request=ours)
    answer |= {
        "status": {"code": 200, "message": ATTACK},
        "headers": {ATTACK: [ATTACK]},
    }
    events = response(
        sse(
            {"type": "response.output_item.done", "output_index": 1, "item": item},
            {"type": "response.failed", "response": {"error": {"code": ATTACK, "message": ATTACK}}},
        )
    )
    error = response(json.dumps({ATTACK: ATTACK}).encode())
    origin = {**dict.fromkeys(ORIGIN, ATTACK), "upstream": "live", "sha256": "0f" * 32}

    path = write(
        tmp_path / "c.yaml",
        (sending({**body, "messages": inputs, "x": 1}), answer),
        (Request(ATTACK, f"http://p/{ATTACK}", ATTACK.encode(), {}), events),
        (sending(body), error),
        provenance=origin,
    )
    text = shown(path, width=200)

    assert_safe(text)
    assert text.count(r"\x1b]0;owned\x07") > 25
    assert_safe(without_color(shown(path, width=200, color=True)))


def test_a_cassette_that_does_not_say_where_it_is_from_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    text = shown(path)

    assert text.startswith("── ")
    assert "it does not say where it is from" in text
    assert "client ─▶ proxy" not in text


@pytest.mark.parametrize("date", ["yesterday", "2026-11-22", "0001-01-01T00:00:00+14:00", ""])
def test_any_date_is_shown(tmp_path: Path, date: str) -> None:
    origin = {**ORIGIN, "recorded_at": date}
    path = write(tmp_path / "c.yaml", (request(), response(b"x")), provenance=origin)

    assert rows(shown(path), "recorded")[0].startswith(date)


#: What the schema of a cassette allows, and no recorder writes.
STRANGE: dict[str, Json] = {
    "times that are no numbers": {"stream": {"chunks": [[float("nan"), 1], [float("inf"), 1]]}},
    "times at the end of time": {"stream": {"chunks": [[0, 1], [1e308, 1]]}},
    "times in disorder": {"stream": {"chunks": [[9, 1], [3, 1]]}},
    "empty chunks": {"stream": {"chunks": [[0, 0], [1, 2], [1, 0]]}},
    "headers of all kinds": {"headers": {"a": "text", "b": None, "c": [1, None], "d": {"e": []}}},
    "a status of its own": {"status": {"code": -1, "message": ["odd"]}},
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_the_schema_allows_is_shown(tmp_path: Path, strange: Json) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"xy", client_request=asking({}))))
    document = yaml.safe_load(path.read_text())
    recorded = document["interactions"][0]["response"]
    for name, value in strange.items():
        recorded[name] = {**recorded[name], **value} if name == "stream" else value
    path.write_text(yaml.safe_dump(document))

    assert_safe(shown(path))


@pytest.mark.parametrize("body", [None, 5, ["a"], {"a": 1}, ""], ids=repr)
def test_a_request_of_any_kind_is_shown(tmp_path: Path, body: object) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))
    document = yaml.safe_load(path.read_text())
    document["interactions"][0]["request"]["body"] = body
    path.write_text(yaml.safe_dump(document))

    assert_safe(shown(path))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
items = json_values | st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call_output", "x"]) | json_values},
    optional=dict.fromkeys(["role", "content", "output", "call_id"], json_values),
)
requests = json_values | st.fixed_dictionaries(
    {},
    optional={
        "input": st.lists(items) | json_values,
        "messages": st.lists(items) | json_values,
        "tools": st.lists(items) | json_values,
        "model": json_values,
        "instructions": json_values,
    },
)


@given(st.lists(requests, min_size=1, max_size=2), requests, st.binary(), st.integers(1, 130))
def test_anything_is_shown_in_its_width(
    tmp_path_factory: pytest.TempPathFactory,
    clients: list[Json],
    sent: Json,
    body: bytes,
    width: int,
) -> None:
    path = write(
        tmp_path_factory.getbasetemp() / "any.yaml",
        *((sending(sent), response(body, client_request=asking(asked))) for asked in clients),
    )

    text = shown(path, width=width)

    assert_safe(text)
    assert without_color(shown(path, width=width, color=True)) == text
    assert [line for line in text.splitlines() if width_of(line) > max(width, 40)] == []


@pytest.mark.parametrize("depth", range(100, 1001, 25))
def test_arguments_and_requests_of_any_depth_are_shown(tmp_path: Path, depth: int) -> None:
    """As deep as JSON can be read, and not be written again."""
    deep = "[" * depth + "]" * depth
    asked = {**asking({}), "body": f'{{"input": [{deep}], "tools": {deep}, "x": {deep}}}'}
    stream = chunks(calling("1", "shell", f'{{"a": {deep}}}'))
    path = write(tmp_path / "c.yaml", (request(), response(*stream, client_request=asked)))

    assert_safe(shown(path))


def test_a_long_recording_is_shown_at_once(tmp_path: Path) -> None:
    arguments = json.dumps({"cmd": "x" * 200_000, "patch": "+ line\n" * 20_000})
    stream = chunks({"reasoning": "thinking " * 20_000}, calling("1", "shell", arguments))
    path = write(tmp_path / "c.yaml", (sending({}), response(*stream)))

    with open_cassette(path) as cassette:
        start = time.perf_counter()
        text = show(cassette, color=True, width=80, now=NOW)
        took = time.perf_counter() - start

    assert took < 1
    assert len(text.splitlines()) < 80
