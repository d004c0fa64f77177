#!/usr/bin/env bash
# What ruff and shellcheck say of the Python and of the shell scripts, those of the packages among them. Exit status 1 where
# one has something to say.
#
# tests/setup.sh lint installs or names shellcheck; ruff is in the environment `lint` of tests/venvs.sh, and .ruff.toml says
# what it looks at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ruff=${OSTLER_VENVS:-target/venvs}/lint/bin/ruff

failed=0
"$ruff" format --quiet --diff . || failed=1
"$ruff" check --quiet . || failed=1

# By their first lines: some have no ending that tells.
mapfile -t scripts < <(find . \( -path ./target -o -path ./.git \) -prune -o -type f -size -64k -exec \
    awk 'FNR == 1 && /^#!.*[\/ ](ba|da)?sh( |$)/ { print FILENAME } { nextfile }' {} + | sort)
shellcheck "${scripts[@]}" || failed=1

# What the .rpm runs has no files of its own.
for part in post preun postun; do
    sed -n "/^%$part\$/,/^%/{/^%/!p}" packaging/rpm/ostler.spec | shellcheck --shell=sh - || {
        echo "tests/lint.sh: that is %$part of packaging/rpm/ostler.spec" >&2
        failed=1
    }
done
exit "$failed"
