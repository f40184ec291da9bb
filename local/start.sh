#!/usr/bin/env bash
# Runs a command of the local world: bash local/start.sh MODULE [ARGUMENT...]. Python has no words for an interrupt
# that comes while it starts itself: until local/__main__.py listens, this shell ends it.
set -u

interrupted() {
    printf '\nInterrupted: nothing is left running.\n' >&2
    exit 130
}
# Python that does not listen yet ignores the first, as everything does that a shell puts aside, and dies of the second.
trap '[ -n "${!-}" ] || interrupted; kill -INT "$!" 2>/dev/null; kill -TERM "$!" 2>/dev/null' INT
trap '[ -n "${!-}" ] || exit 143; kill -TERM "$!" 2>/dev/null' TERM HUP

.venv/bin/python -m local "$@" &
while kill -0 "$!" 2>/dev/null; do wait "$!"; done
wait "$!"
status=$?
[ "$status" -ne 143 ] || interrupted
exit "$status"
