//! Each kind of file, as people have it.

use std::path::Path;

use super::{Overrides, Place, as_shop, has, keys, text};
use crate::config::parse_app;

const UNIT: &str = r#"
[Unit]
Description=gunicorn for the shop
Requires=gunicorn-shop.socket
After=network.target postgresql.service vault-agent.service

[Service]
Type=notify
User=shop
Group=www-data
RuntimeDirectory=gunicorn
WorkingDirectory=/srv/shop/current
Environment="DJANGO_SETTINGS_MODULE=shop.settings" 'NAME=two words' PORT=8001
Environment=PERCENT=100%%
EnvironmentFile=-/etc/shop.env
UMask=0027
LimitNOFILE=65536
OOMScoreAdjust=-200
MemoryMax=1G
ExecStartPre=/srv/shop/venv/bin/python manage.py migrate --noinput
ExecStart=/srv/shop/venv/bin/gunicorn \
          # not this
          --access-logfile - -w 3 \
          --bind "127.0.0.1:${PORT}" -b unix:/run/%N/shop.sock \
          -k gthread --threads=4 --pid /run/x.pid --preload \
          shop.wsgi:application
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=mixed
PrivateTmp=true
Colour=blue

[Install]
WantedBy=multi-user.target
"#;

#[test]
fn a_unit_becomes_the_apps_file() {
    let imported =
        Place::default().import("/etc/systemd/system/gunicorn-shop.service", UNIT, &Overrides::default());
    let text = text(imported);
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop/current\"",
            "python = \"/srv/shop/venv/bin/python\"",
            "app = \"shop.wsgi:application\"",
            "listen = [\"127.0.0.1:8001\", \"unix:/run/gunicorn-shop/shop.sock\"]",
            "user = \"shop\"",
            "group = \"www-data\"",
            "workers = 3",
            "args = [\"--access-logfile\", \"-\", \"-k\", \"gthread\", \"--threads\", \"4\"]",
            "env_files = [\"/etc/shop.env\"]",
            "umask = 0o027",
            "preload = true",
            "[env]",
            "DJANGO_SETTINGS_MODULE = \"shop.settings\"",
            "NAME = \"two words\"",
            "PERCENT = \"100%\"",
            "PORT = \"8001\"",
            "[limits]",
            "memory_max = \"1GiB\"",
            "nofile = 65536",
            "oom_score_adjust = -200",
        ]
    );
    let (todo, left) = text.split_once("# Left out").expect("both lists are there");
    has(
        todo,
        &[
            "# - After=vault-agent.service:",
            "# - EnvironmentFile=-/etc/shop.env:",
            "# - PrivateTmp=true:",
            "# - Colour=blue:",
            "# - RuntimeDirectory=gunicorn:",
        ],
    );
    has(
        left,
        &[
            "KillMode=mixed",
            "ExecReload=",
            "--pid /run/x.pid",
            "Type=notify",
            "manage.py migrate --noinput: ostlerd runs",
        ],
    );
    has(&text, &["# migrations: the app loads Django: Django's migrate runs before each rollout"]);
}

#[test]
fn the_name_is_the_units_without_the_word_gunicorn() {
    for (unit, name) in [
        ("gunicorn-shop.service", "shop"),
        ("shop-gunicorn.service", "shop"),
        ("shop.service", "shop"),
        ("gunicorn.service", "blog"),
        ("web.service", "blog"),
    ] {
        let lines = "[Service]\nUser=x\nWorkingDirectory=/srv/blog\nExecStart=/v/bin/gunicorn blog.wsgi\n";
        let imported =
            Place::default().import(&format!("/etc/systemd/system/{unit}"), lines, &Overrides::default());
        assert_eq!(imported.expect("it is a unit").name.as_str(), name, "{unit}");
    }
}

#[test]
fn drop_ins_and_what_systemctl_cat_prints_count() {
    let cat = format!(
        "# /etc/systemd/system/gunicorn-shop.service\n{UNIT}\n# /etc/systemd/system/gunicorn-shop.service.d/o.conf\n\
         [Service]\nExecStart=\nExecStart=-/srv/shop/venv/bin/gunicorn shop.asgi\nEnvironment=\n"
    );
    let imported = Place::default().import("standard input", &cat, &Overrides::default());
    let text = text(imported);
    has(&text, &["# shop: imported from", "app = \"shop.asgi\"", "listen = \"127.0.0.1:8000\""]);
    assert!(!text.contains("[env]"), "{text}");
}

