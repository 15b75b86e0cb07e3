#!/usr/bin/env bash
# Starts the proxy with $START, if there is one, waits until $TARGET answers, and judges it. The exit
# status is that of `conformance run`: 0, 1 (faults), 2 (could not run).
set -euo pipefail

: "${TARGET:?where the proxy answers}" "${PROVIDER_PORT:?}" "${REPORT:?}"

if [ -n "${START:-}" ]; then
    log=$(mktemp)
    # A group of its own, so that all that it starts ends with it.
    setsid bash -c "$START" >"$log" 2>&1 &
    proxy=$!
    trap 'kill -TERM -- "-$proxy" 2>/dev/null || true' EXIT
    for second in $(seq 60); do
        # Any answer will do, an HTTP error as well.
        if curl --silent --noproxy '*' --max-time 5 --output /dev/null "$TARGET"; then break; fi
        if ! kill -0 "$proxy" 2>/dev/null || [ "$second" = 60 ]; then
            echo "the proxy does not answer at $TARGET; '$START' said:" >&2
            cat "$log" >&2
            exit 2
        fi
        sleep 1
    done
fi

# Split into words, on however many lines: these are arguments. It ends at the end, with status 1.
read -rd '' -a more <<<"${ARGUMENTS:-}" || true
status=0
conformance run --target "$TARGET" --provider-port "$PROVIDER_PORT" --report "$REPORT" \
    ${more[@]+"${more[@]}"} || status=$?
if [ "$status" = 2 ] && [ -n "${START:-}" ]; then
    echo "the proxy said:" >&2
    cat "$log" >&2
fi
exit "$status"
