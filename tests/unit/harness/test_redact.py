"""What a cassette keeps of headers, what is prose, what is compared, which ids are masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.redact import (
    Elision,
    mask,
    matchable,
    placeholder,
    prose_of,
    request_headers,
    response_headers,
)
from tests.unit.harness.asked import CONTEXT, message
from tests.unit.harness.handmade import Json

# --- headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, httpx.Headers])
def test_of_a_request_a_few_headers_are_kept(kind: Callable[[Any], Any]) -> None:
    kept = {
        "accept": "text/event-stream",
        "content-type": "application/json",
        "content-encoding": "zstd",
        "user-agent": "codex_exec/0.163.0",
        "openai-beta": "responses=experimental",
        "originator": "codex_exec",
        "version": "0.45.0",
    }
    dropped = {
        "authorization": "Bearer x",
        "cookie": "a=b",
        "chatgpt-account-id": "1",
        "x-codex-turn-state": "gAAA",
        "x-codex-turn-metadata": "{}",
        "session_id": "1",
        "x-ratelimit-limit": "1",
        "x-api-key": "x",
        "host": "a",
    }

    assert request_headers(kind({**kept, **dropped})) == kept


@pytest.mark.parametrize("kind", [dict, httpx.Headers])
def test_of_an_answer_limits_are_kept_too(kind: Callable[[Any], Any]) -> None:
    kept = {
        "content-type": "text/event-stream",
        "content-encoding": "gzip",
        "retry-after": "54",
        "openai-model": "gpt-5.5",
        "x-ratelimit-reset-tokens-minute": "59.6",
        "x-codex-primary-used-percent": "50",
    }
    dropped = {
        "set-cookie": "__cf_bm=x",
        "x-codex-turn-state": "gAAA",
        "x-codex-account-id": "1",
        "x-codex-user-name": "jane",
        "x-ratelimit-organization": "org-1",
        "openai-organization": "org-1",
        "x-request-id": "1",
        "cf-ray": "1",
    }

    assert response_headers(kind({**kept, **dropped})) == kept


def test_however_a_header_is_written() -> None:
    headers = {"Content-Type": "a", "AUTHORIZATION": "b", "X-Codex-Turn-State": "c"}

    assert request_headers(headers) == response_headers(headers) == {"content-type": "a"}


# --- prose: where it is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        {"instructions": "P"},
        {"input": [message("developer", "P")]},
        {"input": [message("system", "P")]},
        {"input": [{"role": "developer", "content": "P"}]},
        {"tools": [{"type": "function", "name": "f", "description": "P"}]},
        {"tools": [{"type": "namespace", "name": "n", "description": "P"}]},
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"description": "P"}]}]},
        {"tools": [{"parameters": {"properties": {"a": {"items": {"description": "P"}}}}}]},
        {"tools": [{"parameters": {"properties": {"description": {"description": "P"}}}}]},
        {"tools": [{"type": "custom", "format": {"type": "grammar", "definition": "P"}}]},
        {"tools": [{"tools": [{"type": "custom", "format": {"definition": "P"}}]}]},
        {"input": [{"type": "additional_tools", "tools": [{"description": "P"}]}]},
        {"input": [{"type": "tool_search_output", "tools": [{"tools": [{"description": "P"}]}]}]},
        {"messages": [{"role": "system", "content": "P"}]},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "P"}]}]},
        {"tools": [{"type": "function", "function": {"description": "P"}}]},
        {"tools": [{"function": {"parameters": {"properties": {"a": {"description": "P"}}}}}]},
    ],
    ids=json.dumps,
)
def test_prose_is_found_at_its_place(request_: Json) -> None:
    assert prose_of(request_) == ["P"]
    # ... and is not compared.
    assert matchable(request_) == matchable(json.loads(json.dumps(request_).replace("P", "Q")))
    assert "P" not in json.dumps(matchable(request_))


@pytest.mark.parametrize(
    "opening",
    [
        "<environment_context>",
        "<user_instructions>",
        "<permissions instructions>",
        "<skills_instructions>",
        "# AGENTS.md instructions for /a",
        "\n\n<environment_context>",
    ],
)
def test_what_codex_says_as_the_user_is_prose(opening: str) -> None:
    context = f"{opening}\nand so on"

    assert prose_of({"input": [message("user", context)]}) == [context]
    assert prose_of({"input": context}) == [context]
    assert prose_of({"messages": [{"role": "user", "content": context}]}) == [context]


@pytest.mark.parametrize(
    "request_",
    [
        {"input": "say hello world"},
        {"input": [message("user", "say hello world")]},
        {"input": [message("user", "What does <environment_context> mean?")]},
        {"input": [message("assistant", "<environment_context> is a tag")]},
        {"input": [{"type": "function_call", "arguments": '{"description": "a"}'}]},
        {"input": [{"type": "function_call_output", "output": "# AGENTS.md"}]},
        {"text": {"format": {"schema": {"properties": {"a": {"description": "an answer"}}}}}},
        {"tools": [{"type": "function", "name": "f", "parameters": {"title": "T"}}]},
        {"tools": [{"parameters": {"properties": {"description": {"type": "string"}}}}]},
        {"metadata": {"description": "a", "instructions": "b"}},
        {"instructions": ""},
        {"instructions": None},
        {},
        "no object",
        [],
        None,
    ],
    ids=json.dumps,
)
def test_anything_else_is_no_prose(request_: Any) -> None:
    assert prose_of(request_) == []
    if request_ is None or "output" not in json.dumps(request_):
        assert matchable({"model": "m", "it": request_}) == {"model": "m", "it": request_}
    assert Elision(request_).of_json(request_) == request_


def test_only_the_part_that_is_context_is_prose() -> None:
    asked = {"input": [message("user", CONTEXT, "say hello world")]}

    elided = Elision(asked).of_json(asked)

    assert elided == {"input": [message("user", placeholder(CONTEXT), "say hello world")]}


def test_each_text_is_found_once() -> None:
    asked = {"instructions": "A", "input": [message("developer", "B", "A")]}

    assert prose_of(asked) == ["A", "B"]


# --- what is compared ----------------------------------------------------------------------------


def test_what_changes_with_every_run_is_not_compared() -> None:
    def request(run: str) -> Json:
        return {
            "model": "m",
            "input": [
                {**message("user", "Hi"), "id": f"msg_{run}"},
                {"type": "reasoning", "id": run, "summary": [], "encrypted_content": run},
                {"type": "function_call", "id": run, "call_id": "1", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": f"took {run} s"},
                {"type": "custom_tool_call_output", "call_id": "2", "output": [{"text": run}]},
            ],
            "prompt_cache_key": run,
            "client_metadata": {"session_id": run},
        }

    assert matchable(request("1")) == matchable(request("2"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "a"}, {"model": "b"}),
        ({"input": "say hello"}, {"input": "say goodbye"}),
        ({"input": [message("user", "a")]}, {"input": [message("user", "b")]}),
        ({"input": [message("user", CONTEXT, "a")]}, {"input": [message("user", CONTEXT, "b")]}),
        ({"input": [message("assistant", "a")]}, {"input": [message("assistant", "b")]}),
        ({"input": [message("user", "a")]}, {"input": [message("developer", "a")]}),
        ({"input": [{"call_id": "a"}]}, {"input": [{"call_id": "b"}]}),
        ({"input": [{"arguments": "a"}]}, {"input": [{"arguments": "b"}]}),
        ({"tools": [{"name": "a"}]}, {"tools": [{"name": "b"}]}),
        ({"tools": [{"parameters": {"a": {}}}]}, {"tools": [{"parameters": {"b": {}}}]}),
        ({"tools": []}, {"tools": [{"description": "a"}]}),
        ({"text": {"description": "a"}}, {"text": {"description": "b"}}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": []}),
        (
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "user", "content": "b"}]},
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "a"}]},
            {"messages": [{"role": "tool", "tool_call_id": "b"}]},
        ),
    ],
    ids=json.dumps,
)
def test_all_else_is_compared(one: Json, other: Json) -> None:
    assert matchable(one) != matchable(other)


def test_a_chat_request_is_compared_without_prose_and_outputs() -> None:
    def chat(prose: str, context: str, run: str) -> Json:
        function = {
            "name": "f",
            "description": prose,
            "parameters": {"properties": {"a": {"description": prose}}},
        }
        return {
            "messages": [
                {"role": "system", "content": prose},
                {"role": "user", "content": context},
                {"role": "user", "content": "say hello world"},
                {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
                {"role": "tool", "tool_call_id": "1", "content": run},
            ],
            "tools": [{"type": "function", "function": function}],
        }

    # As it was recorded, and as another version of the client has it.
    recorded = chat(placeholder("a"), placeholder(CONTEXT), "1")
    assert matchable(recorded) == matchable(chat("b", f"{CONTEXT}\n", "2"))
    assert matchable(recorded)["messages"][2]["content"] == "say hello world"


# --- ids of accounts -----------------------------------------------------------------------------

ID = "AbCd1234EfGh5678IjKl9012"
UUID = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (f"in organization org-{ID} on", f"in organization org-{'x' * 24} on"),
        (f'{{"id":"user-{ID}"}}', f'{{"id":"user-{"x" * 24}"}}'),
        (f"acct_{ID}", f"acct_{'x' * 24}"),
        (f"proj_{ID}", f"proj_{'x' * 24}"),
        (f"org_{ID}", f"org_{'x' * 24}"),
        (f"user-{ID}__{UUID}", f"user-{'x' * 62}"),
        (f"see:\\norg-{ID}\\n", f"see:\\norg-{'x' * 24}\\n"),
        ("org-AbcdEFghijklMnop", f"org-{'x' * 16}"),
        ('{"safety_identifier":"user-1"}', '{"safety_identifier":"user-x"}'),
        ('{"safety_identifier": "id_1"}', '{"safety_identifier": "xxxx"}'),
        (f'{{"account_id":"{UUID}"}}', f'{{"account_id":"{"x" * 36}"}}'),
        (f'{{"chatgpt_account_id" : "{UUID}"}}', f'{{"chatgpt_account_id" : "{"x" * 36}"}}'),
        ('{"organization":"A \\"B\\" C"}', '{"organization":"xxxxxxxxx"}'),
        ('{"user_id":"é"}', '{"user_id":"xx"}'),
        ('{"org_id":"1","user_id":"2"}', '{"org_id":"x","user_id":"x"}'),
    ],
)
def test_an_id_of_an_account_is_masked(data: str, masked: str) -> None:
    assert mask(data.encode()) == masked.encode()


@pytest.mark.parametrize(
    "data",
    [
        "user-friendly, user-defined, org-mode, a user-interface-guideline",
        "user-profileAvatarContainer org-internationalization user-2024",
        "acct_short1 org-1",
        f"superuser-{ID} _org-{ID} reorg-{ID}",
        f"resp_{ID} msg_{ID} call_{ID} fc_{ID} rs_{ID} chatcmpl-{ID}",
        f'{{"encrypted_content":"gAAAA-org-{ID}"}}',
        '{"safety_identifier":null,"user_id":5,"account_id":{"a":"b"},"organization":[]}',
        '{"arguments":"{\\"user_id\\": \\"42\\"}"}',
        '{"required":["user_id"],"properties":{"user_id":{"type":"string"}}}',
        '{"user":"jane","id":"resp_1"}',
    ],
)
def test_anything_else_is_not_masked(data: str) -> None:
    assert mask(data.encode()) == data.encode()


PIECES = ["org-", "user-", ID, '"account_id":"', '"', "\\", "\n", "x", "9", "é", " ", "__", UUID]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_masking_keeps_the_length_and_masks_what_is_masked_no_further(data: str) -> None:
    masked = mask(data.encode())

    assert len(masked) == len(data.encode())
    assert mask(masked) == masked


def test_what_is_json_stays_json() -> None:
    event = {"a": f"org-{ID}", "safety_identifier": 'q"\\', "account_id": UUID, "n": "\u2028"}

    for ascii in (True, False):
        masked = json.loads(mask(json.dumps(event, ensure_ascii=ascii).encode()))
        assert masked["a"] == "org-" + "x" * 24
        assert masked["n"] == "\u2028"
