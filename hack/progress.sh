#!/usr/bin/env bash
# Runs a command and, while it goes on for longer than a few seconds, says so every 15 s.
#   hack/progress.sh 'Building' go build ...
set -u
what=$1
shift
start=$SECONDS
(
  sleep 3
  echo "$what: about 5 minutes the first time on 2 cores (9 on a slow machine), seconds afterwards" >&2
  while sleep 15; do
    packages=$(find "$(go env GOCACHE)" -name '*-d' -newermt "@$((EPOCHSECONDS - SECONDS + start))" 2>/dev/null | wc -l)
    echo "$what: $((SECONDS - start)) s, $packages compiled files" >&2
  done
) &
ticker=$!
trap 'kill $ticker 2>/dev/null; wait $ticker 2>/dev/null' EXIT
"$@"
