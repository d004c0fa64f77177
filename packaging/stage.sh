#!/usr/bin/env bash
# Lays the files of a package out below a folder, as they are to be installed.
#
#   packaging/stage.sh deb|rpm PROGRAMS PAGES OUT
#
# PROGRAMS has ostlerd and ostler, PAGES what `cargo run --example pages` makes. The times of all files are
# $SOURCE_DATE_EPOCH, so that the same files make the same package.
set -euo pipefail
umask 022

kind=$1 programs=$2 pages=$3 out=$4
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

put() { # MODE FROM TO
    install -D -m "$1" "$2" "$out/$3"
}

put_zipped() { # FROM TO
    put 644 "$1" "$2"
    gzip -9n "$out/$2"
}

rm -rf "$out"
for program in ostlerd ostler; do
    put 755 "$programs/$program" "usr/bin/$program"
    strip "$out/usr/bin/$program"
done
put 644 "$root/systemd/ostler.service" usr/lib/systemd/system/ostler.service
put 644 "$root/systemd/ostler.sysusers.conf" usr/lib/sysusers.d/ostler.conf
put 644 "$root/systemd/ostler.tmpfiles.conf" usr/lib/tmpfiles.d/ostler.conf
put 644 "$root/packaging/etc/ostler.toml" etc/ostler/ostler.toml
put 644 "$root/packaging/etc/apps.d/shop.toml.example" etc/ostler/apps.d/shop.toml.example

for page in "$pages"/man/*.[1578]; do
    put_zipped "$page" "usr/share/man/man${page##*.}/${page##*/}"
done
zsh=usr/share/zsh/site-functions
[[ $kind == deb ]] && zsh=usr/share/zsh/vendor-completions
for program in ostlerd ostler; do
    put 644 "$pages/completions/$program.bash" "usr/share/bash-completion/completions/$program"
    put 644 "$pages/completions/_$program" "$zsh/_$program"
    put 644 "$pages/completions/$program.fish" "usr/share/fish/vendor_completions.d/$program.fish"
done

doc=usr/share/doc/ostler
put 644 "$root/README.md" $doc/README.md
put 644 "$root/systemd/ostler.socket" $doc/examples/ostler-shop.socket
while IFS= read -r -d '' example; do
    put 644 "$example" "$doc/examples/${example#"$root"/packaging/examples/}"
done < <(find "$root/packaging/examples" -type f -print0 | sort -z)
if [[ $kind == deb ]]; then
    put_zipped "$root/CHANGELOG.md" $doc/changelog
    put 644 "$root/packaging/deb/copyright" $doc/copyright
else
    put 644 "$root/packaging/rpm/ostler.preset" usr/lib/systemd/system-preset/80-ostler.preset
    put 644 "$root/CHANGELOG.md" $doc/CHANGELOG.md
    put 644 "$root/LICENSE-MIT" usr/share/licenses/ostler/LICENSE-MIT
    put 644 "$root/LICENSE-APACHE" usr/share/licenses/ostler/LICENSE-APACHE
fi
find "$out" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
