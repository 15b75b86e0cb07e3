"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import SCHEMAS, cassettes_folder
from tests.cassettes import FOLDER


def test_schemas_are_those_of_the_checkout() -> None:
    assert FOLDER.parent / "schemas" == SCHEMAS
    assert (SCHEMAS / "chat" / "chunk.json").is_file()


def test_cassettes_are_those_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cassettes" / "chatgpt").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert cassettes_folder().resolve() == tmp_path / "cassettes"


def test_where_the_current_folder_has_none_they_are_those_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cassettes_folder() == FOLDER


def test_a_folder_of_another_kind_of_cassettes_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vcrpys = tmp_path / "cassettes" / "test_client" / "test_ask.yaml"
    vcrpys.parent.mkdir(parents=True)
    vcrpys.write_text("interactions: []\n")
    monkeypatch.chdir(tmp_path)

    assert cassettes_folder() == FOLDER
