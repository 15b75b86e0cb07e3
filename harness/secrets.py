"""What must not get into a file, by its looks: keys, tokens, cookies, addresses, people's homes.

A pattern alone would find too much in code and in prose, so most have a judge beside them. Two
decisions: an address to log in with (`ssh jane@build.acme.dev`) looks like an e-mail address, says
as much of a person, and is found; `user@host`, without a dot, is not. And a home counts where it is
named after somebody, as `/root` and `/home/user` are not.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

__all__ = ["Find", "Own", "finds", "own_secrets"]


class Find(NamedTuple):
    """A secret in a text."""

    #: `Cerebras key`, `JWT`, `value of CEREBRAS_API_KEY`, ...
    kind: str
    #: The number of its first character; None where the text had to be unescaped to find it.
    start: int | None
    #: All of it: not to be shown to anybody.
    secret: str


# --- what secrets look like ----------------------------------------------------------------------

#: Returns the secret that a match has found; an empty text where it is none.
_Judge = Callable[[re.Match[str]], str]


def _any(match: re.Match[str]) -> str:
    return match[0]


def _with_digit(match: re.Match[str]) -> str:
    return match[0] if re.search("[0-9]", match[1]) else ""


def _random(match: re.Match[str]) -> str:
    """Words with hyphens are none: some part mixes letters and digits."""
    parts = [part for part in re.split("[-_]", match[1]) if len(part) >= 12]
    return match[0] if any(not part.isalpha() and not part.isdigit() for part in parts) else ""


def _basic(match: re.Match[str]) -> str:
    return match[0] if ":" in _from_base64(match[1]) else ""


def _jwt(match: re.Match[str]) -> str:
    return match[0] if '"alg"' in _from_base64(match[0].partition(".")[0]) else ""


def _from_base64(text: str) -> str:
    """Return what base64 of either alphabet says; nothing where that is no text."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        decoded = base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except ValueError:
        return ""
    return decoded if decoded.isprintable() else ""


#: Whose addresses are not those of a person.
_OFFICE: Final = re.compile(
    "abuse|admin|contact|git|hello|help|hg|info|no-?reply|postmaster|press|sales|security|support"
    "|team|webmaster",
    re.IGNORECASE,
)

#: Whose homes are nobody's.
_NOBODY: Final = re.compile(
    "agent|app|bar|build(er)?|ci|circleci|codespace|coder|default|dev(eloper)?|example|foo|gitpod"
    "|jovyan|linuxbrew|me|name|node|nonexistent|public|root|runner|sandbox|shared|someone|test|tmp"
    r"|ubuntu|[a-z0-9_-]*user(name)?\d*|vagrant|vscode|work(space)?|you(r[-_]?name)?",
    re.IGNORECASE,
)

#: How a domain of people's addresses ends. What ends otherwise is code, like `x@self.weight` or
#: `icon@2x.png`.
_LAST: Final = re.compile(
    "[a-z]{2}|agency|app|biz|blog|cloud|codes|com|company|consulting|corp|design|dev|digital|edu"
    "|email|engineering|foundation|global|gov|group|health|info|int|internal|international|lan|law"
    "|local|mail|media|mil|net|network|ngo|online|org|partners|science|services|site|social"
    "|software|solutions|space|studio|systems|team|tech|technology|university|ventures|world|xyz",
    re.IGNORECASE,
)
_RESERVED: Final = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|invalid|localhost|test)$", re.IGNORECASE
)

#: What stands before an `@`, and an escape of JSON before that.
_LOCAL_PART: Final = re.compile(
    r"(?:(?<=\\)[nrtbf]|(?<=\\)u[0-9A-Fa-f]{4})?([\w.%+-]*)\Z", re.ASCII
)


def _address(match: re.Match[str]) -> str:
    before = _LOCAL_PART.search(match.string, max(0, match.start() - 80), match.start())
    local = before[1].strip(".%+-") if before else ""
    domain = match[1]
    is_one = (
        local
        and _LAST.fullmatch(domain.rpartition(".")[2])
        and not _RESERVED.search(domain)
        and not _OFFICE.fullmatch(local)
    )
    return local + match[0] if is_one else ""