#[test]
fn a_socket_unit_is_where_the_app_listens() {
    let unit = "[Service]\nUser=x\nWorkingDirectory=/srv/shop\nExecStart=/v/bin/gunicorn shop.wsgi\n";
    let socket = "[Socket]\nListenStream=/run/gunicorn.sock\nListenStream=8000\nSocketMode=0660\n[Install]\n";
    let files = [("/etc/systemd/system/shop.service", unit), ("/etc/systemd/system/shop.socket", socket)];
    let text = text(Place::default().import_all(&files, &Overrides::default()));
    has(
        &text,
        &["listen = [\"unix:/run/gunicorn.sock\", \"[::]:8000\"]", "socket_mode = 0o660", "# - shop.socket:"],
    );
}

#[test]
fn a_template_takes_its_instance_from_the_name_or_asks() {
    let unit = "[Service]\nUser=%i\nWorkingDirectory=/srv/%i\nExecStart=/v/bin/gunicorn %i.wsgi\n";
    let place = Place::default();
    let imported = place.import("/etc/systemd/system/gunicorn@shop.service", unit, &Overrides::default());
    has(&text(imported), &["user = \"shop\"", "directory = \"/srv/shop\"", "app = \"shop.wsgi\""]);
    let asked =
        place.import("/etc/systemd/system/gunicorn@.service", unit, &Overrides::default()).unwrap_err();
    has(&asked.to_string(), &["--set '%i=VALUE'"]);
    let said = Overrides { set: [("%i".to_owned(), "blog".to_owned())].into(), ..Overrides::default() };
    let imported = place.import("/etc/systemd/system/gunicorn@.service", unit, &said);
    has(&text(imported), &["user = \"blog\""]);
}

#[test]
fn what_no_file_says_is_asked_for_all_at_once() {
    let unit = "[Service]\nExecStart=gunicorn -w $WORKERS shop.wsgi\n";
    let error =
        Place::default().import("/etc/systemd/system/shop.service", unit, &Overrides::default()).unwrap_err();
    has(
        &error.to_string(),
        &[
            "--directory /srv",
            "--python /srv",
            "--user shop",
            "--set WORKERS=VALUE",
            "`workers` is \"$WORKERS\"",
        ],
    );
}

#[test]
fn a_procfile_runs_where_it_stands() {
    let procfile = "release: python manage.py migrate\nweb: gunicorn shop.wsgi --log-file -\nworker: celery -A shop worker\n";
    let place = Place::default()
        .with("/srv/shop/current/.venv/bin/python", "")
        .with("/srv/shop/current/.env", "")
        .with("/srv/shop/current/manage.py", "");
    let text = text(place.import("/srv/shop/current/Procfile", procfile, &as_shop()));
    has(
        &text,
        &[
            "directory = \"/srv/shop/current\"",
            "python = \"/srv/shop/current/.venv/bin/python\"",
            "app = \"shop.wsgi\"",
            "args = [\"--log-file\", \"-\"]",
            "env_files = [\"/srv/shop/current/.env\"]",
            "# - worker: celery -A shop worker:",
            "# - release: python manage.py migrate:",
            "# [migrate]",
        ],
    );
}

#[test]
fn a_section_of_supervisords_becomes_the_apps_file() {
    let section = r#"
[supervisord]
logfile=/var/log/supervisord.log ; the main log
[program:shop]
command=/srv/shop/venv/bin/gunicorn shop.wsgi:application --workers=%(ENV_WORKERS)s
    --bind=unix:/srv/shop/run/%(program_name)s.sock ; as nginx has it
directory=/srv/shop/current
user=shop
environment=LANG="de_DE.UTF-8",DJANGO_SETTINGS_MODULE=shop.settings,MARKS="a;b#c",PATH="/srv/shop/venv/bin:%(ENV_PATH)s"
autostart=true
stopasgroup=true
stdout_logfile=/var/log/shop.log # rotated
redirect_stderr=true
[program:celery]
command=/srv/shop/venv/bin/celery -A shop worker
"#;
    let given = Overrides { set: [("WORKERS".to_owned(), "5".to_owned())].into(), ..Overrides::default() };
    let text = text(Place::default().import("/etc/supervisor/conf.d/shop.conf", section, &given));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop/current\"",
            "python = \"/srv/shop/venv/bin/python\"",
            "app = \"shop.wsgi:application\"",
            "listen = \"unix:/srv/shop/run/shop.sock\"",
            "user = \"shop\"",
            "workers = 5",
            "log_file = \"/var/log/shop.log\"",
            "[env]",
            "DJANGO_SETTINGS_MODULE = \"shop.settings\"",
            "LANG = \"de_DE.UTF-8\"",
            "MARKS = \"a;b#c\"",
            "PATH = \"/srv/shop/venv/bin:/usr/local/bin:/usr/bin:/bin\"",
        ]
    );
    has(&text, &["autostart=true", "stopasgroup=true"]);
}

