"""A cassette as a person reads it: all that is in it, and nothing that acts on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from harness.cassette import open_cassette
from harness.terminal import width_of
from tests.cassettes import FOLDER
from tests.unit.harness.handmade import Json, request, response, sse, write
from tests.unit.harness.shown import (
    CHATGPT,
    ORIGIN,
    answered,
    asking,
    calling,
    chunks,
    rows,
    sending,
    shown,
    without_color,
)

RECORDED = sorted(FOLDER.rglob("*.yaml"))


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
