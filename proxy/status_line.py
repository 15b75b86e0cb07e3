"""The status line: which repository and branch Codex works in, shown by the model itself.

    [Dir: repo | Local: branch (ahead 2) | Remote: origin/branch | PR: #7 https://...]

Codex says in each conversation which directory it works in; git says the rest. Whatever goes wrong
or takes long means that there is no line, never an error or a wait. Programs are started without a
shell and without this proxy's secrets, and only in what the user owns: a repository's own
configuration can make git run things.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from proxy import chat
from proxy.translate import Translation

__all__ = ["StatusLine", "working_directory"]

#: Seconds that git has for all that it is asked, and `gh`, which asks the network; nobody waits for
#: the latter: what it says is in the next line.
_GIT_TIMEOUT: Final = 0.5
_GH_TIMEOUT: Final = 10.0

#: Seconds for which a line, and a pull request, are taken to be the same.
_FRESH: Final = 5.0
_PR_FRESH: Final = 60.0

#: How many directories and branches are remembered.
_REMEMBERED: Final = 100

#: Characters of a name that are shown, which the model reads too, and of a pull request's address.
_LONGEST: Final = 40
_LONGEST_URL: Final = 100

_CONTEXT: Final = re.compile(
    r"<environment_context>.*?<cwd>([^<]+)</cwd>.*?</environment_context>", re.DOTALL
)

#: All that git and gh get to know of this process' environment.
_PASSED: Final = (
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_HOST",
    "GH_CONFIG_DIR",
)
#: What a repository's configuration may not have run: neither by git here, nor by the git of gh.
#: A clone can promise objects that are fetched when they are needed, with programs that it names:
#: no protocol is allowed, whatever it says of that, and newer versions do not even try.
_NOTHING_RUN: Final = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
_QUIET: Final = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_CONFIG_COUNT": str(len(_NOTHING_RUN)),
    **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(_NOTHING_RUN)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(_NOTHING_RUN.values())},
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GH_PROMPT_DISABLED": "1",
    "NO_COLOR": "1",
}

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_REQUEST: Final = "Begin your next message to the user with this line, unchanged, by itself:\n{}"


class _Branch(NamedTuple):
    """What is checked out; `remote` and `track` are empty where it follows nothing."""

    root: str
    name: str
    remote: str = ""
    #: `ahead 1, behind 2`, or a part of that.
    track: str = ""


class StatusLine:
    """Makes lines, and remembers them for a while.

    `user` is who must own the directory; `patience` are the seconds that git has.
    """

    def __init__(
        self,
        *,
        user: int | None = None,
        environment: Mapping[str, str] = os.environ,
        patience: float = _GIT_TIMEOUT,
    ) -> None:
        self._patience = patience
        self._user = os.geteuid() if user is None else user
        passed = {name: environment[name] for name in _PASSED if name in environment}
        # Programs are started in the repository, whose own they would be by a relative entry.
        places = passed.get("PATH", os.defpath).split(os.pathsep)
        path = os.pathsep.join(filter(os.path.isabs, places)) or os.defpath
        self._environment = passed | _QUIET | {"PATH": path}
        self._has_gh = shutil.which("gh", path=path) is not None
        self._lines: dict[str, tuple[float, str | None]] = {}
        self._pull_requests: dict[tuple[str, str], tuple[float, str]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def put_into(self, translation: Translation) -> None:
        """Ask the model for the line, where the user speaks and it may answer as it likes."""
        request = translation.chat_request
        if (
            translation.compacts
            or request.response_format is not None
            # Behind a tool's output the answer has begun; a last system message wants JSON.
            or not isinstance(request.messages[-1], chat.UserMessage)
        ):
            return
        directory = working_directory(request.messages)
        line = None if directory is None else await self.line(directory)
        if line is not None:
            request.messages.append(chat.SystemMessage(_REQUEST.format(line)))

    async def line(self, directory: str) -> str | None:
        """Return the line of a directory; None where it has none, or git takes too long."""
        now = asyncio.get_running_loop().time()
        made, line = self._lines.get(directory, (-_FRESH, None))
        if now - made < _FRESH:
            return line
        line = None
        with contextlib.suppress(TimeoutError, OSError, ValueError):
            async with asyncio.timeout(self._patience):
                line = await self._make(directory)
        _remember(self._lines, directory, (now, line))
        return line

    async def _make(self, directory: str) -> str | None:
        # A file system may hang: not in the loop's thread.
        if not await asyncio.to_thread(self._is_ours, directory):
            return None
        branch = await self._branch(directory)
        if branch is None or not await asyncio.to_thread(self._is_ours, branch.root):
            return None
        local = _plain(branch.name) + (f" ({branch.track})" if branch.track else "")
        parts = [f"Dir: {_plain(Path(branch.root).name or '/')}", f"Local: {local}"]
        parts += [f"Remote: {_plain(branch.remote)}"] if branch.remote else []
        pull_request = self._pull_request(branch) if branch.remote else ""
        parts += [f"PR: {_plain(pull_request, _LONGEST_URL)}"] if pull_request else []
        return f"[{' | '.join(parts)}]"

    def _is_ours(self, directory: str) -> bool:
        path = Path(directory)
        return path.is_absolute() and path.is_dir() and path.stat().st_uid == self._user

    async def _branch(self, directory: str) -> _Branch | None:
        root, ref = await asyncio.gather(
            self._run(directory, "git", "rev-parse", "--show-toplevel"),
            self._run(directory, "git", "symbolic-ref", "-q", "HEAD"),
        )
        if not root:
            return None
        if not ref:
            commit = await self._run(directory, "git", "rev-parse", "--short", "HEAD")
            return _Branch(root, f"{commit} (detached)") if commit else None
        format = "--format=%(upstream:short)%09%(upstream:track,nobracket)"
        remote, _, track = (
            await self._run(directory, "git", "for-each-ref", "--count=1", format, ref) or ""
        ).partition("\t")
        return _Branch(root, ref.removeprefix("refs/heads/"), remote, track)

    # --- pull requests ---------------------------------------------------------------------------

    def _pull_request(self, branch: _Branch) -> str:
        """Return `#7 https://...` as far as it is known, and find it out for the next time."""
        if not self._has_gh:
            return ""
        key = branch.root, branch.name
        asked, known = self._pull_requests.get(key, (-_PR_FRESH, ""))
        loop = asyncio.get_running_loop()
        if loop.time() - asked >= _PR_FRESH and key not in self._asking:
            self._asking[key] = loop.create_task(self._ask_for_pull_request(key))
        return known

    async def _ask_for_pull_request(self, key: tuple[str, str]) -> None:
        template = '{{if eq .state "OPEN"}}#{{.number}} {{.url}}{{end}}'
        command = ("gh", "pr", "view", "--json", "number,url,state", "--template", template)
        said = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GH_TIMEOUT):
                    said = await self._run(key[0], *command)
        finally:
            now = asyncio.get_running_loop().time()
            _remember(self._pull_requests, key, (now, said or ""))
            del self._asking[key]

    # --- programs --------------------------------------------------------------------------------

    async def _run(self, directory: str, *command: str) -> str | None:
        """Return what a program prints; None where it fails. When cancelled, it is killed."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=directory,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return None
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has started
                await process.communicate()  # until its pipe is closed, too
        return output.decode(errors="replace").strip() if process.returncode == 0 else None


def working_directory(messages: Iterable[chat.Message]) -> str | None:
    """Return the directory that Codex named last; None where it named none."""
    found = [
        match[1].strip()
        for message in messages
        if isinstance(message, chat.UserMessage)
        for match in _CONTEXT.finditer(message.content)
    ]
    return found[-1] if found else None


def _plain(text: str, longest: int = _LONGEST) -> str:
    """Return text in which nothing acts on a terminal or ends the line, and not too much of it."""
    shown = "".join(one if one.isprintable() and one not in "[]|" else "?" for one in text)
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
