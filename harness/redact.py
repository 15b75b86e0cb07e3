"""What a cassette does not keep of an exchange, and what stands there in its place.

Headers are kept by list. Codex' own prose (prompts, context, descriptions of tools: long, not ours
to publish, other words with every version) becomes a digest and a length. Ids of accounts become as
many `x`. What is a secret all the same is for `secrets.py` to find.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

__all__ = [
    "CONTEXT",
    "PLACES",
    "REQUEST_HEADERS",
    "RESPONSE_HEADERS",
    "Elision",
    "KeptHeaders",
    "Place",
    "mask",
    "matchable",
    "placeholder",
    "prose_of",
    "request_headers",
    "response_headers",
]


# --- headers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptHeaders:
    """The headers of one direction that are kept; names are in small letters."""

    names: frozenset[str]
    prefixes: tuple[str, ...] = ()
    #: What no name with a kept prefix has in it.
    never: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        small = name.lower()
        return small in self.names or (
            small.startswith(self.prefixes) and not any(word in small for word in self.never)
        )


#: Of requests, at both edges. The rest may be a secret, or changes with every run.
REQUEST_HEADERS: Final = KeptHeaders(
    frozenset(
        {
            "accept",
            "content-encoding",
            "content-type",
            "openai-beta",
            "originator",
            "user-agent",
            "version",
        }
    )
)

#: Of answers, at both edges. The turn state is a token that the client hands back.
RESPONSE_HEADERS: Final = KeptHeaders(
    frozenset({"content-encoding", "content-type", "openai-model", "retry-after"}),
    prefixes=("x-codex-", "x-ratelimit-"),
    never=("turn-state", "account", "email", "org", "user"),
)


def request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of a request's headers that are kept, their names in small letters."""
    return {name.lower(): value for name, value in headers.items() if name in REQUEST_HEADERS}


def response_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of an answer's headers that are kept, their names in small letters."""
    return {name.lower(): value for name, value in headers.items() if name in RESPONSE_HEADERS}


# --- places in a request -------------------------------------------------------------------------


#: How a placeholder begins.
_ELIDED: Final = "[elided sha256:"

#: How a text begins that Codex, and not the person, says as the user. The last one is a recording's
#: own: what was elided there is compared with what was not.
CONTEXT: Final = (
    "<agent_message_board",
    "<apps_instructions",
    "<collaboration_mode",
    "<content_filter_guidance",
    "<context_window",
    "<environment_context",
    "<model_switch",
    "<permissions",
    "<personality_spec",
    "<plugins_instructions",
    "<realtime_",
    "<skill",
    "<subagent_notification",
    "<token_budget",
    "<turn_aborted",
    "<user_action",
    "<user_instructions",
    "# AGENTS.md",
    # Compaction: what is asked for, and what tells of the summary later.
    "You are performing a CONTEXT CHECKPOINT",
    "You have exceeded the maximum number of tokens",
    "You were originally given instructions",
    "Another language model started",
    _ELIDED,
)

_GIVES_INSTRUCTIONS: Final = ("developer", "system")

#: A tool: beside the input, or in an item of it (`additional_tools`, `tool_search_output`).
_TOOL: Final = r"(input\.#\.)?tools\.#\."

#: Texts of a message, which may be a string or a list of parts.
_TEXT: Final = r"(input|messages)\.#\.content(\.#\.text)?"


class Place(NamedTuple):
    """A place in a request, of the Responses API or of Chat Completions, that is not compared."""

    #: `prose` is a string, and is elided from a recording; `run` is whatever changes with each run.
    what: Literal["prose", "run"]
    #: A regular expression for the whole path; `#` is any number in a list.
    path: str
    #: Whose message it is in, where that matters.
    roles: tuple[str, ...] = ()
    #: How the text begins, where that matters.
    openings: tuple[str, ...] = ("",)


#: All that a comparison does not look at, and of that, as prose, all that is elided. Everything
#: else is kept: the person's own prompt, `text.format.schema`, names, calls, what the model said.
PLACES: Final = (
    Place("prose", "instructions"),
    Place("prose", _TEXT, roles=_GIVES_INSTRUCTIONS),
    Place("prose", _TEXT, roles=("user",), openings=CONTEXT),
    Place("prose", "input", openings=CONTEXT),
    Place("prose", _TOOL + r"(.+\.)?description"),
    Place("prose", _TOOL + r"(tools\.#\.)*format\.definition"),
    Place("run", "prompt_cache_key"),
    Place("run", "client_metadata"),
    Place("run", r"input\.#\.id"),
    Place("run", r"input\.#\.output"),
    Place("run", r"messages\.#\.content", roles=("tool",)),
    Place("run", r"(.+\.)?encrypted_content"),
)

