//! gunicorn's own settings: its file, its environment variable, its arguments, its hooks.

use std::fs;

use ostler::supervise::AppState;

use crate::harness::{AppFile, Gunicorn, Proc, Site, WSGI, free_address, until};
use crate::load::{Target, answers, get};

fn shop(site: &Site) -> AppFile {
    site.app("shop").with("app.py", WSGI)
}

fn environment(target: &Target) -> serde_json::Value {
    serde_json::from_str(&get(target, "/env").expect("it serves").text()).expect("JSON")
}

#[test]
fn gunicorn_conf_py_decides_where_the_toml_is_silent() {
    let site = Site::new();
    let address = Target::Tcp(free_address());
    let conf = format!(
        "bind = {:?}\nworkers = 3\nworker_class = 'gthread'\nthreads = 2\nraw_env = ['FROM_CONF=yes']\n",
        address.to_string()
    );
    shop(&site).with("gunicorn.conf.py", &conf).write();
    let ostlerd = site.start();
    let app = ostlerd.serving("shop");
    assert_eq!(app.workers_wanted, 3);
    assert!(app.runs.as_ref().is_some_and(|it| it.contains("gthread")), "{:?}", app.runs);
    assert_eq!(app.listeners, [address.to_string()]);
    assert_eq!(environment(&address)["FROM_CONF"], "yes");
}

#[test]
fn the_toml_wins_over_gunicorn_conf_py() {
    let site = Site::new();
    let elsewhere = Target::Tcp(free_address());
    let conf = format!("bind = {:?}\nworkers = 3\n", elsewhere.to_string());
    let app = shop(&site).tcp().workers(1).with("gunicorn.conf.py", &conf).write();
    let ostlerd = site.start();
    assert_eq!(ostlerd.serving("shop").workers_wanted, 1);
    get(&app.target(), "/").expect("it serves where the TOML says");
    get(&elsewhere, "/").expect_err("and not where gunicorn.conf.py says");
}

#[test]
fn gunicorn_cmd_args_are_honoured() {
    let site = Site::new();
    let app = shop(&site).tcp().env("GUNICORN_CMD_ARGS", "--workers=2 --worker-class=gthread").write();
    let ostlerd = site.start();
    let status = ostlerd.serving("shop");
    assert_eq!(status.workers_wanted, 2);
    assert!(status.runs.as_ref().is_some_and(|it| it.contains("gthread")), "{:?}", status.runs);
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn pythonpath_is_set_before_the_app_is_imported() {
    let site = Site::new();
    fs::create_dir(site.path("lib")).expect("the site is ours");
    fs::write(site.path("lib/borrowed.py"), "WORD = 'borrowed'\n").expect("the site is ours");
    let text = format!("import borrowed\n{WSGI}\nRELEASE = borrowed.WORD\n");
    let lib = site.path("lib").to_string_lossy().into_owned();
    let app = shop(&site).tcp().workers(1).args(&["--pythonpath", &lib]).with("app.py", &text).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(get(&app.target(), "/").expect("it serves").text().ends_with(" borrowed"));
}

#[test]
fn an_app_factory_is_called() {
    let site = Site::new();
    let text = format!(
        "{WSGI}\ndef create(word):\n    global RELEASE\n    RELEASE = word\n    return application\n"
    );
    let app = shop(&site).tcp().workers(1).entry("app:create('made')").with("app.py", &text).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert!(get(&app.target(), "/").expect("it serves").text().ends_with(" made"));
}

#[test]
fn gunicorns_timeout_is_the_hang_timeout() {
    let site = Site::new();
    let app = shop(&site).tcp().workers(2).with("gunicorn.conf.py", "timeout = 2\n").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut connection =
        crate::load::Connection::open(&app.target(), std::time::Duration::from_secs(60)).expect("it listens");
    connection.send(b"GET /sleep?600 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // The worker class may still say that it failed, with a 500.
    assert!(connection.response().map_or(500, |it| it.status) == 500, "the request ends with its worker");
    ostlerd.logs("no heartbeat within the timeout");
    ostlerd.serving("shop");
}

#[test]
fn the_hooks_of_a_worker_run_in_it() {
    let site = Site::new();
    let notes = site.path("notes");
    fs::create_dir(&notes).expect("the site is ours");
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&notes, everyone).expect("the site is ours");
    let conf = format!(
        "import os\n\
         def note(name):\n    open(os.path.join({notes:?}, '%s-%d' % (name, os.getpid())), 'w').close()\n\
         def post_fork(server, worker): note('post_fork')\n\
         def post_worker_init(worker): note('post_worker_init')\n\
         def worker_exit(server, worker): note('worker_exit')\n"
    );
    shop(&site).tcp().workers(1).with("gunicorn.conf.py", &conf).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let pid = ostlerd.pids("shop")[0];
    for hook in ["post_fork", "post_worker_init"] {
        assert!(notes.join(format!("{hook}-{pid}")).exists(), "{hook} did not run");
    }
    ostlerd.restart("shop");
    until("worker_exit has run", || notes.join(format!("worker_exit-{pid}")).exists().then_some(()));
    until("the worker is gone", || (!Proc(pid).lives()).then_some(()));
}

#[test]
fn a_generation_stays_with_its_release_when_the_link_moves_on() {
    let site = Site::new();
    let app = shop(&site).tcp().workers(1);
    let second = site.path("releases/second");
    fs::create_dir(&second).expect("the site is ours");
    fs::write(second.join("app.py"), format!("{WSGI}\nRELEASE = '2'\n")).expect("the site is ours");
    let current = site.path("current");
    std::os::unix::fs::symlink(&app.directory, &current).expect("the site is ours");
    let target = app.target();
    let text = app.text().replace(&format!("{:?}", app.directory), &format!("{current:?}"));
    fs::write(&app.file, text).expect("the site is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");

    fs::remove_file(&current).expect("the link is ours");
    std::os::unix::fs::symlink(&second, &current).expect("the site is ours");
    let pid = ostlerd.pids("shop")[0];
    crate::harness::kill(pid, nix::sys::signal::Signal::SIGKILL);
    ostlerd.wait("shop", "has replaced its worker", |app| {
        app.state == AppState::Serving && app.workers.iter().all(|it| it.pid != Some(pid))
    });
    assert!(get(&target, "/").expect("it serves").text().ends_with(" 1"), "a new worker of the old release");
    ostlerd.restart("shop");
    answers(&target, "2");
}

#[test]
fn uvicorn_settings_on_an_old_gunicorn_are_honoured() {
    let site = Site::new();
    let app = site.app("shop").gunicorn(Gunicorn::V20).tcp().with("app.py", crate::harness::ASGI);
    let conf = "worker_class = 'uvicorn_worker.UvicornWorker'\nworkers = 2\n";
    let app = app.with("gunicorn.conf.py", conf).write();
    let ostlerd = site.start();
    let status = ostlerd.serving("shop");
    assert!(status.runs.as_ref().is_some_and(|it| it.contains("uvicorn")), "{:?}", status.runs);
    get(&app.target(), "/").expect("it serves");
}

#[test]
fn a_limit_of_the_whole_app_that_cannot_be_kept_is_named_and_the_app_serves() {
    let site = Site::new();
    shop(&site).tcp().table("[limits]\nmemory_max = \"900MiB\"\ntasks_max = 500").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs("shop: not in force: memory_max, tasks_max of [limits]: that takes scopes of systemd's");
}
