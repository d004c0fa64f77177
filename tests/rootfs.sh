#!/usr/bin/env bash
# Makes a Debian that the tests of tests/systemd boot: systemd, D-Bus and Python, nothing else.
#
#   tests/rootfs.sh [DIR [VERSION]]      DIR defaults to $OSTLER_ROOTFS, then to target/rootfs; VERSION is 13, or 12
#
# The tests boot 13 from $OSTLER_ROOTFS, and 12 from $OSTLER_ROOTFS-12.
#
# Made once, under a lock, and stamped when it is complete; the machines boot on a layer of their own above it
# and never write in it. Needs root, mmdebstrap and a Debian mirror (DEBIAN_MIRROR names another one).
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-${OSTLER_ROOTFS:-$root/target/rootfs}}
version=${2:-13}
include=systemd,systemd-sysv,dbus,python3

fail() {
    echo "tests/rootfs.sh: $*" >&2
    exit 1
}

case $version in
12) suite=bookworm ;;
13) suite=trixie ;;
*) fail "there are tests for Debian 12 and 13, not for $version" ;;
esac
stamp=$(printf '%s\n' "$suite" "$include" "$(<"${BASH_SOURCE[0]}")" | sha256sum | cut -d' ' -f1)
[[ -r $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && exit 0
((EUID == 0)) || fail "only root can make $dir: run it with sudo"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing (on Debian: apt-get install mmdebstrap)"
mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
[[ -r $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$dir"
# Manuals and translations are half of the files, and nobody reads them here.
mmdebstrap --variant=apt --include="$include" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$dir" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$log" 2>&1 </dev/null ||
    fail "mmdebstrap failed: $(tail -n 5 "$log")"
# Nothing in the machines needs the archive, nor a login on a console.
rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/apt/*
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    console-getty.service systemd-logind.service systemd-timesyncd.service; do
    ln -sf /dev/null "$dir/etc/systemd/system/$unit"
done
echo "$stamp" >"$dir/.stamp"
echo "made $dir"
