"""Logs: a line for each request, and what went over the wire last, for the user's eyes alone.

All writing happens in a thread of its own, from a queue with a bound: a disk that is slow, full or
gone costs lines and never a stream.
"""

from __future__ import annotations

import fcntl
import math
import os
import queue
import re
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.asgi import hidden
from proxy.record import Record

__all__ = ["Journal", "JournalRefused", "Tape", "default_directory", "taped"]

#: Bytes that may wait to be written; what comes then is lost.
_WAITING: Final = 16 * 1024 * 1024
#: Bytes of a stream that are collected before they are handed over.
_AT_ONCE: Final = 64 * 1024
#: Of these so many may be written at once on any system (POSIX).
_PIECES: Final = 16
#: Bytes of a log, after which it is put aside (one is kept), and of one stream.
_LONGEST_LOG: Final = 8 * 1024 * 1024
_LONGEST_TAPE: Final = 8 * 1024 * 1024
#: How many streams are kept.
_MOST_TAPES: Final = 100
#: Seconds for which it is known which streams there are; other workers have theirs there too.
_LISTED: Final = 1.0
#: Bytes of a key's beginning that tell something of it.
_SHORTEST_HALF: Final = 8
#: Characters of a name that a client chose.
_LONGEST_NAME: Final = 200
#: Seconds after which is written what came while nothing was: first the client gets its answer, for
#: which this thread and the one that serves would wait for each other at every call of the system.
_PAUSE: Final = 0.05
#: Bytes for which it does not pause once an answer is over, and in no case: its client has all of
#: it, or there is soon no more room.
_MUCH: Final = 1024 * 1024
_TOO_MUCH: Final = _WAITING // 2
#: Seconds that the last lines have to get to the disk.
_PATIENCE: Final = 2.0

_NUMBERED: Final = re.compile(r"response_(\d{6,12})\.txt")
_WRITING: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class JournalRefused(OSError):
    """There can be no logs in this place; the message says why."""


def default_directory(environment: Mapping[str, str]) -> Path:
    """Return where logs go unless `PROXY_LOG_DIR` says otherwise: the user's state directory."""
    state = Path(environment.get("XDG_STATE_HOME") or "")
    if not state.is_absolute():  # then it does not count (XDG)
        state = Path(environment.get("HOME") or "~").expanduser() / ".local" / "state"
    return state / "codex-proxy"


