#!/usr/bin/env bash
# Makes a Python of another Debian that runs on this machine, and on every other: the interpreter, its standard library and
# the shared libraries that it needs, the C library and its loader included, in one folder. No root is needed, and nothing is
# installed. Such a folder may be mounted elsewhere under the same path: in a booted Debian of any age, in a container.
#
#   tests/python.sh DIR VERSION      DIR/bin/python3; VERSION is one of those below
#
# From Debian's archive ($DEBIAN_MIRROR names another mirror), by apt, in folders of its own. Made once, and stamped: a second
# run needs no network. Where there is no apt, DIR/bin/python3 is the machine's own Python of that version.
set -euo pipefail
umask 022

dir=$1 version=$2
# Python 3.8 is in no Debian, and in no registry of packages: 3.9 is the oldest that can be had.
case $version in
3.9) suite=bullseye ;;
3.11) suite=bookworm ;;
3.13) suite=trixie ;;
*) echo "tests/python.sh: no Debian has Python $version" >&2 && exit 1 ;;
esac

fail() {
    echo "tests/python.sh: $*" >&2
    exit 1
}

stamp=$(printf '%s\n' "$dir" "$version" "$(<"${BASH_SOURCE[0]}")" | sha256sum | cut -d' ' -f1)
[[ -r $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && exit 0
rm -rf "$dir"
mkdir -p "$dir/bin" "$dir/lib" "$dir/include" "$dir/share"

if ! command -v apt-get >/dev/null || ! [[ -r /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
    own=$(type -P "python$version") || fail "Python $version is missing: install it, for apt cannot fetch Debian's here"
    ln -s "$own" "$dir/bin/python3"
    echo "$stamp" >"$dir/.stamp"
    exit 0
fi
command -v patchelf >/dev/null || fail "patchelf is missing (on Debian: apt-get install patchelf)"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{lists,debs}/partial "$scratch/root"
: >"$scratch/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" \
    >"$scratch/sources.list"
# As a machine with nothing installed; nothing of this one's is touched.
options=(
    -o "Dir::Etc::SourceList=$scratch/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o "Dir::State::Lists=$scratch/lists" -o "Dir::State::Status=$scratch/status"
    -o "Dir::Cache=$scratch" -o "Dir::Cache::Archives=$scratch/debs"
    -o APT::Sandbox::User=root -o APT::Keep-Downloaded-Packages=true -o Debug::NoLocking=true
)
{
    apt-get "${options[@]}" update -qq &&
        apt-get "${options[@]}" install -qq --yes --no-install-recommends --download-only \
            "python$version-venv" "libpython$version-dev" libstdc++6
} >"$scratch/log" 2>&1 </dev/null || fail "apt-get could not fetch Python $version of Debian's $suite: $(tail -n 3 "$scratch/log")"
for deb in "$scratch"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$scratch/root" --keep-directory-symlink
done

from=$scratch/root
cp -a "$from/usr/bin/python$version" "$dir/bin/"
ln -s "python$version" "$dir/bin/python3"
cp -a "$from/usr/lib/python$version" "$dir/lib/"
# What python3-distutils had, up to 3.11.
! [[ -d $from/usr/lib/python3/dist-packages/distutils ]] || cp -a "$from"/usr/lib/python3/dist-packages/distutils "$dir/lib/python$version/"
cp -a "$from/usr/include/python$version" "$dir/include/"
for triple in "$from"/usr/include/*/python"$version"; do
    mkdir -p "$dir/include/$(basename "$(dirname "$triple")")"
    cp -a "$triple" "$dir/include/$(basename "$(dirname "$triple")")/"
done
cp -a "$from/usr/share/python-wheels" "$dir/share/"
for lib in "$from"/lib/*-linux-*/ "$from"/usr/lib/*-linux-*/; do
    ! [[ -d $lib ]] || find "$lib" -maxdepth 1 -name '*.so*' ! -name '*.so' -exec cp -an -t "$dir/lib" {} +
    # Where links of the C library led to, until 2.34.
    ! [[ -d $lib ]] || find "$lib" -maxdepth 1 -name '*-2.*.so' -exec cp -an -t "$dir/lib" {} +
done

# Its own loader, and its own libraries for all that it loads later, whatever this machine has.
program=$dir/bin/python$version
loader=$(basename "$(patchelf --print-interpreter "$program")")
[[ -x $dir/lib/$loader ]] || fail "$loader is not in Debian's packages"
patchelf --set-interpreter "$dir/lib/$loader" --force-rpath --set-rpath "$dir/lib" "$program"
# Where it was to be, in what it knows of itself.
sed -i "s|/usr/share/python-wheels|$dir/share/python-wheels|g" \
    "$dir/lib/python$version"/_sysconfigdata*.py "$dir/lib/python$version/ensurepip/__init__.py"
sed -i "s|'/usr/lib/[a-z0-9_]*-linux-gnu'|'$dir/lib'|; s|'/usr/include'|'$dir/include'|; s|'/usr'|'$dir'|" \
    "$dir/lib/python$version"/_sysconfigdata*.py
rm -f "$dir/lib/python$version/EXTERNALLY-MANAGED"
"$dir/bin/python3" -m compileall -q "$dir/lib/python$version" >/dev/null 2>&1 || true
"$dir/bin/python3" -c 'import ctypes, hashlib, lzma, sqlite3, ssl, venv' || fail "Python $version of Debian's $suite does not run here"
echo "$stamp" >"$dir/.stamp"
echo "made $dir"
