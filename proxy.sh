#!/bin/sh
# Starts and stops instances of the proxy, each known by its port. `./proxy.sh help` says more.

set -u
umask 077

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
states=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
state=$states/codex-proxy

# Seconds that an instance has to answer after its start, and to finish its streams at its end.
START=30
END=15

usage() {
    cat <<'USAGE'
usage: ./proxy.sh enable|disable|restart|status|logs [--backend cerebras|chatgpt] [--port PORT]

  enable    start an instance; returns when it answers
  disable   stop it, when its open streams have ended (15 s at most)
  restart   both, with the backend that it had
  status    tell whether it runs; of all instances where neither port nor backend is named
  logs      show the end of its logs; -f follows them

environment:
  PROXY_PORT       the port; default 10001 for cerebras, 10000 for chatgpt
  PROXY_BACKEND    the backend; default: the one of the port, cerebras for any other port
  PROXY_PYTHON     an interpreter that has the proxy's packages; default: the virtual environment
                   .venv beside this file, which is made where there is none
  PROXY_LOG_DIR    where the proxy writes its logs; default: the state directory
  XDG_STATE_HOME   pid, lock and output of each port are in its folder codex-proxy (or in
                   ~/.local/state/codex-proxy)
  and all that codex-proxy takes: CEREBRAS_API_KEY, PROXY_HOST, ...

exit status:
  0  done, running
  1  it could not be done; or the pid file is stale
  2  wrong usage
  3  (status) not running
  4  (status) running, but does not answer

example:
  export CEREBRAS_API_KEY=csk-... PROXY_PORT=10001
  ./proxy.sh enable && curl http://localhost:10001/health
USAGE
}

say() {
    printf 'proxy.sh: %s\n' "$*"
}

# die STATUS SENTENCE
die() {
    status=$1
    shift
    say "$@" >&2
    exit "$status"
}

# --- what is asked for ---------------------------------------------------------------------------

# is_port TEXT: tell whether it is one that can be asked for.
is_port() {
    case $1 in
    '' | 0* | *[!0-9]* | ??????*) return 1 ;;
    esac
    [ "$1" -le 65535 ]
}

# choose BACKEND PORT: set `backend` and `port`; either may be empty, and follows from the other.
choose() {
    backend=$1 port=$2
    case $backend in
    '' | cerebras | chatgpt) ;;
    *) die 2 "'$backend' is no backend; --backend and PROXY_BACKEND take cerebras or chatgpt." ;;
    esac
    case $backend:$port in
    chatgpt:) port=10000 ;;
    *:) port=10001 ;;
    :10000) backend=chatgpt ;;
    esac
    is_port "$port" || die 2 "'$port' is no port; --port and PROXY_PORT take 1 to 65535."
    pid_file=$state/proxy_$port.pid
    output=$state/proxy_$port.out
}

# --- the instance of $port -----------------------------------------------------------------------

# runs PID: tell whether it is the proxy of $port, and not what got its number later.
# Sets `serves` to its backend.
runs() {
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
    # A signal that may not be sent tells of somebody else's process.
    kill -0 "$1" 2>/dev/null || return 1
    if [ -r "/proc/$1/cmdline" ]; then
        words=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline")
    else
        words=$(ps -ww -o args= -p "$1" 2>/dev/null)
    fi
    case "$words " in
    *" -m proxy --backend "*" --port $port "*) ;;
    *) return 1 ;;
    esac
    serves=${words##* --backend }
    serves=${serves%% *}
}

# Set `pid` to what the pid file says, empty where there is none.
read_pid() {
    pid=
    [ ! -f "$pid_file" ] || read -r pid <"$pid_file" || pid=${pid:-empty}
}

# ask PYTHON: tell whether /health answers; 1: it does not, 2: nobody listens.
ask() {
    "$1" -c '
import http.client, socket, sys
host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(sys.argv[1], sys.argv[1])
client = http.client.HTTPConnection(host, int(sys.argv[2]), timeout=2)
try:
    client.connect()
except OSError:
    sys.exit(2)
try:
    client.request("GET", "/health")
    sys.exit(client.getresponse().status != 200)
except (OSError, http.client.HTTPException):
    sys.exit(1)
' "${PROXY_HOST:-}" "$port"
}

# --- around it -----------------------------------------------------------------------------------