class Tape:
    """Takes down one answer of a provider, as it comes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._pieces: list[bytes] = []
        self._collected = 0
        self._length = 0
        #: The writing thread's: the file's name, its descriptor, and what may be half a key.
        self.name = ""
        self.file = -1
        self.rest = b""
        #: True once a part was lost: what comes after it would be no stream any more.
        self.cut = False

    def receive(self, data: bytes) -> None:
        """Take some bytes of the answer."""
        self._pieces.append(data)
        self._collected += len(data)
        if self._collected >= _AT_ONCE:
            self._hand_over()

    def close(self) -> None:
        """Take the end of the answer."""
        self._hand_over()
        self._journal.end(self)

    def _hand_over(self) -> None:
        pieces, size = self._pieces, self._collected
        self._pieces, self._collected = [], 0
        self._length += size
        if not self.cut:
            self.cut = self._length > _LONGEST_TAPE or not self._journal.put(
                size, lambda: self._journal.append(self, pieces)
            )


class Journal:
    """The logs of one proxy, below one directory."""

    def __init__(self, directory: Path, *, backend: str, port: int, secret: str = "") -> None:
        """Open them; raises `JournalRefused`, before there is a thread."""
        self.secret = secret.encode()
        self._place = directory
        self._log = f"proxy_{port}.log"
        self._directory = _open_directory(directory)
        try:
            self._tapes = _open_directory(directory / f"{backend}_responses")
            os.close(_open(self._log, self._directory, os.O_CREAT | os.O_APPEND))
        except OSError as error:
            os.close(self._directory)
            raise _refused(directory, error) from None
        self._queue = queue.SimpleQueue[tuple[int, Callable[[], None]] | None]()
        self._hurry = threading.Event()
        # Each has one writer, so that their difference needs no lock.
        self._put = 0
        self._done = 0
        self._complained = False
        #: Of the streams that are kept, as they were listed last.
        self._numbers: list[int] = []
        self._listed_at = -math.inf
        self._request = deque[bytes](maxlen=1)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, size: int, write: Callable[[], None]) -> bool:
        """Have this written later; return whether there is room for so many bytes."""
        if self._put - self._done + size > _WAITING:
            return False
        self._put += size + 1
        self._queue.put((size + 1, write))
        if self._put - self._done > _TOO_MUCH:
            self._hurry.set()
        return True

    def end(self, tape: Tape) -> None:
        """Make a stream that is over the latest one."""
        self.put(0, lambda: self._finish(tape))
        if self._put - self._done > _MUCH:
            self._hurry.set()

    def write(self, record: Record) -> None:
        """Log one request."""
        self.put(1024, lambda: self._write_line(record))

    def keep_request(self, body: bytes) -> None:
        """Keep what was sent to the provider last."""
        self._request.append(body)
        self.put(len(body), self._write_request)

    def close(self) -> None:
        """Write what is waiting, as far as that does not take long."""
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(_PATIENCE)
        if not self._thread.is_alive():
            os.close(self._tapes)
            os.close(self._directory)

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._next()) is not None:
            size, write = work
            try:
                write()
            except OSError as error:
                if not self._complained:
                    self._complained = True
                    print(  # noqa: T201 - where else could it be said?
                        f"codex-proxy: cannot write the logs in {self._place}: "
                        f"{error.strerror or error}; requests are answered all the same",
                        file=sys.stderr,
                        flush=True,
                    )
            self._done += size

    def _next(self) -> tuple[int, Callable[[], None]] | None:
        """Return what is to be written next; after a time with nothing to write, not at once."""
        if not self._queue.empty():
            return self._queue.get()
        work = self._queue.get()
        self._hurry.wait(_PAUSE)
        self._hurry.clear()
        return work

    def _write_line(self, record: Record) -> None:
        line = asdict(record)
        line["time"] = datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds")
        for name in ("path", "asked", "used"):  # cut behind: half a key is none that is found
            line[name] = hidden(line[name].encode(), self.secret).decode()[:_LONGEST_NAME]
        for name in ("first", "total"):
            line[name] = None if line[name] is None else round(line[name], 4)
        known = {name: value for name, value in line.items() if value not in ("", None, [])}
        data = hidden(msgspec.json.encode(known) + b"\n", self.secret)
        with suppress(FileNotFoundError):
            if os.stat(self._log, dir_fd=self._directory).st_size > _LONGEST_LOG:
                self._put_aside()
        _write(self._log, self._directory, os.O_CREAT | os.O_APPEND, data)

    def _write_request(self) -> None:
        with suppress(IndexError):  # there was a later one, which is written
            self._replace("request_payload.json", self._request.pop())

    def _put_aside(self) -> None:
        """Begin a new log; another worker may be about to."""
        fcntl.flock(self._directory, fcntl.LOCK_EX)
        try:
            if os.stat(self._log, dir_fd=self._directory).st_size > _LONGEST_LOG:
                self._rename(self._log, f"{self._log}.1", self._directory)
        finally:
            fcntl.flock(self._directory, fcntl.LOCK_UN)

    def _replace(self, name: str, data: bytes) -> None:
        """Put `data` in the place of a file, whole or not at all; a link is replaced itself."""
        temporary = f".{name}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self._directory)
        flags = os.O_CREAT | os.O_EXCL
        try:
            _write(temporary, self._directory, flags, hidden(data, self.secret))
            self._rename(temporary, name, self._directory)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._directory)
            raise

    def append(self, tape: Tape, pieces: list[bytes]) -> None:
        """Write some of a stream, to a file that nobody else has."""
        if self.secret:
            data = hidden(tape.rest + b"".join(pieces), self.secret)
            whole = max(0, len(data) + 1 - len(self.secret))
            pieces, tape.rest = [data[:whole]], data[whole:]
        if tape.file < 0:
            self._begin(tape)
        _write_all(tape.file, pieces)

    def _begin(self, tape: Tape) -> None:
        """Open the file of a new stream, in the place of the oldest."""
        if time.monotonic() > self._listed_at + _LISTED:
            self._list_tapes()
        while tape.file < 0:
            number = self._numbers[-1] + 1 if self._numbers else 1
            try:
                tape.file = _open(_numbered(number), self._tapes, os.O_CREAT | os.O_EXCL)
            except FileExistsError:  # of another worker
                self._list_tapes()
            else:
                tape.name = _numbered(number)
                self._numbers.append(number)
        while len(self._numbers) > _MOST_TAPES:
            with suppress(FileNotFoundError):
                os.unlink(_numbered(self._numbers.pop(0)), dir_fd=self._tapes)

    def _list_tapes(self) -> None:
        names = os.listdir(self._tapes)  # noqa: PTH208 - of a descriptor
        self._numbers = sorted(int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match)
        self._listed_at = time.monotonic()

    def _finish(self, tape: Tape) -> None:
        if tape.file < 0:
            return
        try:
            _write_all(tape.file, [_without_half(tape.rest, self.secret)])
        finally:
            os.close(tape.file)
        with suppress(FileNotFoundError):  # later ones have taken its place while it went on
            os.stat(tape.name, dir_fd=self._tapes)
            self._point_at(tape.name)

    def _point_at(self, name: str) -> None:
        """Let the latest stream be this one; by a second name of the file, it would cost its time.

        Where a file of data takes the place of another, ext4 sends all of that to the disk at once.
        """
        temporary = f".latest.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self._tapes)
        os.symlink(name, temporary, dir_fd=self._tapes)
        self._rename(temporary, "latest_response.txt", self._tapes)

    def _rename(self, old: str, new: str, directory: int) -> None:
        os.replace(old, new, src_dir_fd=directory, dst_dir_fd=directory)


@contextmanager
def taped(journal: Journal | None) -> Iterator[Tape | None]:
    """Take down one answer of a provider, where there is a journal."""
    tape = None if journal is None else Tape(journal)
    try:
        yield tape
    finally:
        if tape is not None:
            tape.close()


def _numbered(number: int) -> str:
    return f"response_{number:06}.txt"


def _without_half(data: bytes, secret: bytes) -> bytes:
    """Return `data` that does not end inside of the secret, but for what is no part to speak of."""
    for length in range(len(secret) - 1, _SHORTEST_HALF - 1, -1):
        if data.endswith(secret[:length]):
            return data[:-length] + hidden(secret, secret)
    return data


def _refused(directory: Path, error: OSError) -> JournalRefused:
    if isinstance(error, JournalRefused):
        return error
    return JournalRefused(
        0,
        f"there can be no logs in {directory}: {error.strerror or error}; "
        "PROXY_LOG_DIR chooses another place, PROXY_LOG=off none",
    )


def _open_directory(directory: Path) -> int:
    """Open a directory that is the user's own and nobody else's; where there is none, make it."""
    made = False
    try:
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700, parents=True)
            made = True
        if directory.is_symlink():
            raise OSError(0, "it is a link")
        opened = os.open(directory, _DIRECTORY)
    except OSError as error:
        raise _refused(directory, error) from None
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid():
            raise OSError(0, "it belongs to somebody else")
        if found.st_mode & (stat.S_ISVTX | stat.S_IWOTH):
            raise OSError(0, "it is shared with others")
        if made:
            os.fchmod(opened, 0o700)  # whatever the mask
        elif found.st_mode & 0o077:  # not to be changed: it may be more than a place for logs
            raise OSError(0, f"it is open to others; 'chmod 700 {directory}' closes it")
    except OSError as error:
        os.close(opened)
        raise _refused(directory, error) from None
    return opened


def _open(name: str, directory: int, flags: int) -> int:
    """Open a file of the user's own for writing; raises `OSError` for a link and what is none."""
    opened = os.open(name, _WRITING | flags, 0o600, dir_fd=directory)
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(opened)
        raise OSError(0, f"{name} is no file of the user's own")
    if stat.S_IMODE(found.st_mode) != 0o600:
        os.fchmod(opened, 0o600)
    return opened


def _write(name: str, directory: int, flags: int, data: bytes) -> None:
    opened = _open(name, directory, flags)
    try:
        _write_all(opened, [data])
    finally:
        os.close(opened)


def _write_all(opened: int, pieces: list[bytes]) -> None:
    if not 1 <= len(pieces) <= _PIECES:
        pieces = [b"".join(pieces)]
    left = sum(map(len, pieces)) - os.writev(opened, pieces)
    while left:
        left -= os.write(opened, b"".join(pieces)[-left:])
