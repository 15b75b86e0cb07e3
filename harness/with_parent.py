"""Processes that the kernel ends when whoever started them is gone, however that came: on Linux."""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["module", "program"]

#: Leaves the rest of its arguments to what follows.
_TIED: Final = """\
import ctypes, os, runpy, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit(1)  # it was gone before
"""


def module(name: str) -> list[str]:
    """Return Python's arguments to run a module."""
    if sys.platform != "linux":
        return ["-m", name]
    run = f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    return ["-c", _TIED + run, str(os.getpid())]


def program(path: str) -> list[str]:
    """Return the command that runs a program, but for its arguments."""
    if sys.platform != "linux":
        return [path]
    run = "os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-c", _TIED + run, str(os.getpid()), path]
