#!/usr/bin/env bash
# The laws of the Python parts, both kinds at once: those of workers keep the processors busy, those of databases wait.
# The last lines are `N passed, N failed` of each; the exit status is 1 where one failed.
set -uo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
/usr/bin/python3 "$here/migrate_db/run.py" >"$said" 2>&1 &
databases=$!
# Ended from outside, it ends its servers.
trap 'kill "$databases"; wait "$databases"; exit 1' HUP INT TERM
failed=0
/usr/bin/python3 "$here/shim/run.py" || failed=1
wait "$databases" || failed=1
cat "$said"
exit "$failed"
