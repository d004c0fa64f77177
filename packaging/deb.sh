#!/usr/bin/env bash
# Packs a .deb of what packaging/stage.sh has laid out; prints its name. Needs dpkg-deb and nothing else.
#
#   packaging/deb.sh STAGED VERSION OUT
#
# The same files make the same package. OSTLER_DEB_COMPRESSION is dpkg-deb's -Z, xz unless it says otherwise.
set -euo pipefail
umask 022

staged=$1 version=$2-1 out=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
maintainer=${OSTLER_MAINTAINER:-The ostler authors <ostler@example.org>}
architecture=$(dpkg --print-architecture)

doc=$staged/usr/share/doc/ostler
printf 'ostler (%s) unstable; urgency=medium\n\n  * See changelog.gz beside this file.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"
install -D -m 644 "$here/deb/lintian-overrides" "$staged/usr/share/lintian/overrides/ostler"

rm -rf "$staged/DEBIAN"
mkdir "$staged/DEBIAN"
(cd "$staged" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) | grep -v '  etc/' >"$staged/DEBIAN/md5sums"
(cd "$staged" && find etc -type f | sort | sed 's,^,/,') >"$staged/DEBIAN/conffiles"
size=$(du --summarize --apparent-size --block-size=1024 --exclude=DEBIAN "$staged" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@MAINTAINER@/$maintainer/" \
    -e "s/@SIZE@/$size/" "$here/deb/control" >"$staged/DEBIAN/control"
install -m 755 "$here"/deb/{preinst,postinst,prerm,postrm} "$staged/DEBIAN/"
find "$staged" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

package=$out/ostler_${version}_$architecture.deb
mkdir -p "$out"
dpkg-deb --root-owner-group --threads-max=1 -Z"${OSTLER_DEB_COMPRESSION:-xz}" --build "$staged" "$package" >/dev/null
echo "$package"