def _home(match: re.Match[str]) -> str:
    return "" if _NOBODY.fullmatch(match["name"].rstrip(".")) else match[0]


def _home_on_drive(match: re.Match[str]) -> str:
    """As many backslashes stand before it as behind it: JSON doubles them, and `\\n` is no name."""
    before = match.string[max(0, match.start() - 9) : match.start()]
    return _home(match) if before.endswith(":" + match["slashes"]) else ""


class _Look(NamedTuple):
    """What one kind of secret looks like."""

    kind: str
    #: Begins with letters, not with a choice or a look behind: so it is searched for fast.
    pattern: re.Pattern[str]
    judge: _Judge = _any


def _inside(kind: str, pattern: str, judge: _Judge = _any) -> _Look:
    """Return the look of what may stand in the middle of a word."""
    return _Look(kind, re.compile(pattern, re.ASCII), judge)


def _look(kind: str, beginning: str, rest: str, judge: _Judge = _any) -> _Look:
    """Return the look of what begins a word; an escape of JSON may stand before it (`\\nsk-`)."""
    literal = re.escape(beginning)
    escaped = rf"(?<=\\[nrtbf]{literal})|(?<=\\u[0-9A-Fa-f]{{4}}{literal})"
    return _inside(kind, rf"{literal}(?:(?<![\w.-]{literal})|{escaped}){rest}", judge)


_NAME: Final = r"(?P<name>[A-Za-z_][\w.-]*)"
_COOKIE: Final = r"=([\w%.~+/-]{16,})"

#: Of two that overlap the first counts.
_LOOKS: Final = (
    _look("Cerebras key", "csk-", r"([\w-]{8,})", _with_digit),
    _look("key", "sk-", r"([\w-]{16,})", _random),
    # Its head has to decode to a JSON that names an algorithm.
    _look("JWT", "eyJ", r"[\w-]{6,}(?:\.[\w-]*){2,4}", _jwt),
    _look("GitHub token", "gh", r"[pousr]_[A-Za-z0-9]{30,}"),
    _look("GitHub token", "github_pat_", r"\w{22,}"),
    _look("GitLab token", "glpat-", r"[\w-]{20,}"),
    _look("AWS key", "AKIA", r"(?!\w*EXAMPLE)[0-9A-Z]{16}(?!\w)"),
    _look("AWS key", "ASIA", r"(?!\w*EXAMPLE)[0-9A-Z]{16}(?!\w)"),
    _look("Slack token", "xox", r"[abeprs]-[\w-]{10,}"),
    _look("Slack token", "xapp-", r"[\w-]{20,}"),
    _look("Google key", "AIza", r"[\w-]{35}"),
    _look("Groq key", "gsk_", r"[A-Za-z0-9]{40,}"),
    _look("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,}"),
    _look("npm token", "npm_", r"[A-Za-z0-9]{36,}"),
    _inside(
        "private key",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\+[nr]|\s)+"
        r"(?:[\w-]+: |[\w+/=]{16,})",
    ),
    *(
        _inside("bearer token", word + r"[ \t]+([\w.~+/-]{8,}=*)", _with_digit)
        for word in ("Bearer", "bearer", "BEARER")
    ),
    # It has to decode to `name:password`.
    *(
        _inside("basic credentials", word + r" +([A-Za-z0-9+/]{6,}={0,2})", _basic)
        for word in ("Basic", "basic")
    ),
    _inside("login of a URL", r"://[^/\s:@\"]{1,100}:([^/\s@\"]{3,100})@", _with_digit),
    _inside("cookie", r"__cf(?:_bm|lb)=[\w.%-]{8,}"),
    _inside("cookie", r"_cfuvid=[\w.%-]{8,}"),
    _inside("cookie", r"cf_clearance=[\w.%-]{8,}"),
    _inside("cookie", r"session(?:id|[-_]token)?" + _COOKIE, _with_digit),
    _inside("cookie", r"SESS(?:ION)?ID" + _COOKIE, _with_digit),
    _inside("cookie", r"connect\.sid" + _COOKIE, _with_digit),
    *(
        _inside("cookie", word + r"[\\\"']*: *[\\\"']*[\w.-]+" + _COOKIE, _with_digit)
        for word in ("Cookie", "cookie")
    ),
    _inside(
        "e-mail address",
        r"@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?!\.?[\w(])",
        _address,
    ),
    _look("home directory", "/home/", _NAME, _home),
    _inside("home directory", "/var/home/" + _NAME, _home),
    _look("home directory", "/Users/", _NAME, _home),
    _inside("home directory", "/c/Users/" + _NAME, _home),
    _inside("home directory", r"Users(?P<slashes>\\+)" + _NAME, _home_on_drive),
)