_DESCRIPTION: Final = re.compile(_TOOL + r"(.+\.)?description")


@functools.lru_cache(maxsize=4096)
def _places_at(path: str) -> tuple[Place, ...]:
    return tuple(place for place in PLACES if re.fullmatch(place.path, path))


def _what(path: str, role: str, thing: object) -> Literal["prose", "run"] | None:
    """Return what `thing` is at this path of a request, where that is a place of `PLACES`."""
    for place in _places_at(path):
        if place.roles and role not in place.roles:
            continue
        if place.what == "run":
            return "run"
        if isinstance(thing, str) and thing.lstrip().startswith(place.openings):
            return "prose"
    return None


#: Returned for a thing that is to have no place in the copy.
_LEFT_OUT: Final = object()


def _copy(
    value: Any, change: Callable[[str, str, Any], Any], path: str = "", role: str = ""
) -> Any:
    """Return a copy in which each thing is what `change` makes of it: of path, role and thing."""
    value = change(path, role, value)
    if isinstance(value, list):
        return [_copy(item, change, f"{path}.#", role) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(whose := value.get("role"), str):
        role = whose
    copied = {}
    for name, item in value.items():
        changed = _copy(item, change, f"{path}.{name}" if path else name, role)
        if changed is not _LEFT_OUT:
            copied[name] = changed
    return copied


def matchable(request: Any) -> Any:
    """Return what is compared of a request, of either API: everything but `PLACES`.

    The request of another version of a client, or of another run, may differ in these; one from
    which the prose was elided does not differ from the one that has it.
    """
    return _copy(
        request, lambda path, role, thing: _LEFT_OUT if _what(path, role, thing) else thing
    )


# --- prose ---------------------------------------------------------------------------------------


#: Characters from which on a text is looked for inside of others. A shorter one may stand there by
#: chance.
_LONG: Final = 40

#: Bytes from which on a placeholder in a stream still says something.
_LEGIBLE: Final = 12

_PLACEHOLDER: Final = re.compile(re.escape(_ELIDED) + r"[0-9a-f]{12}, \d+ characters\]")

#: A string of JSON, with the name before it where that is `description`. The last one may be cut.
_JSON_STRING: Final = re.compile(
    rb'("description"\s*:\s*)?"([^"\\\n]*(?:\\.[^"\\\n]*)*)("|\\?\Z)', re.DOTALL
)


def placeholder(text: str) -> str:
    """Return what stands in a recording for a text: its digest and its length, no word of it."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{_ELIDED}{digest[:12]}, {len(text)} characters]"


def prose_of(request: Any) -> list[str]:
    """Return the prose in a request, each text once; what was elided before is none."""
    found: dict[str, None] = {}

    def note(path: str, role: str, thing: Any) -> Any:
        if _what(path, role, thing) == "prose" and thing and not _PLACEHOLDER.fullmatch(thing):
            found[thing] = None
        return thing

    _copy(request, note)
    return list(found)


class Elision:
    """Elides the prose of one client's request: from itself, from what a proxy made of it, from the
    stream that answers it.

    To a proxy prose is opaque, so a proxy that is asked the elided request makes the elided one of
    it. But it may join a text with others. So a text of 40 characters or more is found wherever it
    stands, also inside of another string and in JSON inside of a string. A shorter one is elided
    only where it is the whole description of something in a tool, which nobody has a reason to
    join; instructions, messages and descriptions of custom tools that are shorter are kept.
    """

    def __init__(self, request: Any) -> None:
        prose = sorted(prose_of(request), key=len, reverse=True)
        #: Longest first: one may be a part of another.
        self._long = {text: _forms(text) for text in prose if len(text) >= _LONG}
        self._short = {text for text in prose if len(text) < _LONG} & _descriptions(request)

    def of_json(self, value: Any) -> Any:
        """Return a copy of a request, or of any other JSON value, without the prose."""
        return _copy(value, self._elided)

    def _elided(self, path: str, role: str, thing: Any) -> Any:
        if not isinstance(thing, str):
            return thing
        if thing in self._short and _DESCRIPTION.fullmatch(path):
            return placeholder(thing)
        for text, forms in self._long.items():
            for form in forms if len(thing) >= len(text) else ():
                if form in thing:
                    thing = thing.replace(form, placeholder(text))
        return thing

    def of_stream(self, body: bytes) -> bytes:
        """Return the bytes of a stream, as many as they were, without the prose that it echoes.

        Only whole strings of JSON (the last one may be cut): a model may say a part of it, and
        those words are kept. Dots fill up what a placeholder is shorter; what it is longer is cut.
        """
        if not self._long and not self._short:
            return body
        shortest = max(_LEGIBLE, min(map(len, (*self._long, *self._short))))
        return _JSON_STRING.sub(lambda match: self._without(match, shortest), body)

    def _without(self, match: re.Match[bytes], shortest: int) -> bytes:
        name, string, end = match.groups(b"")
        if len(string) < shortest:
            return match[0]
        if end == b'"':
            text = _parsed(string)
            known = text in self._long or (bool(name) and text in self._short)
        else:
            text = next(
                filter(None, (_parsed(string[: len(string) - cut]) for cut in range(12))), ""
            )
            known = len(text) >= _LONG and any(prose.startswith(text) for prose in self._long)
        if not known:
            return match[0]
        instead = placeholder(text).encode()[: len(string)].ljust(len(string), b".")
        return name + b'"' + instead + end


def _parsed(string: bytes) -> str:
    """Return the text of a string of JSON; none where it is cut inside of a character."""
    try:
        return str(json.loads(b'"' + string + b'"'))
    except ValueError:
        return ""


def _descriptions(request: Any) -> set[str]:
    """Return the descriptions in the tools of a request but for those that a proxy may join.

    Where a custom tool becomes a function, its grammar can only be told in its description.
    """
    found: set[str] = set()
    joined: set[str] = set()

    def note(path: str, role: str, thing: Any) -> Any:
        if isinstance(thing, str) and _DESCRIPTION.fullmatch(path):
            found.add(thing)
        if isinstance(thing, dict) and thing.get("type") == "custom":
            joined.add(str(thing.get("description")))
        return thing

    _copy(request, note)
    return found - joined


def _forms(text: str) -> tuple[str, ...]:
    """Return how a text stands in a string: as it is, or as a string of JSON in that string."""
    raw, ascii = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    return tuple(dict.fromkeys((text, raw, ascii)))


# --- ids of accounts -----------------------------------------------------------------------------


_PREFIX: Final = rb"(?:acct_|org[-_]|proj_|user-)"

#: An id with a prefix, at the start of a word or behind an escape: sixteen letters and digits or
#: more, with a digit or `aBC` among them. So it is no word (`user-friendly`, `org-mode`), nor a
#: name in code (`user-profileAvatarContainer`). ChatGPT's users of an account go on with `__` and a
#: UUID.
_ID: Final = re.compile(
    rb"(?:(?<![\w-])|(?<=\\[nrt]))(" + _PREFIX + rb")"
    rb"((?=[A-Za-z]*(?:[0-9]|[a-z][A-Z][A-Z]))[A-Za-z0-9]{16,}(?:__[0-9A-Fa-f-]{36})?)"
)

#: A field that holds such an id, whatever it looks like. Not inside of a string: what a model calls
#: `user_id` in its arguments is its own.
_ID_FIELD: Final = re.compile(
    rb'("(?:(?:chatgpt_)?account_(?:user_)?id|(?:chatgpt_)?user_id|organization(?:_id)?|org_id'
    rb'|project_id|safety_identifier|workspace_id)"\s*:\s*")(' + _PREFIX + rb"?)"
    rb'([^"\\\n]*(?:\\.[^"\\\n]*)*)(?=")'
)


def mask(data: bytes) -> bytes:
    """Return provider's bytes, as many as they were, with `x` for the ids of accounts.

    Masked are the values of `safety_identifier`, `account_id`, `organization` and their like, and
    what looks like `org-AbC...`, `user-...`, `acct_...`, `proj_...`; the prefix stays. Ids of
    responses, items and calls are needed, and stay.
    """
    data = _ID_FIELD.sub(lambda match: match[1] + match[2] + b"x" * len(match[3]), data)
    return _ID.sub(lambda match: match[1] + b"x" * len(match[2]), data)