#[test]
fn of_several_programs_one_is_named() {
    let program = |name: &str| {
        format!("[program:{name}]\ncommand=/v/bin/gunicorn {name}.wsgi\ndirectory=/srv\nuser={name}\n")
    };
    let both = program("shop") + &program("blog");
    let place = Place::default();
    let error = place.import("/etc/supervisord.conf", &both, &Overrides::default()).unwrap_err();
    has(&error.to_string(), &["2 programs", "shop, blog", "--name"]);
    let blog = Overrides { name: Some("blog".to_owned()), ..Overrides::default() };
    has(&text(place.import("/etc/supervisord.conf", &both, &blog)), &["app = \"blog.wsgi\""]);
}

/// The script that a much-read guide to Django and supervisord has its readers write.
const START: &str = r#"#!/bin/bash

NAME="hello_app"                                  # Name of the application
DJANGODIR=/webapps/hello_django/hello             # Django project directory
SOCKFILE=/webapps/hello_django/run/gunicorn.sock  # we will communicate using this unix socket
USER=hello
NUM_WORKERS=3
DJANGO_SETTINGS_MODULE=hello.settings
DJANGO_WSGI_MODULE=hello.wsgi

echo "Starting $NAME as `whoami`"

# Activate the virtual environment
cd $DJANGODIR
source ../bin/activate
export DJANGO_SETTINGS_MODULE=$DJANGO_SETTINGS_MODULE
export PYTHONPATH=$DJANGODIR:$PYTHONPATH

# Create the run directory if it doesn't exist
RUNDIR=$(dirname $SOCKFILE)
test -d $RUNDIR || mkdir -p $RUNDIR

exec ../bin/gunicorn ${DJANGO_WSGI_MODULE}:application \
  --name $NAME \
  --workers $NUM_WORKERS \
  --user=$USER --group=$GROUP \
  --bind=unix:$SOCKFILE \
  --log-level=debug \
  --log-file=-
"#;

#[test]
fn a_start_script_is_followed_step_by_step() {
    let supervisor = "[program:hello]\ncommand = /webapps/hello_django/bin/gunicorn_start\n";
    let place = Place::default().with("/webapps/hello_django/bin/gunicorn_start", START);
    let given =
        Overrides { set: [("GROUP".to_owned(), "webapps".to_owned())].into(), ..Overrides::default() };
    let text = text(place.import("/etc/supervisor/conf.d/hello.conf", supervisor, &given));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/webapps/hello_django/hello\"",
            "python = \"/webapps/hello_django/hello/../bin/python\"",
            "app = \"hello.wsgi:application\"",
            "listen = \"unix:/webapps/hello_django/run/gunicorn.sock\"",
            "user = \"hello\"",
            "group = \"webapps\"",
            "workers = 3",
            "args = [\"-n\", \"hello_app\", \"--log-level\", \"debug\", \"--log-file\", \"-\"]",
            "[env]",
            "DJANGO_SETTINGS_MODULE = \"hello.settings\"",
            "PYTHONPATH = \"/webapps/hello_django/hello\"",
        ]
    );
    let asked =
        place.import("/etc/supervisor/conf.d/hello.conf", supervisor, &Overrides::default()).unwrap_err();
    has(&asked.to_string(), &["--set GROUP=VALUE"]);
}

