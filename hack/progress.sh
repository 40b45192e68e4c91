#!/usr/bin/env bash
# Runs a command and, while it goes on for longer than a few seconds, says so every 15 s.
#   hack/progress.sh 'Building' go build ...
set -u
what=$1
shift
start=$SECONDS
(
  # Not on the caller's output: a sleep that is left behind would keep a pipe open.
  sleep 3 >/dev/null 2>&1
  echo "$what: the first time it takes 3 to 9 minutes on 2 cores, seconds afterwards" >&2
  while sleep 15 >/dev/null 2>&1; do
    packages=$(find "$(go env GOCACHE)" -name '*-d' -newermt "@$((EPOCHSECONDS - SECONDS + start))" 2>/dev/null | wc -l)
    echo "$what: $((SECONDS - start)) s, $packages compiled files" >&2
  done
) &
ticker=$!
trap 'kill $ticker 2>/dev/null; wait $ticker 2>/dev/null' EXIT
"$@"
