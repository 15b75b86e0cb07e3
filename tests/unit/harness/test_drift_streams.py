from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cassette
from harness.drift.__main__ import main
from harness.drift.streams import stream_drift
from tests.cassettes import FOLDER, cerebras

Data = dict[str, Any]


def recorded_again(name: str, folder: Path, change: Callable[[Data], Data | list[Data]]) -> Path:
    """Return a newer recording, in which `change` made something else of each event or chunk."""
    again = cassette.load(FOLDER / f"{name}.yaml")
    new = cassette.new()
    for request, response in again.data:
        blocks = []
        for block in response["body"]["string"].split(b"\n\n"):
            head, mark, data = block.partition(b"data: ")
            if mark and data.startswith(b"{"):
                made = change(json.loads(data))
                made = [made] if isinstance(made, dict) else made
                blocks += [head + mark + json.dumps(one).encode() for one in made]
            else:
                blocks.append(block)
        body = b"\n\n".join(blocks)
        chunks = [[0.0, len(body)]]
        stream = {**response["stream"], "chunks": chunks}
        new.append(request, {**response, "body": {"string": body}, "stream": stream})
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    cassette.save(new, path)
    return path


def found(
    name: str, folder: Path, change: Callable[[Data], Data | list[Data]]
) -> list[tuple[str, str]]:
    again = recorded_again(name, folder, change)
    return [(one.level, one.what) for one in stream_drift(FOLDER / f"{name}.yaml", again)]


@pytest.mark.parametrize("name", ["chatgpt/hello", "cerebras/hello", "cerebras/parallel-calls"])
def test_the_same_stream_has_not_drifted(name: str, tmp_path: Path) -> None:
    assert found(name, tmp_path, lambda data: data) == []


def test_a_new_type_of_event_is_told(tmp_path: Path) -> None:
    def add(event: Data) -> list[Data]:
        new = {"type": "response.mood", "sequence_number": 0, "mood": "good"}
        return [event, new] if event["type"] == "response.created" else [event]

    assert found("chatgpt/hello", tmp_path, add) == [
        ("info", "stream: event response.mood new"),
    ]


def test_a_new_field_is_a_warning(tmp_path: Path) -> None:
    def add(event: Data) -> Data:
        return {**event, "mood": "good"} if event["type"] == "response.output_text.done" else event

    assert found("chatgpt/hello", tmp_path, add) == [
        ("warn", "event response.output_text.done: field mood new"),
    ]


def test_a_field_that_is_gone_is_an_error(tmp_path: Path) -> None:
    def drop(event: Data) -> Data:
        return {name: event[name] for name in event if name != "output_index"}

    drifted = found("chatgpt/hello", tmp_path, drop)

    assert ("error", "event response.output_text.delta: field output_index vanished") in drifted


def test_a_field_of_another_kind_is_an_error(tmp_path: Path) -> None:
    def change(event: Data) -> Data:
        return {**event, "sequence_number": str(event["sequence_number"])}

    what = "event response.created: field sequence_number is a string, not an integer"
    assert ("error", what) in found("chatgpt/hello", tmp_path, change)


def test_chunks_of_cerebras_drift_as_well(tmp_path: Path) -> None:
    def change(chunk: Data) -> Data:
        delta = chunk["choices"][0]["delta"]
        if "reasoning" in delta:
            delta["thoughts"] = delta.pop("reasoning")  # it happened to others
        return {name: chunk[name] for name in chunk if name != "time_info"}

    drifted = found("cerebras/parallel-calls", tmp_path, change)

    assert ("info", "stream: event chunk thoughts new") in drifted
    assert ("warn", "stream: event chunk reasoning vanished") in drifted
    assert ("error", "event chunk finish: field time_info vanished") in drifted


# --- the command ---------------------------------------------------------------------------------


def test_the_command_fails_on_errors_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER.parent)
    recorded_again("chatgpt/hello", tmp_path / "noted", lambda event: {**event, "mood": "good"})
    recorded_again("chatgpt/hello", tmp_path / "wrong", lambda event: {"type": event["type"]})

    assert main(["--against", str(tmp_path / "noted")]) == 0
    assert "0 errors, " in capsys.readouterr().out
    assert main(["--against", str(tmp_path / "wrong")]) == 1
    assert "error event response.completed: field response vanished" in capsys.readouterr().out


def test_a_folder_without_recordings_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--against", str(tmp_path)]) == 2
    assert "there are no recordings" in capsys.readouterr().err


def test_recordings_of_two_backends_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER.parent)
    other = tmp_path / "chatgpt" / "hello.yaml"
    other.parent.mkdir()
    other.write_bytes(cerebras("hello").read_bytes())

    assert main(["--against", str(tmp_path)]) == 2
    assert "only recordings of the same backend" in capsys.readouterr().err
