#!/usr/bin/env bash
# Tries the laws of src/fuzzing with a build that sees which code each input reaches: libFuzzer, on stable Rust.
#
# FUZZ='SECONDS LAW…' says how long each is tried (20) and which (all). What breaks a law is left in target/fuzz/found, and
# belongs into tests/fuzz/corpus/LAW when it is mended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
read -r -a words <<<"${FUZZ:-20}"
seconds=${words[0]:-20}
laws=("${words[@]:1}")
[ ${#laws[@]} -gt 0 ] || mapfile -t laws < <(ls tests/fuzz/corpus)
target=$(rustc -vV | sed -n 's/^host: //p')

# What `cargo fuzz --sanitizer none` sets; none of it needs a nightly compiler.
flags=(--cfg fuzzing -Cpasses=sancov-module)
for option in level=3 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
(cd tests/fuzz && RUSTFLAGS="${flags[*]}" cargo build --locked --release --target "$target" --target-dir ../../target/fuzz)

failed=()
for law in "${laws[@]}"; do
    mkdir -p "target/fuzz/corpus/$law" target/fuzz/found
    echo "== $law"
    # What was reached before is where the next run goes on from.
    if ! OSTLER_FUZZ=$law "target/fuzz/$target/release/ostler-fuzz" "target/fuzz/corpus/$law" "tests/fuzz/corpus/$law" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/found/$law-" >"target/fuzz/$law.log" 2>&1; then
        failed+=("$law")
        grep -v '^INFO' "target/fuzz/$law.log" | head -40
    fi
    grep -E 'number_of_executed_units|slowest_unit_time_sec|peak_rss_mb' "target/fuzz/$law.log" || true
done
[ ${#failed[@]} -eq 0 ] || { echo "broken: ${failed[*]}; see target/fuzz/found" >&2; exit 1; }
