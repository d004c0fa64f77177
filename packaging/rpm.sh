#!/usr/bin/env bash
# Packs an .rpm of what packaging/stage.sh has laid out; prints its name. Needs rpmbuild, which Debian has in `rpm`.
#
#   packaging/rpm.sh STAGED VERSION OUT
#
# The same files make the same package. OSTLER_RPM_PAYLOAD is rpm's %_binary_payload, w6.xzdio unless it says otherwise.
set -euo pipefail
umask 022

staged=$(realpath "$1") version=$2 out=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
maintainer=${OSTLER_MAINTAINER:-The ostler authors <ostler@example.org>}
architecture=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$out"
LC_ALL=C rpmbuild -bb --quiet --target "$architecture-linux" \
    --define "_topdir $work" --define "_rpmdir $work/out" --define "_tmppath $work" \
    --define "staged $staged" --define "staged_version $version" \
    --define "staged_payload ${OSTLER_RPM_PAYLOAD:-w6.xzdio}" --define "staged_maintainer $maintainer" \
    --define "staged_date $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
    "$here/rpm/ostler.spec" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}
package=ostler-$version-1.$architecture.rpm
mv "$work/out/$architecture/$package" "$out/"
echo "$out/$package"
