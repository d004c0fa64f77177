#!/usr/bin/env bash
# What Debian's and Red Hat's own checkers say of the packages in target/packages: nothing that has no reason given, in
# packaging/deb/lintian-overrides and packaging/rpm/rpmlint.toml.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for program in lintian rpmlint; do
    command -v "$program" >/dev/null || {
        echo "packaging/lint.sh: $program is missing (on Debian: apt-get install lintian rpmlint)" >&2
        exit 1
    }
done
lintian --fail-on error,warning "$here"/../target/packages/*.deb
# It ends well with warnings, which are none here.
said=$(rpmlint --config "$here/rpm/rpmlint.toml" "$here"/../target/packages/*.rpm)
[[ $said == *' 0 errors, 0 warnings'* ]] || {
    echo "$said" >&2
    exit 1
}
echo 'packaging/lint.sh: lintian and rpmlint have nothing to say'
