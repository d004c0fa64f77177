#!/usr/bin/env bash
# Builds the packages of the last commit once more, in another folder and from nothing, and compares them with those in
# target/packages, bit for bit.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
[[ -z $(git status --porcelain --untracked-files=no) ]] || {
    echo 'packaging/twice.sh: commit first: the second build is of the last commit' >&2
    exit 1
}
again=$(mktemp -d /var/tmp/ostler-again-XXXXXX)
trap 'rm -rf "$again"' EXIT
git archive HEAD | tar -x -C "$again"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} bash "$again/packaging/build.sh" "$again/out" >/dev/null
for package in "$again"/out/*; do
    cmp "$package" "$root/target/packages/${package##*/}"
    sha256sum "$root/target/packages/${package##*/}"
done
echo 'packaging/twice.sh: both builds are the same'
