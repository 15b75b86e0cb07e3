"""What is taken for a secret, and what only looks a little like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.secrets import finds, own_secrets
from tests.unit.harness.made_up import CODE, JWT, MIXED, token

SECRETS = [
    ("Cerebras key", f"csk-{MIXED}"),
    ("Cerebras key", "csk-ab12cd34"),
    ("key", f"sk-{MIXED}"),
    ("key", f"sk-proj-{MIXED}_x-{MIXED}"),
    ("key", f"sk-ant-api03-{MIXED}-AA"),
    ("JWT", JWT),
    ("JWT", token({"alg": "none"}, "e30", "")),
    ("JWT", token({"alg": "dir", "enc": "A256GCM"}, "", "aXY", "Y2lwaGVy", "dGFn")),
    ("GitHub token", f"ghp_{MIXED}"),
    ("GitHub token", f"ghs_{MIXED}"),
    ("GitHub token", f"github_pat_{MIXED}_{MIXED}"),
    ("GitLab token", f"glpat-{MIXED}"),
    ("AWS key", "AKIA" + "ABCDEFGHIJKLMNOP"),
    ("AWS key", "ASIA" + "0123456789ABCDEF"),
    ("Slack token", "xoxb" + "-0123456789-abcdef"),
    ("Slack token", "xapp" + "-1-A0123456789-0123456789"),
    ("Google key", "AIza" + MIXED[:35]),
    ("Groq key", f"gsk_{MIXED}"),
    ("Hugging Face token", f"hf_{MIXED}"),
    ("npm token", f"npm_{MIXED}"),
    ("private key", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B"),
    ("private key", "-----BEGIN RSA PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0B"),
    ("private key", "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNzaC1rZXktdjEA"),
    ("private key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF0a1b2c3d4e"),
    ("private key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n"),
    ("bearer token", "Bearer 0123456789abcdef"),
    ("bearer token", "authorization: bearer opaque-t0ken"),
    ("bearer token", "authorization: BEARER opaque-t0ken"),
    ("login of a URL", "http://bob:hunter2pw@127.0.0.1:25999/v1"),
    ("login of a URL", "postgres://bob:hunter2pw@db/"),
    ("basic credentials", "Basic " + base64.b64encode(b"jane:pa55word").decode()),
    ("cookie", "__cf_bm=AbCd.1234-5678"),
    ("cookie", "cf_clearance=AbCd_1234-5678"),
    ("cookie", "_cfuvid=AbCd1234"),
    ("cookie", "session=AbCd1234EfGh5678"),
    ("cookie", "__Secure-next-auth.session-token=AbCd1234EfGh5678"),
    ("cookie", "PHPSESSID=0123456789abcdef"),
    ("cookie", "JSESSIONID=0123456789ABCDEF"),
    ("cookie", "connect.sid=s%3AAbCd1234EfGh5678"),
    ("cookie", "Set-Cookie: id=AbCd1234EfGh5678; Secure"),
    ("cookie", 'headers = {"Cookie": "id=AbCd1234EfGh5678"}'),
    ("e-mail address", "jane.doe@acme.com"),
    ("e-mail address", "jane@mail.acme.co.uk"),
    ("e-mail address", "Jane <jane+x@acme.dev>"),
    ("e-mail address", "ssh jane@build.acme.dev"),
    ("e-mail address", "1234+jane@users.noreply.github.com"),
    ("e-mail address", "jane@macbook.local"),
    ("home directory", "/home/jane/project"),
    ("home directory", "cd /home/jane"),
    ("home directory", "file:///home/jane.doe/a.py"),
    ("home directory", "/var/home/jane/a"),
    ("home directory", "/Users/jane/Library"),
    ("home directory", "/mnt/c/Users/jane/Desktop"),
    ("home directory", "C:\\Users\\jane\\Desktop"),
    ("home directory", "C:/Users/jane/Desktop"),
]

NONE = [
    "risk-free, desk-bound, a task-1, task-0123456789abcdef, disk-encryption-0123456789abcdef",
    "csk-, csk-..., csk-secret, csk-your-key, CSK-1",
    "sk-..., sk-learn, sk-learn-contrib-packages-for-everyone, sk-2024-10-11-12-13-14",
    "sk-ecdsa-sha2-nistp256",
    f"mask-{MIXED} sk_{MIXED} -sk-{MIXED} gAAAAA-sk-{MIXED}",
    "eyJ, eyJhbGciOiJIUzI1NiJ9, eyJhbGciOiJIUzI1NiJ9.e30, eyJust.another.name-space",
    token({"a": "b"}, "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl"),
    f"ghp_short ghx_{MIXED} highp_{MIXED} github_pat_short",
    "glpat-short AKIA AKIAIOSFODNN7EXAMPLE AKIAEXAMPLE123456789 AKIAABCDEFGHIJKLMNOPQ",
    "akiaabcdefghijklmnop",
    "xoxb-short xoxz-0123456789-abcdef foxxb xapp-short AIza-short gsk_short hf_short npm_config",
    "hf_hub_download npm_config_registry",
    "-----BEGIN PUBLIC KEY-----\nMIIEvQIBADANBgkqhkiG9w0B",
    "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0B",
    're.compile("-----BEGIN PRIVATE KEY-----")',
    "Bearer token, bearer of news, Bearer <token>, Bearer $TOKEN, Bearer {key}",
    "Bearer authentication, the bearer responsibilities",
    "Basic authentication, basic understanding, Basic auth, basic access control",
    "__cf_bm=, __cf_bm, cf_clearance=..., _cf=1",
    "session=Session(), session=requests.Session(), session=aiohttp.ClientSession(), session=1",
    "session = '0123456789abcdef', session_id, cookie: a, Cookie: a small one, cookies: {}",
    "follow\n@acme.com and\t@acme.io, ü@acme.com",
    "@app.route('/'), @pytest.mark.parametrize, @dataclass, @a.b.com",
    "user@host, ssh user@host, root@localhost, jane@10.0.0.5, a @ b.com, jane@acme",
    "jane@example.com, jane@mail.example.org, jane@acme.test, jane@a.invalid, jane@a.localhost",
    "git@github.com:a/b.git, support@cerebras.net, noreply@acme.com, no-reply@acme.com",
    "x@self.weight, q@k.transpose(0, 1), w@x.to(device), icon@2x.png, react@18.2.0, a@b.c",
    "https://medium.com/@jane.doe, npm i @types/node, left-pad@npm.latest",
    "/home, /home/, /home/*, /home/$USER/a, /home/<you>/a, /home/user/a",
    "/home/ec2-user/a, /home/user1, /home/runner/work",
    "https://acme.com/home/settings, ./home/jane, $ROOT/home/jane, /homes/jane",
    "/root, /root/.codex, /Users, /Users/Shared/a, /Users/runner/work, C:\\Users\\Public\\a",
    "src\\Users\\Controllers, /api/v2/Users/42, /users/jane",
]


@pytest.mark.parametrize(("kind", "text"), SECRETS)
def test_a_secret_is_found(kind: str, text: str) -> None:
    assert [find.kind for find in finds(text)] == [kind]


@pytest.mark.parametrize("text", NONE)
def test_what_is_none_is_not(text: str) -> None:
    assert list(finds(text)) == []
    assert list(finds(json.dumps(text))) == []


@pytest.mark.parametrize(("kind", "text"), SECRETS)
@pytest.mark.parametrize("before", ["", " ", '"', "\n", "=", "(", "é", "鍵", "\t"])
def test_a_secret_is_found_behind_whatever_does_not_belong_to_it(
    before: str, kind: str, text: str
) -> None:
    for around in (before + text, json.dumps(before + text), json.dumps(json.dumps(before + text))):
        assert kind in [find.kind for find in finds(around)], around


@pytest.mark.parametrize(("kind", "text"), SECRETS)
def test_a_secret_is_found_however_json_and_urls_write_it(kind: str, text: str) -> None:
    in_json = re.sub(r"[!-/:-@[-`]", lambda sign: f"\\u{ord(sign[0]):04x}", text)
    in_php = text.replace("/", "\\/")
    in_url = quote(text, safe="")

    for form in (in_json, in_php, in_url):
        assert kind in [find.kind for find in finds(form)]


def test_where_a_secret_begins_is_told() -> None:
    text = f"the key csk-{MIXED}, the address jane@acme.com"

    key, address = finds(text)

    assert key == ("Cerebras key", 8, f"csk-{MIXED}")
    assert address == ("e-mail address", text.index("@"), "jane@acme.com")


def test_where_it_begins_is_not_told_where_escapes_hide_it() -> None:
    assert list(finds("%2Fhome%2Fjane")) == [("home directory", None, "/home/jane")]


def test_of_two_kinds_the_better_one_is_told() -> None:
    assert [find.kind for find in finds(f"Bearer csk-{MIXED}")] == ["Cerebras key"]
    assert [find.kind for find in finds(f"Bearer {JWT}")] == ["JWT"]


def test_all_of_them_are_told() -> None:
    text = "\n".join(text for _, text in SECRETS)

    assert {find.kind for find in finds(text)} == {kind for kind, _ in SECRETS}


def test_there_is_no_secret_in_ordinary_code() -> None:
    assert list(finds(CODE)) == []
    assert list(finds(json.dumps(CODE))) == []
    assert list(finds(json.dumps({"arguments": json.dumps({"input": CODE})}))) == []


@given(st.text(st.sampled_from("sk-eyJ@/home.=Bar \\nu0%2\"'ghp_xoAI"), max_size=200))
def test_no_text_is_too_much(text: str) -> None:
    for find in finds(text, own_secrets({"HOME": "/home/jane", "KEY": "sk-sk-sk-"})):
        assert find.start is None or find.secret in text


# --- whose it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["CEREBRAS_API_KEY", "GH_TOKEN", "MY_SECRET", "PGPASSWORD", "api_key", "AWS_CREDENTIALS"],
)
def test_a_value_of_the_environment_is_found(name: str) -> None:
    own = own_secrets({name: "correct horse"})

    assert list(finds("the correct horse", own)) == [(f"value of {name}", 4, "correct horse")]


@pytest.mark.parametrize(
    "environ",
    [
        {"CEREBRAS_API_KEY": "1234567"},
        {"CEREBRAS_API_KEY": "   1234567   "},
        {"CEREBRAS_MODEL": "correct horse"},
        {"API_KEY": ""},
        {},
    ],
)
def test_a_short_value_and_another_variable_are_not(environ: Mapping[str, str]) -> None:
    assert own_secrets(environ) == []


def test_what_is_handed_in_is_found() -> None:
    own = own_secrets({}, ["a secret of it", "short"])

    assert [find.kind for find in finds("short, a secret of it", own)] == [
        "secret of this recording"
    ]


@pytest.mark.parametrize("value", ['quo"ted\n€é', "with a space/slash+", "  a padded value\n"])
def test_a_value_is_found_however_it_is_written(value: str) -> None:
    own = own_secrets({"THE_KEY": value})
    plain = value.strip()

    for form in (plain, json.dumps(plain), json.dumps(plain, ensure_ascii=False), quote(plain)):
        assert [find.kind for find in finds(f"<{form}>", own)][:1] == ["value of THE_KEY"]
    # ... also in bytes, a character for each.
    as_bytes = json.dumps(plain, ensure_ascii=False).encode().decode("latin-1")
    assert [find.kind for find in finds(as_bytes, own)] == ["value of THE_KEY"]


def test_a_value_is_told_by_its_name_and_not_by_its_looks() -> None:
    own = own_secrets({"CEREBRAS_API_KEY": f"csk-{MIXED}"})

    assert [find.kind for find in finds(f"csk-{MIXED}", own)] == ["value of CEREBRAS_API_KEY"]


@pytest.mark.parametrize("home", ["/srv/people/jane", "/srv/people/jane/", "D:\\people\\jane"])
def test_the_own_home_is_found_wherever_it_is(home: str) -> None:
    own = own_secrets({"HOME": home})
    plain = home.rstrip("/")

    for text in (f"cd {plain}", f"{plain}/a", json.dumps(f"{plain}\n"), quote(plain, safe="")):
        assert [find.kind for find in finds(text, own)] == ["home directory"]
    assert list(finds(f"{plain}tte and {plain}.bak", own)) == []


@pytest.mark.parametrize("home", ["/root", "/", "", "/tmp", "/home/user", "/nonexistent"])
def test_a_home_that_is_nobodys_is_not(home: str) -> None:
    assert own_secrets({"HOME": home}) == []