#[test]
fn gunicorns_own_file_stays_and_what_has_no_effect_in_it_is_named() {
    let conf = r#""""
workers = 99 in a text counts for nothing
"""
import multiprocessing
bind = "0.0.0.0:9000"
workers = multiprocessing.cpu_count() * 2 + 1
user = "shop"
wsgi_app = 'shop.wsgi'
pidfile = "/run/shop.pid"
preload_app = True
def pre_fork(server, worker):
    daemon = True
"#;
    let unit = "[Service]\nWorkingDirectory=/srv/shop\nExecStart=/v/bin/gunicorn -c conf/gunicorn.conf.py\n";
    let place = Place::default().with("/srv/shop/conf/gunicorn.conf.py", conf);
    let text = text(place.import("/etc/systemd/system/shop.service", unit, &Overrides::default()));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop\"",
            "python = \"/v/bin/python\"",
            "app = \"shop.wsgi\"",
            "user = \"shop\"",
            "args = [\"-c\", \"conf/gunicorn.conf.py\"]",
        ]
    );
    has(&text, &["# listen: gunicorn's own `bind`", "pidfile in gunicorn.conf.py", "pre_fork in"]);
    // gunicorn goes on reading it, and ostlerd follows it.
    assert!(!text.contains("daemon") && !text.contains("preload"), "{text}");
}

#[test]
fn gunicorns_own_file_alone_is_enough_where_the_rest_is_said() {
    let given = Overrides {
        directory: Some("/srv/shop".to_owned()),
        python: Some("/v/bin/python".to_owned()),
        user: Some("shop".to_owned()),
        ..Overrides::default()
    };
    let conf = "wsgi_app = \"shop.wsgi\"\nbind = [\"127.0.0.1:8000\"]\n";
    let text = text(Place::default().import("/srv/shop/gunicorn.conf.py", conf, &given));
    has(&text, &["app = \"shop.wsgi\"", "args = [\"-c\", \"gunicorn.conf.py\"]"]);
}

#[test]
fn what_is_none_of_them_is_refused_with_its_name() {
    for (file, content, part) in [
        ("/etc/fstab", "tmpfs /tmp tmpfs", "no systemd unit"),
        ("/srv/Procfile", "worker: celery", "no line of it starts gunicorn"),
        ("/etc/x.service", "[Service]\nExecStart=/usr/bin/nginx\n", "\"/usr/bin/nginx\""),
        ("/etc/x.service", "[Service]\nUser=x\n", "no ExecStart="),
        ("/etc/x.service", "[Service]\nExecStart=/v/gunicorn 'shop.wsgi\n", "a quote is not closed"),
        ("/etc/x.socket", "[Socket]\nListenStream=80\n", "give the .service unit"),
        ("/etc/x.service", "[Service]\nExecStart=/srv/start.sh\n", "\"/srv/start.sh\""),
        ("/etc/x.service", "[Service]\nExecStart=/bin/sh /srv/start.sh\n", "cannot be read"),
    ] {
        let error = Place::default().import(file, content, &as_shop()).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(file), "{content:?}: {error}");
    }
}

#[test]
fn an_app_that_ostlerd_would_refuse_is_an_error_and_no_file() {
    let unit = "[Service]\nUser=a:b\nWorkingDirectory=/srv\nExecStart=/v/bin/gunicorn shop.wsgi\n";
    let error =
        Place::default().import("/etc/systemd/system/shop.service", unit, &Overrides::default()).unwrap_err();
    has(&error.to_string(), &["makes no app that could run", "user", "a:b"]);
}

#[test]
fn a_character_that_nobody_sees_is_written_as_an_escape_and_stays_what_it_is() {
    let folder = "/srv/sh\u{ad}op\u{fe0f}";
    let unit =
        format!("[Service]\nUser=shop\nWorkingDirectory={folder}\nExecStart=/v/bin/gunicorn shop.wsgi\n");
    let imported = Place::default().import("/etc/systemd/system/shop.service", &unit, &Overrides::default());
    let text = text(imported);
    has(&text, &[r#"directory = "/srv/sh\U000000ADop\U0000FE0F""#]);
    // As a person gets it who has it printed.
    let printed = crate::cli::screen::plain(&text);
    let app = parse_app(&"shop".parse().unwrap(), &printed, Path::new("/etc/ostler/apps.d/shop.toml"), true);
    assert_eq!(app.unwrap().directory, Path::new(folder));
}

#[test]
fn a_variable_of_supervisord_that_is_no_name_stays_in_one_piece() {
    let section = "[program:shop]\ndirectory=/srv/shop\ncommand=/v/bin/gunicorn shop.wsgi -w %(ENV_A b)s\n";
    let error = Place::default().import("/etc/supervisor/conf.d/shop.conf", section, &as_shop()).unwrap_err();
    has(&error.to_string(), &["--set A_b=VALUE"]);
}
