"""The command line: what may be set, what is refused, and that no key is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.__main__ import parse
from proxy.journal import default_directory
from proxy.settings import BACKENDS, Settings

KEY = "csk-0123456789"

NO_URL = "is no http(s) URL; it looks like https://api.cerebras.ai/v1"
HOST_AND_PATH = "has a login, a query or a fragment; it takes host and path alone"
IN_THE_OPEN = "must be https: the key or login would go to"
NO_BACKEND = "is none; PROXY_BACKEND and --backend take cerebras or chatgpt"


def settings(*argv: str, **environment: str) -> Settings:
    return parse(argv, {"CEREBRAS_API_KEY": KEY, **environment})


# --- what may be set -----------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "on"), [("1", True), ("0", False), ("", False)])
def test_a_switch_is_0_or_1(value: str, on: bool) -> None:
    assert settings(CEREBRAS_PARALLEL_TOOL_CALLS=value).send_parallel_tool_calls is on
    assert settings(CEREBRAS_THINK_TAGS=value).think_tags is on


@pytest.mark.parametrize("name", ["CEREBRAS_PARALLEL_TOOL_CALLS", "CEREBRAS_THINK_TAGS"])
@pytest.mark.parametrize("value", ["yes", "true", "2", " 1"])
def test_what_is_no_switch_is_refused(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        settings(**{name: value})

    assert caught.value.code == 2
    assert f"{name} is 0 or 1, not {value!r}" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "seconds"), [("1", 1), ("0.5", 0.5), ("", 240)])
def test_a_timeout_is_a_number_of_seconds(value: str, seconds: float) -> None:
    assert settings(CEREBRAS_TIMEOUT=value).timeout == seconds


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "soon"])
def test_what_is_no_timeout_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings(CEREBRAS_TIMEOUT=value)

    assert caught.value.code == 2
    assert f"CEREBRAS_TIMEOUT is a number of seconds, not {value!r}" in capsys.readouterr().err


def test_a_key_is_all_that_is_needed() -> None:
    assert settings() == Settings(
        api_key=KEY,
        base_url="https://api.cerebras.ai/v1",
        model="gpt-oss-120b",
        backend="cerebras",
        host="127.0.0.1",
        port=10001,
        log_directory=default_directory({}),
    )


def test_flags() -> None:
    chosen = settings("--backend", "cerebras", "--host", "0.0.0.0", "--port", "8080")  # noqa: S104

    assert (chosen.backend, chosen.host, chosen.port) == ("cerebras", "0.0.0.0", 8080)  # noqa: S104


def test_the_chatgpt_backend_needs_nothing_and_looks_at_nothing_of_cerebras() -> None:
    cerebras = {"CEREBRAS_BASE_URL": "no URL", "CEREBRAS_TIMEOUT": "soon", "CEREBRAS_MODEL": "m"}

    chosen = parse(["--backend", "chatgpt"], {})

    assert (chosen.base_url, chosen.port, chosen.api_key) == (
        "https://chatgpt.com/backend-api/codex",
        10000,
        "",
    )
    assert settings("--backend", "chatgpt", **cerebras) == chosen
    assert chosen == Settings(backend="chatgpt", log_directory=default_directory({}))


def test_each_backend_has_an_address_of_its_own() -> None:
    chosen = settings("--backend", "chatgpt", CHATGPT_BASE_URL="http://127.0.0.1:8000/codex/")

    assert chosen.base_url == "http://127.0.0.1:8000/codex"
    assert settings(CHATGPT_BASE_URL="http://127.0.0.1:8000") == settings()


def test_a_port_that_is_chosen_counts_for_any_backend() -> None:
    assert settings("--backend", "chatgpt", "--port", "0").port == 0
    assert settings(PROXY_BACKEND="chatgpt", PROXY_PORT="10001").port == 10001


def test_the_environment_stands_in_for_flags() -> None:
    chosen = settings(PROXY_BACKEND="cerebras", PROXY_HOST="::1", PROXY_PORT="8080")

    assert (chosen.backend, chosen.host, chosen.port) == ("cerebras", "::1", 8080)


def test_a_flag_counts_before_the_environment() -> None:
    assert settings("--port", "1", PROXY_PORT="2").port == 1
    assert settings("--host", "a", PROXY_HOST="b").host == "a"
    assert settings("--backend", "cerebras", PROXY_BACKEND="").backend == "cerebras"


def test_a_variable_that_is_empty_is_not_set() -> None:
    variables = [
        "CEREBRAS_BASE_URL",
        "CEREBRAS_MODEL",
        "CHATGPT_BASE_URL",
        "PROXY_BACKEND",
        "PROXY_HOST",
        "PROXY_PORT",
    ]

    assert settings(**dict.fromkeys(variables, "")) == settings()


def test_logs_can_be_anywhere_and_nowhere() -> None:
    assert settings(PROXY_LOG_DIR="/l").log_directory == Path("/l")
    assert settings(PROXY_LOG_DIR="l").log_directory == Path.cwd() / "l"
    assert settings(PROXY_LOG_DIR="/l", PROXY_LOG="off").log_directory is None


def test_the_model_comes_from_the_environment() -> None:
    assert settings(CEREBRAS_MODEL="zai-glm-4.7").model == "zai-glm-4.7"


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("https://example.com/v1", "https://example.com/v1"),
        ("https://example.com/v1/", "https://example.com/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_the_base_url_comes_from_the_environment(url: str, base_url: str) -> None:
    assert settings(CEREBRAS_BASE_URL=url).base_url == base_url


def test_space_around_the_key_is_no_part_of_it() -> None:
    assert settings(CEREBRAS_API_KEY=f" {KEY}\n").api_key == KEY


@pytest.mark.parametrize("port", ["0", "65535"])
def test_a_port_is_any_of_sixteen_bits(port: str) -> None:
    assert settings("--port", port).port == int(port)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "environment", "sentence"),
    [
        (
            [],
            {"CEREBRAS_API_KEY": ""},
            "CEREBRAS_API_KEY is not set; get a key at https://cloud.cerebras.ai",
        ),
        (
            [],
            {"CEREBRAS_API_KEY": " \n"},
            "CEREBRAS_API_KEY is not set; get a key at https://cloud.cerebras.ai",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "api.cerebras.ai/v1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "ftp://api.cerebras.ai"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "https://"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://[::1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://xn--/v1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://a:65536/v1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://127.0.0.1:0/v1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "https://user:secret@a:65536/v1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "https://a/v1 HTTP/1.1"},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": KEY},
            f"CEREBRAS_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://a/v1?b=c"},
            f"CEREBRAS_BASE_URL {HOST_AND_PATH}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://a/v1#"},
            f"CEREBRAS_BASE_URL {HOST_AND_PATH}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://user:secret@a/v1"},
            f"CEREBRAS_BASE_URL {HOST_AND_PATH}",
        ),
        (
            [],
            {"CEREBRAS_API_KEY": "csk-one\ncsk-two"},
            "CEREBRAS_API_KEY has characters that no key has; was it copied whole?",
        ),
        (
            [],
            {"CEREBRAS_API_KEY": "csk-schlüssel"},
            "CEREBRAS_API_KEY has characters that no key has; was it copied whole?",
        ),
        (
            ["--backend", "openai"],
            {},
            f"argument --backend: 'openai' {NO_BACKEND}",
        ),
        (
            [],
            {"PROXY_BACKEND": "openai"},
            f"argument --backend: 'openai' {NO_BACKEND}",
        ),
        (
            ["--backend", "chatgpt"],
            {"CHATGPT_BASE_URL": "chatgpt.com"},
            f"CHATGPT_BASE_URL {NO_URL}",
        ),
        (
            [],
            {"CEREBRAS_BASE_URL": "http://a/v1"},
            f"CEREBRAS_BASE_URL {IN_THE_OPEN} 'http://a/v1' in the open",
        ),
        (
            ["--backend", "chatgpt"],
            {"CHATGPT_BASE_URL": "http://127.0.0.1.example"},
            f"CHATGPT_BASE_URL {IN_THE_OPEN} 'http://127.0.0.1.example' in the open",
        ),
        (
            [],
            {"PROXY_TOKEN": "a token\x00"},
            "PROXY_TOKEN has characters that no key has; was it copied whole?",
        ),
        ([], {"PROXY_LOG": "0"}, "PROXY_LOG is on or off, not '0'"),
        (["--verbose"], {}, "unrecognized arguments: --verbose"),
    ],
    ids=[
        "no key",
        "blank key",
        "no scheme",
        "ftp",
        "no host",
        "half an address",
        "no name",
        "port",
        "port 0",
        "login and port",
        "space",
        "key",
        "query",
        "fragment",
        "login",
        "two keys",
        "no ASCII",
        "backend",
        "PROXY_BACKEND",
        "CHATGPT_BASE_URL",
        "no https",
        "no https for chatgpt",
        "token",
        "PROXY_LOG",
        "unknown flag",
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_and_ends_with_status_2(
    argv: list[str],
    environment: dict[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(*argv, **environment)

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.splitlines()[-1] == f"codex-proxy: error: {sentence}"
    assert KEY not in said


@pytest.mark.parametrize("workers", ["0", "-1", "1000", "two"])
def test_what_is_no_number_of_workers_is_refused(
    workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        settings("--workers", workers)

    assert f"{workers!r} is no number of processes; PROXY_WORKERS and" in capsys.readouterr().err
    assert settings("--workers", "2").workers == settings(PROXY_WORKERS="2").workers == 2


@pytest.mark.parametrize("port", ["65536", "-1", "http", "80 80", "8080.0", "٣"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = f"'{port}' is no port; PROXY_PORT and --port take 0 to 65535"

    with pytest.raises(SystemExit) as by_flag:
        settings("--port", port)
    with pytest.raises(SystemExit) as by_variable:
        settings(PROXY_PORT=port)

    assert (by_flag.value.code, by_variable.value.code) == (2, 2)
    assert capsys.readouterr().err.count(f"error: argument --port: {sentence}\n") == 2


def test_an_environment_without_a_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([], {})

    assert ended.value.code == 2
    assert "CEREBRAS_API_KEY is not set" in capsys.readouterr().err


def test_help_names_every_flag_and_variable_and_needs_no_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], {})

    said = capsys.readouterr().out
    assert ended.value.code == 0
    for name in ("--backend", "--host", "--port", "PROXY_BACKEND", "PROXY_HOST", "PROXY_PORT"):
        assert name in said
    for name in ("PROXY_TOKEN", "PROXY_GRACE", "PROXY_LOG", "PROXY_LOG_DIR", "--workers"):
        assert name in said
    for name in ("CEREBRAS_API_KEY", "CEREBRAS_BASE_URL", "CEREBRAS_MODEL", "CHATGPT_BASE_URL"):
        assert name in said
    for backend in BACKENDS.values():
        assert f"default {backend.base_url}\n" in said
        assert str(backend.port) in said


# --- the key is never shown ----------------------------------------------------------------------


def test_settings_hide_the_key_and_the_token() -> None:
    assert KEY not in repr(settings())
    assert KEY not in repr(settings(PROXY_TOKEN=KEY))
    assert "https://api.cerebras.ai/v1" in repr(settings())


def test_help_hides_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("--help")

    assert KEY not in capsys.readouterr().out
