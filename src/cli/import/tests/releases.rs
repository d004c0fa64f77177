//! Releases behind a link: what is imported belongs to whichever release the link leads to. And what ostlerd cannot run.

use super::{Overrides, Place, as_shop, has, keys, line, text};

/// contrib/netbox.service of NetBox 4.
const NETBOX: &str = "[Unit]\nDescription=NetBox WSGI Service\nAfter=network-online.target\nWants=network-online.target\n\n\
    [Service]\nType=simple\n\nUser=netbox\nGroup=netbox\nPIDFile=/var/tmp/netbox.pid\nWorkingDirectory=/opt/netbox\n\n\
    ExecStart=/opt/netbox/venv/bin/gunicorn --pid /var/tmp/netbox.pid --pythonpath /opt/netbox/netbox \
    --config /opt/netbox/gunicorn.py netbox.wsgi\n\nRestart=on-failure\nRestartSec=30\nPrivateTmp=true\n";

/// contrib/gunicorn.py of NetBox 4.
const NETBOX_CONF: &str = "bind = '127.0.0.1:8001'\nworkers = 5\nthreads = 3\ntimeout = 120\nmax_requests = 5000\n\
    max_requests_jitter = 500\n";

/// /opt/netbox is a link to netbox-4.4.1, where its upgrade.sh has made the environment.
fn netbox() -> Place {
    Place::default()
        .with("/opt/netbox/gunicorn.py", NETBOX_CONF)
        .with("/opt/netbox/netbox/manage.py", "")
        .with("/opt/netbox/venv/pyvenv.cfg", "")
        .with("/opt/netbox/venv/bin/python", "")
        .with("/opt/netbox/venv/bin/gunicorn", "#!/opt/netbox-4.4.1/venv/bin/python3\n")
}

#[test]
fn netbox_stays_with_the_release_that_its_link_leads_to() {
    let text = text(netbox().import("/etc/systemd/system/netbox.service", NETBOX, &Overrides::default()));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/opt/netbox\"",
            "python = \"/opt/netbox/venv/bin/python\"",
            "app = \"netbox.wsgi\"",
            "user = \"netbox\"",
            "group = \"netbox\"",
            "args = [\"--pythonpath\", \"netbox\", \"-c\", \"gunicorn.py\"]",
        ]
    );
    has(&text, &["# listen: gunicorn's own `bind` decides"]);
}

#[test]
fn what_is_said_of_migrations_is_what_ostlerd_does() {
    let unit = "/etc/systemd/system/netbox.service";
    let ran = NETBOX.replace(
        "ExecStart=",
        "ExecStartPre=/opt/netbox/venv/bin/python netbox/manage.py migrate\nExecStart=",
    );
    const RUNS: &str = "Django's migrate runs before each rollout";
    const WSGI: &str = "os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"netbox.settings\")";
    let bare = || Place::default().with("/opt/netbox/gunicorn.py", NETBOX_CONF);
    let python =
        |place: Place| place.with("/opt/netbox/venv/pyvenv.cfg", "").with("/opt/netbox/venv/bin/python", "");
    for (place, words, is_known) in [
        (netbox().with("/opt/netbox/manage.py", ""), "# migrations: directory has a manage.py:", true),
        (netbox(), "# migrations: the app loads Django:", true),
        (
            python(bare()).with("/opt/netbox/netbox/netbox/wsgi.py", WSGI),
            "# migrations: the app loads Django:",
            true,
        ),
        (
            python(bare()).with("/opt/netbox/venv/lib/python3.12/site-packages/netbox/wsgi.py", WSGI),
            "# migrations: the app loads Django:",
            true,
        ),
        (python(bare()), "before each rollout if the app loads Django; `ostler check`", false),
        (
            python(bare()).with("/opt/netbox/netbox/netbox/wsgi.py", "app = 1"),
            "if the app loads Django;",
            false,
        ),
    ] {
        let text = text(place.import(unit, &ran, &Overrides::default()));
        has(&text, &[words, RUNS]);
        let (todo, left) = text.split_once("# Left out").expect("something is left out");
        let line = "netbox/manage.py migrate: ostlerd runs";
        assert_eq!(left.contains(line), is_known, "{text}");
        assert_eq!(todo.contains(line), !is_known, "{text}");
    }
    assert!(
        !super::text(netbox().import(unit, NETBOX, &Overrides::default())).contains("runs no migrations")
    );
}

#[test]
fn a_package_that_migrates_by_a_command_of_its_own_is_known_too() {
    for (command, is_migrate) in [
        ("mailman-web migrate", true),
        ("python -m pretix migrate --noinput", true),
        ("flask db migrate", false),
        ("./migrate all", false),
    ] {
        let text = text(line(&format!("{command} && gunicorn shop.wsgi")));
        assert_eq!(text.contains("ostlerd runs Django's migrations itself"), is_migrate, "{text}");
    }
}