# Set `any_python` to what runs a few lines of Python: the proxy's own, else the system's.
find_python() {
    any_python=${PROXY_PYTHON:-$here/.venv/bin/python}
    if ! command -v "$any_python" >/dev/null 2>&1; then
        [ -z "${PROXY_PYTHON:-}" ] || die 1 "PROXY_PYTHON names no program: $PROXY_PYTHON"
        any_python=
        for name in python3 python3.14 python3.13 python3.12 python3.11; do
            if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
                any_python=$name
                break
            fi
        done
        [ -n "$any_python" ] || die 1 'there is no Python 3.11 or newer here; install python3.'
    fi
}

# Set `python` to one that has the proxy's packages; makes its environment where there is none.
prepare() {
    python=$any_python
    [ -z "${PROXY_PYTHON:-}" ] || return 0
    python=$here/.venv/bin/python
    mark=$here/.venv/codex-proxy-installed
    if [ -f "$mark" ] && [ -z "$(find "$here/pyproject.toml" -newer "$mark")" ]; then
        return 0
    fi
    say "preparing $here/.venv (once; it takes a minute)"
    if [ ! -x "$python" ]; then
        "$any_python" -m venv "$here/.venv" >"$output" 2>&1 ||
            die 1 "no virtual environment can be made: $(last_words) (Debian: apt install python3-venv)"
    fi
    "$python" -m pip install -q --disable-pip-version-check -c "$here/constraints.txt" \
        -e "$here" >"$output" 2>&1 || die 1 "the packages cannot be installed: $(last_words ERROR:)"
    : >"$mark"
}

# last_words [WORD]: print the last line of what was printed, or the last with WORD from there on.
last_words() {
    line=
    [ $# -eq 0 ] || line=$(sed -n "s/.*\($1 \)/\1/p" "$output" 2>/dev/null | tail -n 1)
    [ -n "$line" ] || line=$(grep -v '^[[:space:]]*$' "$output" 2>/dev/null | tail -n 1)
    printf '%s' "${line:-it said nothing}"
}

make_state() {
    case $states in
    /*) ;;
    *) die 1 "there is no place for its state ('$states'); set HOME or XDG_STATE_HOME to an absolute path." ;;
    esac
    { mkdir -p -- "$state" && [ ! -L "$state" ] && chmod 700 -- "$state"; } 2>/dev/null ||
        die 1 "$state cannot be used: it must be a directory of your own, and no link."
}

# Let no other proxy.sh touch $port until this one ends, however it ends: the lock is the kernel's,
# of the open file 9, so that none is left behind.
lock() {
    exec 9>"$state/proxy_$port.lock" || exit 1
    "$any_python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null ||
        die 1 "another proxy.sh is at work on port $port; try again when it is done."
}

# --- commands ------------------------------------------------------------------------------------

turn_on() {
    read_pid
    if runs "$pid"; then
        [ "$serves" = "${backend:-$serves}" ] || die 1 \
            "port $port is served by the $serves backend (pid $pid); './proxy.sh disable' stops it."
        ask "$any_python" || die 1 "it runs on port $port (pid $pid) but does not answer; './proxy.sh restart' may help."
        say "$serves runs on port $port already (pid $pid)."
        return
    fi
    if [ -n "$pid" ]; then
        say "the last one on port $port was not stopped, it died; its pid file ($pid) is removed."
        rm -f -- "$pid_file"
    fi
    ask "$any_python"
    [ $? -eq 2 ] ||
        die 1 "port $port is in use by another program; stop that one, or choose another PROXY_PORT."
    prepare
    start
}

# Find what is wrong with the settings now: what cannot start again is not to be stopped.
check() {
    prepare
    wrong=$(PYTHONPATH=$here "$python" -P -c '
import os, sys
from proxy.__main__ import parse, prepare
prepare(parse(sys.argv[1:], os.environ), 0).close()
' --backend "$backend" --port "$port" 2>&1) ||
        die 1 "the proxy runs on as it was: $(printf '%s' "$wrong" | tail -n 1)"
}

start() {
    backend=${backend:-cerebras}
    [ ! -f "$output" ] || mv -f -- "$output" "$output.1"
    # A session of its own: it outlives this terminal. The pid is known before there is a proxy.
    PYTHONPATH=$here "$python" -P -c '
import os, sys
os.setsid()
with open(sys.argv[1], "w") as file:
    print(os.getpid(), file=file)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
' "$pid_file" -P -m proxy --backend "$backend" --port "$port" </dev/null >"$output" 2>&1 9>&- &
    child=$!
    trap 'kill "$child" 2>/dev/null; rm -f -- "$pid_file"; exit 130' INT TERM HUP
    waited=0
    until runs "$child" && ask "$python"; do
        if ! kill -0 "$child" 2>/dev/null; then
            rm -f -- "$pid_file"
            die 1 "the proxy ended at its start: $(last_words)"
        fi
        if [ "$waited" -ge $((START * 5)) ]; then
            kill "$child"
            rm -f -- "$pid_file"
            die 1 "the proxy did not answer within $START s: $(last_words)"
        fi
        waited=$((waited + 1))
        sleep 0.2
    done
    trap - INT TERM HUP
    case ${PROXY_HOST:-127.0.0.1} in
    *:*) host="[$PROXY_HOST]" ;;
    *) host=${PROXY_HOST:-127.0.0.1} ;;
    esac
    say "$backend runs on http://$host:$port (pid $child)."
}

turn_off() {
    read_pid
    if [ -z "$pid" ]; then
        say "nothing runs on port $port that proxy.sh has started."
        return
    fi
    if ! runs "$pid"; then
        rm -f -- "$pid_file"
        die 1 "nothing was stopped: process $pid is gone or another one; its stale pid file is removed."
    fi
    kill "$pid"
    waited=0
    while runs "$pid"; do
        if [ "$waited" -ge $((END * 5)) ]; then
            kill -9 "$pid"
            say "pid $pid did not end within $END s, and was killed." >&2
            break
        fi
        waited=$((waited + 1))
        sleep 0.2
    done
    rm -f -- "$pid_file"
    say "stopped $serves on port $port (pid $pid)."
}

status() {
    read_pid
    if [ -z "$pid" ]; then
        say "port $port: not running."
        return 3
    elif ! runs "$pid"; then
        say "port $port: not running; process $pid died, and its pid file is stale."
        return 1
    elif ! ask "$any_python"; then
        say "port $port: $serves runs (pid $pid), but does not answer; './proxy.sh logs' may say why."
        return 4
    fi
    say "port $port: $serves runs and answers (pid $pid)."
}

# The status of every instance; the worst of them is that of the whole.
status_of_all() {
    worst=3
    for pid_file in "$state"/proxy_*.pid; do
        [ -f "$pid_file" ] || break
        port=${pid_file##*/proxy_}
        port=${port%.pid}
        status
        code=$?
        [ "$worst" -ne 3 ] || worst=0
        [ "$code" -eq 0 ] || worst=$code
    done
    [ "$worst" -ne 3 ] || say 'no instance runs.'
    return "$worst"
}

