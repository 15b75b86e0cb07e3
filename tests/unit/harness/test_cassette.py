"""The file: what is recorded comes back, stands there to be read, and is vcrpy's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cassette import (
    chunks_of,
    digest,
    open_cassette,
    provenance,
)
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


# --- what comes back -----------------------------------------------------------------------------


@given(st.binary())
def test_a_body_of_any_bytes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    # Bytes that no text has: see the next test for those that are text.
    body = data + b"\xff"
    path = write(tmp_path_factory.getbasetemp() / "bytes.yaml", (request(), response(body)))

    assert body_after(path) == body


@given(traps)
def test_a_body_of_any_lines_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    body = f"{text}\n".encode()
    path = write(tmp_path_factory.getbasetemp() / "lines.yaml", (request(), response(body)))

    assert body_after(path) == body


@given(traps)
def test_a_request_of_any_lines_comes_back(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    body = f"no JSON: {text}\n".encode()
    path = write(tmp_path_factory.getbasetemp() / "request.yaml", (request(body), response(b"")))

    assert request_after(path) == body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | traps,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(traps, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_a_request_of_any_json_says_the_same_when_it_comes_back(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    body = json.dumps(value).encode()
    path = write(tmp_path_factory.getbasetemp() / "json.yaml", (request(body), response(b"")))

    assert json.loads(request_after(path)) == value


def test_chunks_come_back_with_their_times(tmp_path: Path) -> None:
    chunks = [b"data: one\n\n", "data: €\n\n".encode()[:8], "data: €\n\n".encode()[8:]]
    path = write(tmp_path / "c.yaml", (request(), response(*chunks, at=[12.5, 13, 99.9])))

    with open_cassette(path) as cassette:
        assert chunks_of(cassette.responses[0]) == list(
            zip([12.5, 13.0, 99.9], chunks, strict=True)
        )


def test_what_the_client_asked_comes_back_beside_the_answer(tmp_path: Path) -> None:
    asked = {"method": "POST", "path": "/v1/responses", "headers": {}, "body": '{"input": "é"}'}
    path = write(tmp_path / "c.yaml", (request(), response(b"x", client_request=asked)))

    with open_cassette(path) as cassette:
        back = cassette.responses[0]["client_request"]
    assert {**back, "body": json.loads(back["body"])} == {**asked, "body": {"input": "é"}}


def test_where_it_is_from_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")), provenance=ORIGIN)

    with open_cassette(path) as cassette:
        assert provenance(cassette) == ORIGIN


def digest_of(path: Path) -> str:
    with open_cassette(path) as cassette:
        return digest(cassette, ORIGIN)


def test_the_digest_is_of_requests_and_streams_and_not_of_their_layout(tmp_path: Path) -> None:
    one = digest_of(write(tmp_path / "1.yaml", (request(b'{"a": 1}'), response(b"x"))))

    assert digest_of(write(tmp_path / "2.yaml", (request(b'{ "a":1 }'), response(b"x")))) == one
    assert digest_of(write(tmp_path / "3.yaml", (request(b'{"a": 2}'), response(b"x")))) != one
    assert digest_of(write(tmp_path / "4.yaml", (request(b'{"a": 1}'), response(b"y")))) != one


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "a\ufeffb", "a\rb"])
def test_a_body_of_one_line_comes_back(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(text.encode())))

    with open_cassette(path) as cassette:
        assert cassette.responses[0]["body"]["string"] == text.encode()


def test_a_request_with_half_a_surrogate_pair_comes_back(tmp_path: Path) -> None:
    body = b'{"a":"\\ud800"}'
    path = write(tmp_path / "c.yaml", (request(body), response(b"x")))

    assert request_after(path) == body


# --- what happens to the file --------------------------------------------------------------------


def test_a_new_recording_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"old")), (request(), response(b"old")))

    write(path, (request(), response(b"new")))

    with open_cassette(path) as cassette:
        assert [answer["body"]["string"] for answer in cassette.responses] == [b"new"]
    assert list(tmp_path.iterdir()) == [path]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    path = write(tmp_path / "cerebras" / "new" / "c.yaml", (request(), response(b"x")))

    assert path.is_file()


def record_until(path: Path, error: BaseException) -> None:
    with open_cassette(path, record=True) as cassette:
        cassette.append(request(), response(b"new"))
        raise error


def test_an_exception_while_recording_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"old")))
    before = path.read_bytes()

    with pytest.raises(KeyboardInterrupt):
        record_until(path, KeyboardInterrupt())

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_while_recording_for_the_first_time_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        record_until(tmp_path / "c.yaml", RuntimeError("on purpose"))

    assert list(tmp_path.iterdir()) == []


def test_what_is_changed_in_one_is_not_changed_for_the_next_who_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    write(path, (request(), response(b"one", b"two")), provenance=ORIGIN)

    with open_cassette(path) as cassette:
        cassette.responses[0]["stream"]["chunks"].clear()
        cassette.get_metadata("provenance", None)["scenario"] = "another"
    with open_cassette(path) as again:
        assert [data for _, data in chunks_of(again.responses[0])] == [b"one", b"two"]
        assert provenance(again) == ORIGIN


def test_a_replay_changes_nothing_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", (request(), response(b"x")), (request(), response(b"y")))
    before = path.read_bytes()

    with open_cassette(path) as cassette:
        cassette.play_response(request())

    assert path.read_bytes() == before
