"""The file of a cassette: how it looks, and what is said of one that is none."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr
import yaml
from hypothesis import strategies as st
from vcr.record_mode import RecordMode

from harness.cassette import (
    InvalidCassette,
    chunks_of,
    open_cassette,
    provenance,
)
from harness.errors import HarnessError
from tests.cassettes import FOLDER
from tests.unit.harness.handmade import ORIGIN, request, response, write

RECORDED = sorted(FOLDER.rglob("*.yaml"))

#: What YAML drops, folds, reads as a line break or takes for markup of its own.
TRAPS = [
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\r",
    "\r\n",
    "\n",
    "\t",
    " ",
    "  ",
    "---",
    "...",
    "#",
]
TRAPS += [": ", "- ", "|", ">", "'", '"', "\\", "%", "!", "&", "*", "{", "null", "\x00", "\x7f"]

traps = st.lists(st.sampled_from(TRAPS) | st.text(max_size=5)).map("".join)


def body_after(path: Path) -> Any:
    """Return the body of the only response in the file."""
    with open_cassette(path) as cassette:
        return cassette.responses[0]["body"]["string"]


def request_after(path: Path) -> Any:
    """Return the body of the only request in the file."""
    with open_cassette(path) as cassette:
        return cassette.requests[0].body


# --- how it looks --------------------------------------------------------------------------------


LAID_OUT = """\
version: 1
metadata:
  provenance:
    scenario: hello
    backend: cerebras
    model: gpt-oss-120b
    upstream: emulator
    client: a script
    recorded_at: '2026-11-22T12:00:00+00:00'
    recorder: a test
    sha256: 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
interactions:
- client_request:
    method: POST
    path: /v1/responses
    headers:
      content-type: application/json
    body: |
      {"input": "héllo ✓"}
  request:
    method: POST
    uri: http://provider/v1/chat/completions
    body: |
      {"model": "m", "messages": []}
    headers:
      content-type:
      - application/json
  response:
    status:
      code: 200
      message: OK
    headers:
      content-type:
      - text/event-stream
    body:
      string: |+
        data: {"text":"héllo ✓"}

        data: [DONE]

    stream:
      chunks: [[0.0, 29], [1.0, 14]]
      end: complete
