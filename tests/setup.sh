#!/usr/bin/env bash
# Makes sure that what is to be done here can be done. Quiet and quick when it can. What Debian can give is installed where
# this may be done without asking; everything else is named, and the exit status is 1.
#
#   tests/setup.sh [PURPOSE]          build, packages, lint, demo, test or bench; without one, test
#   tests/setup.sh --list PURPOSE     what it installs on a Debian that has none of it
#
# Other Pythons than the machine's are not installed: tests/python.sh takes 3.9, 3.11 and 3.13 out of the packages of Debian
# 11, 12 and 13, into a folder beside the virtual environments. Python 3.8, the oldest that ostler supports, is in no Debian
# and no registry that tests may reach; 3.9 stands for it.
set -euo pipefail

list=
if [[ ${1:-} == --list ]]; then
    list=1
    shift
fi
purpose=${1:-test}
[[ " build packages lint demo test bench " == *" $purpose "* ]] || {
    echo "tests/setup.sh: $purpose is no purpose: build, packages, lint, demo, test or bench" >&2
    exit 64
}

has() { command -v "$1" >/dev/null 2>&1; }
is_for() { [[ " $* " == *" $purpose "* ]]; } # PURPOSE...

# What Debian has, as packages, and those of them that bring a service.
packages=()
services=()
need() { # WHAT PACKAGE...: unless WHAT is there, a program by its name or a file by its path, which may have a *
    local what=$1 package
    shift
    if [[ -z $list ]]; then
        case $what in
        */*) compgen -G "$what" >/dev/null && return ;;
        *) has "$what" && return ;;
        esac
    fi
    for package in "$@"; do
        [[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
    done
}
serve() { # WHAT SERVICE PACKAGE: the tests start and stop their own; no service has to run
    local before=${#packages[@]}
    need "$1" "$3"
    ((${#packages[@]} == before)) || services+=("$2")
}

need cc build-essential
need make make
# The .rpm; the .deb needs nothing that Debian does not have anyway.
! is_for packages test bench || need rpmbuild rpm
if is_for lint demo test bench; then
    need /usr/bin/python3 python3
    need '/usr/lib/python3*/ensurepip/__init__.py' python3-venv
    need /etc/ssl/certs/ca-certificates.crt ca-certificates
fi
! is_for lint || need shellcheck shellcheck
if is_for test bench; then
    for program in flock setpriv unshare nsenter; do
        need $program util-linux
    done
    need curl curl
    # The pages of the handbook, as they are read, and what is wrong with them.
    need man man-db
    need mandoc mandoc
    need openssl openssl
    need ip iproute2
    # What makes a Python run from any folder.
    need patchelf patchelf
    # What stands in front of ostler in tests/edge.
    serve /usr/sbin/nginx nginx nginx
    serve /usr/sbin/haproxy haproxy haproxy
    serve /usr/sbin/keepalived keepalived keepalived
    # Images: what pulls them, a registry, and what makes them.
    need skopeo skopeo
    need umoci umoci
    need buildah buildah
    # Runs a container without a daemon.
    need runc runc
    need /usr/sbin/getcap libcap2-bin
    serve docker-registry docker-registry docker-registry
    # A terminal for `ostler top`, and a browser for the status page: the largest of all, half a minute.
    need tmux tmux
    need /usr/bin/chromium chromium
    # What deployments are tried through, and what reads their workflow.
    serve /usr/sbin/sshd ssh openssh-server
    need ssh openssh-client
    need /usr/lib/python3/dist-packages/yaml python3-yaml
    # What migrations are tried against in tests/migrate_db, and what a driver is built from.
    serve /usr/sbin/pgbouncer pgbouncer pgbouncer
    serve '/usr/lib/postgresql/*/bin/postgres' postgresql postgresql
    serve /usr/sbin/mariadbd mariadb mariadb-server
    need mariadb_config libmariadb-dev
    need pkg-config pkg-config
    # A Debian of their own for the tests of systemd, which only root can boot.
    if ((EUID == 0)); then
        need mmdebstrap mmdebstrap
        need systemd-nspawn systemd-container
    fi
fi
if is_for bench; then
    # What it asks with, and what uWSGI is built from.
    need wrk wrk
    need '/usr/include/python3*/Python.h' python3-dev
fi

if [[ -n $list ]]; then
    printf '%s\n' "${packages[@]}"
    exit 0
fi
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
    if is_for lint; then
        cargo fmt --version >/dev/null 2>&1 || missing+=("rustfmt (rustup component add rustfmt)")
        cargo clippy --version >/dev/null 2>&1 || missing+=("clippy (rustup component add clippy)")
    fi
else
    missing+=("Rust $wanted or later, with cargo")
fi
if ((${#missing[@]})); then
    printf 'tests/setup.sh: missing: %s\n' "${missing[@]}" >&2
    echo "    see https://rustup.rs" >&2
    exit 1
fi