# --- whose secrets they are ----------------------------------------------------------------------

_SECRET_NAME: Final = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_SHORTEST_SECRET: Final = 8


class Own(NamedTuple):
    """Something that belongs to the process that scans."""

    kind: str
    #: It, and as it stands in JSON.
    forms: frozenset[str]
    #: A regular expression for what follows.
    end: str = ""


def own_secrets(environ: Mapping[str, str], extra: Iterable[str] = ()) -> list[Own]:
    """Return what belongs to a process with this environment.

    That is `extra`, and the values of variables whose names say key, token, secret, password or
    credential, where they have 8 characters at least; and its home.
    """
    known = [
        (f"value of {name}", value) for name, value in environ.items() if _SECRET_NAME.search(name)
    ]
    known += [("secret of this recording", value) for value in extra]
    found = [
        Own(kind, _forms(value.strip()))
        for kind, value in known
        if len(value.strip()) >= _SHORTEST_SECRET
    ]
    for name in ("HOME", "USERPROFILE"):
        home = environ.get(name, "").rstrip("/\\")
        *above, last = re.split(r"[/\\]", home)
        # What stands at the top (`/root`, `/tmp`) is named after nobody.
        if any(above) and not _NOBODY.fullmatch(last):
            found.append(Own("home directory", _forms(home), r"(?![\w.-])"))
    return found


def _forms(value: str) -> frozenset[str]:
    raw, ascii = json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]
    forms = (value, raw, ascii)
    # A stream is looked at with a character for each byte.
    return frozenset((*forms, *(form.encode().decode("latin-1") for form in forms)))


# --- finding them --------------------------------------------------------------------------------

#: How JSON may write a sign of ASCII, and a URL anything.
_IN_JSON: Final = re.compile(r"\\u00([2-7][0-9A-Fa-f])|\\/")
_IN_URL: Final = re.compile(r"%[0-9A-Fa-f]{2}")


def finds(text: str, own: Iterable[Own] = ()) -> Iterator[Find]:
    """Yield the secrets in a text; the text may hold JSON or a URL, with their escapes."""
    yield from _finds(text, own)
    if _IN_JSON.search(text):
        plain = _IN_JSON.sub(lambda match: chr(int(match[1], 16)) if match[1] else "/", text)
        yield from (find._replace(start=None) for find in _finds(plain, own))
    if _IN_URL.search(text):
        plain = unquote(text, "latin-1")
        yield from (find._replace(start=None) for find in _finds(plain, own))


def _finds(text: str, own: Iterable[Own]) -> Iterator[Find]:
    taken: list[range] = []
    for kind, match, secret in _matches(text, own):
        if not any(match.start() in span or match.end() - 1 in span for span in taken):
            taken.append(range(*match.span()))
            yield Find(kind, match.start(), secret)


def _matches(text: str, own: Iterable[Own]) -> Iterator[tuple[str, re.Match[str], str]]:
    for kind, forms, end in own:
        for form in forms:
            if form in text:
                for match in re.finditer(re.escape(form) + end, text):
                    yield kind, match, match[0]
    for kind, pattern, judge in _LOOKS:
        for match in pattern.finditer(text):
            if secret := judge(match):
                yield kind, match, secret