"""


def test_a_file_is_laid_out_to_be_read(tmp_path: Path) -> None:
    answer = response(
        'data: {"text":"héllo ✓"}\n\n'.encode(),
        b"data: [DONE]\n\n",
        client_request={
            "method": "POST",
            "path": "/v1/responses",
            "headers": {"content-type": "application/json"},
            "body": '{"input":"h\\u00e9llo ✓"}',
        },
    )
    path = write(tmp_path / "c.yaml", (request(), answer), provenance=ORIGIN)

    assert path.read_bytes() == LAID_OUT.encode()


def test_json_that_fits_stands_on_one_line_and_longer_json_on_one_line_a_thing(
    tmp_path: Path,
) -> None:
    value = {"short": {"a": [1, 2]}, "long": ["x" * 60, {"y": "y" * 60}], "empty": []}
    body = json.dumps(value).encode()
    path = write(tmp_path / "c.yaml", (request(body), response(b"")))

    assert request_after(path).decode().splitlines() == [
        "{",
        '  "short": {"a": [1, 2]},',
        '  "long": [',
        f'    "{"x" * 60}",',
        f'    {{"y": "{"y" * 60}"}}',
        "  ],",
        '  "empty": []',
        "}",
    ]


def test_bytes_that_are_no_utf_8_are_base64(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"\xffdata: x\n\n")))

    assert "string: !!binary |\n        /2RhdGE6IHgKCg==\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\ufeff", "\r"], ids=ascii)
def test_a_stream_with_a_character_that_yaml_would_change_is_quoted(
    tmp_path: Path, character: str
) -> None:
    body = f"data: {character}\n\n".encode()
    path = write(tmp_path / "c.yaml", (request(), response(body)))

    assert '      string: "data: ' in path.read_text(encoding="utf-8")
    assert body_after(path) == body


# --- the cassettes of this repository ------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_chunks_of_a_recording_add_up_and_come_in_time(path: Path) -> None:
    with open_cassette(path) as cassette:
        for answer in cassette.responses:
            times = [time for time, _ in chunks_of(answer)]
            assert b"".join(chunk for _, chunk in chunks_of(answer)) == answer["body"]["string"]
            assert all(chunk for _, chunk in chunks_of(answer))
            assert times == sorted(times)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recording_is_a_literal_block(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    with open_cassette(path) as cassette:
        streams = [answer["body"]["string"].decode() for answer in cassette.responses]
        # What YAML would read as a line break stands escaped.
        literal = [stream for stream in streams if "\n" in stream and "\u2028" not in stream]
        assert text.count("      string: |") == len(literal)
        for stream in literal:
            for line in stream.split("\n"):
                assert f"\n        {line}\n" in text or not line


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_stock_vcrpy_replays_it(path: Path) -> None:
    with open_cassette(path) as ours:
        expected = [
            (answer["status"]["code"], answer["headers"].get("content-type"), answer["body"])
            for answer in ours.responses
        ]

    stock = vcr.VCR(record_mode=RecordMode.NONE, match_on=["method", "uri", "body"])
    with stock.use_cassette(str(path)) as cassette, httpx.Client(verify=False) as http:
        answers = [
            http.request(asked.method, asked.uri, content=asked.body, headers=asked.headers)
            for asked in cassette.requests
        ]
        assert cassette.all_played

    assert [
        (answer.status_code, answer.headers.get_list("content-type") or None, answer.content)
        for answer in answers
    ] == [(status, kind, body["string"]) for status, kind, body in expected]


# --- files that are no cassettes -----------------------------------------------------------------

WHOLE = yaml.safe_dump(
    {"version": 1, "interactions": [{"request": {}, "response": {"body": {"string": "x"}}}]}
).encode()

NO_CASSETTES = {
    "empty": b"",
    "no YAML": b"interactions: [",
    "no UTF-8": "interactions: é".encode("latin-1"),
    "a tag of Python's": b"interactions: !!python/object:os.system {}",
    "a number": b"5",
    "a list": b"- request: {}\n  response: {}\n",
    "no interactions": b"version: 1",
    "interactions that are null": b"interactions:",
    "interactions that are text": b"interactions: [request, response]",
    "no request": b"interactions: [{response: {}}]",
    "no response": WHOLE.replace(b"response:", b"answer:"),
    "a request without method": WHOLE,
    "a request with something unknown": WHOLE.replace(b"{}", b"{method: GET, what: 1}"),
}


@pytest.mark.parametrize("content", NO_CASSETTES.values(), ids=NO_CASSETTES)
def test_a_file_that_is_no_cassette_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)

    with pytest.raises(InvalidCassette) as raised, open_cassette(path):
        pass

    assert str(raised.value).startswith(f"{path}: no")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("chunks: [[0.0, 1]]", "chunks: [[0.0, 2]]", "the chunks are not 1 bytes"),
        ("chunks: [[0.0, 1]]", "chunks: [[.nan, 1]]", "a chunk has no time"),
        ("      string: x", "      string: 5", "response.body.string: 5 is no text"),
        ("end: complete", "end: torn", "'torn' is not one of"),
        ("    stream:\n", "    streams:\n", "'stream' is a required property"),
        ("uri: http://provider/v1/chat/completions", "uri: 5", "5 is not of type 'string'"),
    ],
    ids=["sizes", "times", "body", "end", "no stream", "uri"],
)
def test_a_cassette_of_another_shape_is_named(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    with pytest.raises(InvalidCassette) as raised, open_cassette(path):
        pass

    assert str(raised.value).startswith(f"{path}: no cassette: ")
    assert fault in str(raised.value)


def test_a_cassette_without_interactions_is_none(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("version: 1\ninteractions: []\n")

    with pytest.raises(InvalidCassette, match="interactions"), open_cassette(path):
        pass


def test_a_recording_of_nothing_is_none(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    with (
        pytest.raises(InvalidCassette, match="nothing was recorded"),
        open_cassette(path, record=True),
    ):
        pass

    assert not path.exists()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.yaml"

    with pytest.raises(InvalidCassette) as raised, open_cassette(path):
        pass

    assert str(raised.value) == f"{path}: there is no such cassette"
    assert not path.exists()


def test_a_folder_is_no_cassette(tmp_path: Path) -> None:
    with pytest.raises(InvalidCassette, match="there is no such cassette"), open_cassette(tmp_path):
        pass


def test_a_cassette_that_does_not_say_where_it_is_from_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")))

    with (
        open_cassette(path) as cassette,
        pytest.raises(InvalidCassette, match=r"c\.yaml: has no metadata\.provenance$"),
    ):
        provenance(cassette)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "cassettes").write_text("a file where a folder should be")
    path = tmp_path / "cassettes" / "c.yaml"

    with pytest.raises(HarnessError, match=r"c\.yaml: cannot be written: "):
        write(path, (request(), response(b"x")))


def test_many_can_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    with ThreadPoolExecutor(8) as pool:
        written = pool.map(lambda _: write(path, (request(), response(b"x"))), range(64))
        assert set(written) == {path}

    assert list(tmp_path.iterdir()) == [path]
