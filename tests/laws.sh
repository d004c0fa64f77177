#!/usr/bin/env bash
# The laws of the Python parts, both kinds at once: those of workers keep the processors busy, those of databases wait.
# What those of databases say comes last. The exit status is 1 where one failed.
set -uo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
/usr/bin/python3 "$here/shim/run.py" &
workers=$!
/usr/bin/python3 "$here/migrate_db/run.py" >"$said" 2>&1 &
databases=$!
# Ended from outside, they end what they have started.
trap 'kill "$workers" "$databases"; wait; exit 1' HUP INT TERM
failed=0
wait "$workers" || failed=1
wait "$databases" || failed=1
cat "$said"
exit "$failed"
