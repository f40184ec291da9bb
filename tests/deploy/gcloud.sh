#!/usr/bin/env bash
# The stand-in for gcloud: hands each call to tests/deploy/stand_in.py, which answers as gcloud does.
LC_ALL=C
exec 3<>"/dev/tcp/127.0.0.1/$STAND_IN_PORT"
input=
for part; do [ "$part" != --data-file=- ] || input=$(cat); done
printf '%s\0' "$$" "$#" "$@" "$input" >&3
read -r status out err <&3
read -r -N "$out" answer <&3
[ "$out" -eq 0 ] || printf '%s' "$answer"
read -r -N "$err" answer <&3
[ "$err" -eq 0 ] || printf '%s' "$answer" >&2
exit "$status"
