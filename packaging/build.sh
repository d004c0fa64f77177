#!/usr/bin/env bash
# Builds both programs as they are released, and packs them: what `make packages` does.
#
#   packaging/build.sh [OUT]        OUT defaults to target/packages
#
# Two builds of the same commit are the same, bit for bit, wherever they are made: the times are the commit's
# ($SOURCE_DATE_EPOCH names another), and no path of this machine is in the programs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/target/packages}
cd "$root"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=$(stat -c %Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH

# A folder of its own, for other flags would build everything in target/release anew each time.
export CARGO_TARGET_DIR=$root/target/packages-build
home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
export RUSTFLAGS="--remap-path-prefix=$root=/ostler --remap-path-prefix=$home=/cargo --remap-path-prefix=$sysroot=/rust"
cargo build --release --locked --bins --example pages

# EL 9 and Ubuntu 22.04 have no later one; the packages say so, and must not say less than the truth.
needed=$(objdump -T "$CARGO_TARGET_DIR"/release/{ostlerd,ostler} | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
[[ $(printf '%s\n' "$needed" GLIBC_2.34 | sort -V | tail -n 1) == GLIBC_2.34 ]] || {
    echo "packaging/build.sh: the programs need $needed, and the packages promise to run with GLIBC_2.34" >&2
    exit 1
}

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=$CARGO_TARGET_DIR/release
"$programs/examples/pages" "$work/pages"
packaging/stage.sh deb "$programs" "$work/pages" "$work/deb"
packaging/deb.sh "$work/deb" "$version" "$out"
if command -v rpmbuild >/dev/null; then
    packaging/stage.sh rpm "$programs" "$work/pages" "$work/rpm"
    packaging/rpm.sh "$work/rpm" "$version" "$out"
else
    echo 'packaging/build.sh: no .rpm without rpmbuild (on Debian: apt-get install rpm)' >&2
fi