logs() {
    set -- "$@" --
    for file in "$output" "${PROXY_LOG_DIR:-$state}/proxy_$port.log"; do
        [ ! -f "$file" ] || set -- "$@" "$file"
    done
    case $* in
    *--) die 1 "port $port has no logs in ${PROXY_LOG_DIR:-$state}." ;;
    esac
    exec tail -n 100 "$@"
}

# --- the command line ----------------------------------------------------------------------------

command=${1:-}
[ $# -eq 0 ] || shift
asked_backend=${PROXY_BACKEND:-} asked_port=${PROXY_PORT:-} follow=
while [ $# -gt 0 ]; do
    case $1 in
    --backend | --port)
        [ $# -ge 2 ] || die 2 "$1 needs a value."
        if [ "$1" = --port ]; then asked_port=$2; else asked_backend=$2; fi
        shift
        ;;
    --backend=*) asked_backend=${1#*=} ;;
    --port=*) asked_port=${1#*=} ;;
    -f) follow=-f ;;
    -h | --help) command=help ;;
    *) die 2 "'$1' is not understood; './proxy.sh help' shows what is." ;;
    esac
    shift
done
case $command in
enable | disable | restart | status | logs) ;;
help | -h | --help)
    usage
    exit
    ;;
'')
    usage >&2
    exit 2
    ;;
*) die 2 "'$command' is no command; './proxy.sh help' shows what is." ;;
esac

choose "$asked_backend" "$asked_port"
make_state
find_python
case $command in
enable)
    lock
    turn_on
    ;;
disable)
    lock
    turn_off
    ;;
restart)
    lock
    read_pid
    if runs "$pid"; then
        backend=${backend:-$serves}
        check
        turn_off
    fi
    turn_on
    ;;
status)
    if [ -z "$asked_backend$asked_port" ]; then status_of_all; else status; fi
    ;;
logs) logs $follow ;;
esac
