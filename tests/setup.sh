#!/usr/bin/env bash
# Makes sure that what the build and the tests need is there. Quiet and quick when it is. What Debian can give
# is installed where this may be done without asking; everything else is named, and the exit status is 1.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

# What Debian has, as packages.
packages=()
has cc || packages+=(build-essential)
has make || packages+=(make)
has flock || packages+=(util-linux)
has setpriv || packages+=(util-linux)
if ! [[ -x /usr/bin/python3 ]]; then
    packages+=(python3 python3-venv)
elif ! /usr/bin/python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
    packages+=(python3-venv)
fi
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || packages+=(ca-certificates)
# What stands in front of ostler in tests/edge. The tests start and stop their own; no service has to run.
services=()
for service in nginx haproxy keepalived; do
    [[ -x /usr/sbin/$service ]] || services+=("$service")
done
packages+=("${services[@]}")
# The .rpm; the .deb needs nothing that Debian does not have anyway.
has rpmbuild || packages+=(rpm)
has curl || packages+=(curl)
has openssl || packages+=(openssl)
has unshare || packages+=(util-linux)
has ip || packages+=(iproute2)
# A terminal for `ostler top`, and a browser for the status page: the largest of all, half a minute.
has tmux || packages+=(tmux)
[[ -x /usr/bin/chromium ]] || packages+=(chromium)
# What deployments are tried through, and what reads their workflow.
[[ -x /usr/sbin/sshd ]] || services+=(ssh) packages+=(openssh-server)
has ssh || packages+=(openssh-client)
/usr/bin/python3 -c 'import yaml' >/dev/null 2>&1 || packages+=(python3-yaml)
# What `make bench` asks with.
has wrk || packages+=(wrk)
# A Debian of their own for the tests of systemd, which only root can boot.
if ((EUID == 0)); then
    has mmdebstrap || packages+=(mmdebstrap)
    has systemd-nspawn || packages+=(systemd-container)
    has nsenter || packages+=(util-linux)
fi
# What migrations are tried against in tests/migrate_db, and what a driver is built from.
[[ -x /usr/sbin/pgbouncer ]] || services+=(pgbouncer) packages+=(pgbouncer)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || services+=(postgresql) packages+=(postgresql)
[[ -x /usr/sbin/mariadbd ]] || services+=(mariadb) packages+=(mariadb-server)
has mariadb_config || packages+=(libmariadb-dev)
has pkg-config || packages+=(pkg-config)
compgen -G '/usr/include/python3*/Python.h' >/dev/null || packages+=(python3-dev)

if ((${#packages[@]})); then
    root=()
    ((EUID == 0)) || root=(sudo -n)
    if has apt-get && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; then
        echo "tests/setup.sh: installing ${packages[*]}"
        log=$(mktemp)
        policy=/usr/sbin/policy-rc.d
        [[ -e $policy ]] && policy=
        trap 'rm -f "$log"; [[ -z $policy ]] || "${root[@]}" rm -f "$policy"' EXIT
        # Debian starts a service as soon as it is installed, unless this says no.
        [[ -z $policy ]] || printf '#!/bin/sh\nexit 101\n' | "${root[@]}" install -m 755 /dev/stdin "$policy"
        if ! { "${root[@]}" apt-get update -qq &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
            >"$log" 2>&1 </dev/null; then
            cat "$log" >&2
            echo "tests/setup.sh: apt-get could not install ${packages[*]}" >&2
            exit 1
        fi
        # Nor at the next boot.
        if ((${#services[@]})) && [[ -d /run/systemd/system ]]; then
            "${root[@]}" systemctl --quiet disable "${services[@]}"
        fi
    else
        echo "tests/setup.sh: missing: ${packages[*]}" >&2
        echo "    as root: apt-get install ${packages[*]}" >&2
        exit 1
    fi
fi

# What only its own installer has.
missing=()
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml")
if has cargo && has rustc; then
    found=$(rustc --version | cut -d' ' -f2)
    oldest=$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)
    [[ $oldest == "$wanted" ]] || missing+=("Rust $wanted or later (found $found)")
    cargo fmt --version >/dev/null 2>&1 || missing+=("rustfmt (rustup component add rustfmt)")
    cargo clippy --version >/dev/null 2>&1 || missing+=("clippy (rustup component add clippy)")
else
    missing+=("Rust $wanted or later, with cargo")
fi
if ((${#missing[@]})); then
    printf 'tests/setup.sh: missing: %s\n' "${missing[@]}" >&2
    echo "    see https://rustup.rs" >&2
    exit 1
fi