#[test]
fn what_is_read_from_below_the_release_is_named_from_there() {
    for (arguments, kept) in [
        ("-c /srv/shop/conf/g.py", "\"-c\", \"conf/g.py\""),
        ("-c file:/srv/shop/g.py", "\"-c\", \"file:g.py\""),
        ("-c python:shop.gunicorn", "\"-c\", \"python:shop.gunicorn\""),
        ("-c /etc/shop/g.py", "\"-c\", \"/etc/shop/g.py\""),
        ("-c /srv/shopping/g.py", "\"-c\", \"/srv/shopping/g.py\""),
        ("--pythonpath /srv/shop/lib,/srv/shop,/opt/lib", "\"lib,.,/opt/lib\""),
        ("--log-config /srv/shop/log.ini", "\"--log-config\", \"log.ini\""),
        ("--access-logfile /srv/shop/access.log", "\"--access-logfile\", \"/srv/shop/access.log\""),
    ] {
        let text = text(line(&format!("gunicorn {arguments} shop.wsgi")));
        assert!(text.contains(kept), "{arguments}\n{text}");
    }
}

#[test]
fn the_interpreter_of_a_script_outside_of_an_environment_is_the_one_that_it_names() {
    let place = Place::default()
        .with("/opt/tools/bin/python", "")
        .with("/opt/tools/bin/gunicorn", "#!/opt/py/bin/python3.12\n");
    let unit = "[Service]\nUser=x\nWorkingDirectory=/srv\nExecStart=/opt/tools/bin/gunicorn shop.wsgi\n";
    let text = text(place.import("/etc/systemd/system/shop.service", unit, &Overrides::default()));
    has(&text, &["python = \"/opt/py/bin/python3.12\""]);
}

#[test]
fn gunicorns_own_file_may_have_any_name() {
    let place = Place::default().with("/srv/shop/venv/bin/python", "");
    let conf = "bind = '127.0.0.1:8001'\nworkers = 3\nwsgi_app = 'shop.wsgi'\nreload = True\n";
    let text = text(place.import(
        "/srv/shop/gunicorn.conf",
        conf,
        &Overrides { directory: Some("/srv/shop".into()), ..as_shop() },
    ));
    has(&text, &["app = \"shop.wsgi\"", "args = [\"-c\", \"gunicorn.conf\"]", "reload in gunicorn.conf"]);
    let files = [
        ("/srv/shop/Procfile", "web: gunicorn -c gunicorn.conf shop.wsgi"),
        ("/srv/shop/gunicorn.conf", conf),
    ];
    let text = super::text(place.import_all(&files, &as_shop()));
    has(&text, &["args = [\"-c\", \"gunicorn.conf\"]", "reload in gunicorn.conf"]);
}

#[test]
fn a_program_that_starts_its_own_server_is_named_and_imported_with_the_app_that_it_serves() {
    for (command, known) in [
        ("/srv/shop/venv/bin/pulpcore-api --bind 127.0.0.1:24817", "pulpcore.app.wsgi:application"),
        ("mlflow server --host 0.0.0.0", "mlflow.server:app"),
        ("uvicorn shop.asgi:app --port 8000", "uvicorn_worker.UvicornWorker"),
    ] {
        let error = line(command).expect_err("it is no gunicorn").to_string();
        has(&error, &["starts its server by itself", "--app", known]);
        let unit = format!("[Service]\nUser=x\nWorkingDirectory=/srv/shop\nExecStart={command}\n");
        let place = Place::default().with("/srv/shop/venv/bin/python", "");
        let import = |given: &Overrides| place.import("/etc/systemd/system/shop.service", &unit, given);
        let error = import(&Overrides::default()).expect_err("it is no gunicorn").to_string();
        has(&error, &["starts its server by itself", "--app", known]);
        let given = Overrides { app: Some("a.wsgi:app".into()), ..Overrides::default() };
        has(
            &text(import(&given)),
            &["app = \"a.wsgi:app\"", "/srv/shop/venv/bin/python", "# To do:", command],
        );
    }
}

#[test]
fn a_worker_class_that_ostlerd_does_not_run_is_named() {
    let text = text(line("gunicorn -k eventlet --threads 2 shop.wsgi"));
    has(
        &text,
        &[
            "args = [\"--threads\", \"2\"]",
            "# To do:",
            "--worker-class eventlet: ostlerd does not run",
            "use gevent",
        ],
    );
    let place = Place::default().with("/srv/shop/venv/bin/python", "");
    let files = [
        ("/srv/shop/Procfile", "web: gunicorn shop.wsgi"),
        ("/srv/shop/gunicorn.conf.py", "worker_class = 'aiohttp.GunicornWebWorker'\n"),
    ];
    let text = super::text(place.import_all(&files, &as_shop()));
    has(&text, &["# To do:", "worker_class in gunicorn.conf.py: ostlerd does not run"]);
}
