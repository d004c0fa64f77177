#!/usr/bin/env bash
# Fetches what the guide installs with apt-get, for the machines of tests/systemd, which have no network: a folder of
# packages that apt takes for an archive. In the machine, all that is missing is the mirror.
#
#   tests/debs.sh [ROOTFS]      the Debian of tests/rootfs.sh; defaults to $OSTLER_ROOTFS, then to target/rootfs
#
# Into ROOTFS-debs. Fetched once, under a lock, and stamped; what that Debian has is left out.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rootfs=${1:-${OSTLER_ROOTFS:-$root/target/rootfs}}
dir=$rootfs-debs
wanted=(python3-venv nginx postgresql openssl curl adduser)

fail() {
    echo "tests/debs.sh: $*" >&2
    exit 1
}

[[ -r $rootfs/.stamp ]] || fail "$rootfs is missing: run \`bash tests/rootfs.sh\` first"
stamp=$(printf '%s\n' "${wanted[@]}" "$(<"$rootfs/.stamp")" "$(<"${BASH_SOURCE[0]}")" | sha256sum | cut -d' ' -f1)
[[ -r $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && exit 0
command -v apt-get >/dev/null || fail "apt-get is missing: only Debian's own can fetch its packages"
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
[[ -r $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$dir"
mkdir -p "$dir/partial" "$scratch/lists/partial"
# As the machine would, with its archive and what it has installed; nothing of this machine's is touched.
options=(
    -o "Dir::Etc::SourceList=$rootfs/etc/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::Etc::TrustedParts=$rootfs/etc/apt/trusted.gpg.d" -o "Dir::State::Lists=$scratch/lists"
    -o "Dir::State::Status=$rootfs/var/lib/dpkg/status" -o "Dir::Cache::Archives=$dir" -o "Dir::Cache=$scratch"
    -o APT::Sandbox::User=root -o APT::Keep-Downloaded-Packages=true
)
{
    apt-get "${options[@]}" update -qq &&
        apt-get "${options[@]}" install -qq --yes --no-install-recommends --download-only "${wanted[@]}"
} >"$scratch/log" 2>&1 </dev/null || fail "apt-get could not fetch ${wanted[*]}: $(tail -n 3 "$scratch/log")"
rm -rf "$dir/partial" "$dir/lock"
for deb in "$dir"/*.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" "$(stat -c %s "$deb")" \
        "$(sha256sum "$deb" | cut -d' ' -f1)"
done >"$dir/Packages"
echo "$stamp" >"$dir/.stamp"
echo "made $dir"
