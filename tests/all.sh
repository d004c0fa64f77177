#!/usr/bin/env bash
# Every test at once: cargo's, which wait more than they work, and beside them the laws of the Python parts, of which those of
# workers keep a processor busy, and those of databases wait. What the laws say comes last. The exit status is 1 where one
# failed.
#
#   tests/all.sh [ARGUMENT...]    ARGUMENTs go to cargo's tests: --skip booted::
set -uo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
# Nothing is tried while the compiler works.
cargo build --locked --all-targets || exit 1
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
/usr/bin/python3 "$here/shim/run.py" -j 1 >"$said/workers" 2>&1 &
workers=$!
/usr/bin/python3 "$here/migrate_db/run.py" -j 3 >"$said/databases" 2>&1 &
databases=$!
# Ended from outside, they end what they have started.
trap 'kill "$workers" "$databases"; wait; exit 1' HUP INT TERM
failed=0
cargo test --locked --no-fail-fast -- "$@" || failed=1
wait "$workers" || failed=1
wait "$databases" || failed=1
cat "$said/workers" "$said/databases"
exit "$failed"
