//! `gunicorn.conf.py` runs as under gunicorn: once for all workers of a generation, and nothing of it for one that
//! replaces another.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use ostler::observe::{AppStatus, ZygoteStatus};
use ostler::plan::Preload;

use crate::harness::{ASGI, AppFile, Gunicorn, Ostlerd, Proc, Site, WSGI, free_address, kill, ready, until};
use crate::load::{Load, get};

pub(crate) const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];

/// Notes each run of itself, and computes what nobody else could.
const COUNTED: &str = "
import os, secrets
with open(os.path.join(NOTES, 'runs'), 'a') as file:
    file.write('%d\\n' % os.getpid())
raw_env = ['DRAWN=' + secrets.token_hex(8)]
os.environ['SET'] = secrets.token_hex(8)
proc_name = secrets.token_hex(8)
";

/// What a worker sees of it: in its environment, in its settings, in the file's own module.
const SEEN: &str =
    "\" \".join([os.environ[\"DRAWN\"], os.environ[\"SET\"], sys.modules[\"__config__\"].proc_name])";

/// A folder where the app may write, and a conf that says where it is.
pub(crate) fn notes(site: &Site, conf: &str) -> String {
    let folder = site.path("notes");
    if !folder.exists() {
        fs::create_dir(&folder).expect("the site is ours");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("the site is ours");
    }
    format!("NOTES = {folder:?}\n{conf}")
}

pub(crate) fn shop(site: &Site, conf: &str) -> AppFile {
    let text = WSGI.replace("RELEASE = \"1\"", &format!("RELEASE = {SEEN}"));
    let app = site.app("shop").args(GTHREAD).tcp().workers(2).with("app.py", &text);
    app.with("gunicorn.conf.py", &notes(site, conf))
}

/// How often the file has run.
fn runs(site: &Site) -> usize {
    fs::read_to_string(site.path("notes/runs")).unwrap_or_default().lines().count()
}

/// What each of the workers answers, without its number.
#[track_caller]
fn answers_of_all(ostlerd: &Ostlerd<'_>, app: &AppFile) -> BTreeSet<String> {
    let pids: BTreeSet<String> = ostlerd.pids("shop").iter().map(|pid| pid.to_string()).collect();
    let (mut heard, mut answers) = (BTreeSet::new(), BTreeSet::new());
    until("each worker has answered", || {
        let text = get(&app.target(), "/").expect("it answers").text();
        let (pid, rest) = text.split_once(' ').expect("a number and the rest");
        answers.insert(rest.to_owned());
        heard.insert(pid.to_owned());
        pids.is_subset(&heard).then_some(())
    });
    answers
}

/// The one process that the workers are forked from.
#[track_caller]
pub(crate) fn zygote(ostlerd: &Ostlerd<'_>) -> ZygoteStatus {
    let one =
        |app: &AppStatus| app.zygotes.len() == 1 && app.zygotes[0].ready && app.zygotes[0].pid.is_some();
    ostlerd.wait("shop", "has one zygote", one).zygotes[0].clone()
}

#[track_caller]
pub(crate) fn kill_a_worker(ostlerd: &Ostlerd<'_>) -> i32 {
    let pid = ostlerd.pids("shop")[0];
    kill(pid, Signal::SIGKILL);
    ostlerd.wait("shop", "has another worker", |app| {
        ready(app).len() == app.workers_wanted as usize && ready(app).iter().all(|it| it.pid != Some(pid))
    });
    pid
}

/// Once when the settings are read for a new plan, once in the generation's process: and never more.
fn runs_once_for_each_generation(args: &[&str], version: Gunicorn) {
    let site = Site::new();
    let asgi = args.iter().any(|arg| arg.contains("asgi") || arg.contains("uvicorn"));
    let text = if asgi { ASGI } else { WSGI };
    let text = text.replace("import asyncio, os", "import asyncio, os, sys");
    let text = text.replace("RELEASE = \"1\"", &format!("RELEASE = {SEEN}"));
    let app = site.app("shop").gunicorn(version).args(args).workers(2).tcp().with("app.py", &text);
    let app = app.with("gunicorn.conf.py", &notes(&site, COUNTED)).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(runs(&site), 2);
    let first = answers_of_all(&ostlerd, &app);
    assert_eq!(first.len(), 1, "all workers see the same: {first:?}");
    let old = zygote(&ostlerd);
    assert_eq!(old.loads, Preload::Settings);

    kill_a_worker(&ostlerd);
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    ostlerd.wait("shop", "has a third", |app| ready(app).len() == 3);
    assert_eq!(answers_of_all(&ostlerd, &app), first, "and so do one that replaces another, and one more");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0);
    ostlerd.ostler(&["status"]).exits(0);
    let quieter = app.text().replace("[rollout]", "[limits]\nmax_age = \"7d\"\n[rollout]");
    fs::write(&app.file, &quieter).expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.ostler(&["reexec"]).exits(0);
    ostlerd.serving("shop");
    kill_a_worker(&ostlerd);
    ostlerd.crash();
    ostlerd = site.start();
    ostlerd.serving("shop");
    kill_a_worker(&ostlerd);
    assert_eq!(answers_of_all(&ostlerd, &app), first, "under the next ostlerd too");
    assert_eq!((zygote(&ostlerd).pid, runs(&site)), (old.pid, 2));

    // What is on the disk by now is for the next generation.
    app.release("gunicorn.conf.py", &notes(&site, &format!("{COUNTED}threads = 3\n")));
    kill_a_worker(&ostlerd);
    assert_eq!((answers_of_all(&ostlerd, &app), runs(&site)), (first.clone(), 2));
    let load = Load::on(&app.target()).keep_alive(true).start();
    let closing = Load::on(&app.target()).start();
    load.more(20);
    ostlerd.restart("shop");
    ostlerd.serving("shop");
    load.more(20);
    load.stop().lost_nothing();
    closing.stop().lost_nothing();
    let second = answers_of_all(&ostlerd, &app);
    assert_eq!((second.len(), runs(&site)), (1, 4));
    assert!(second.is_disjoint(&first));
    until("the old process is gone", || (!Proc(old.pid.expect("it had one")).lives()).then_some(()));
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

macro_rules! runs_once {
    ($($name:ident: $args:expr, $version:ident;)*) => {$(
        #[test]
        fn $name() {
            runs_once_for_each_generation($args, Gunicorn::$version);
        }
    )*};
}

runs_once! {
    the_file_of_sync_20_runs_once_for_each_generation: &["-k", "sync"], V20;
    the_file_of_gthread_23_runs_once_for_each_generation: GTHREAD, V23;
    the_file_of_gthread_27_runs_once_for_each_generation: GTHREAD, V27;
    the_file_of_gevent_20_runs_once_for_each_generation: &["-k", "gevent"], V20;
    the_file_of_gevent_27_runs_once_for_each_generation: &["-k", "gevent"], V27;
    the_file_of_tornado_20_runs_once_for_each_generation: &["-k", "tornado"], V20;
    the_file_of_tornado_27_runs_once_for_each_generation: &["-k", "tornado"], V27;
    the_file_of_asgi_27_runs_once_for_each_generation: &["-k", "asgi"], V27;
    the_file_of_uvicorn_23_runs_once_for_each_generation: &["-k", "uvicorn_worker.UvicornWorker"], V23;
    the_file_of_uvicorn_27_runs_once_for_each_generation: &["-k", "uvicorn_worker.UvicornWorker"], V27;
}

/// The first hook of gunicorn's master draws a number, in the environment and on the server; each hook notes what it sees.
const HOOKED: &str = "
def note(hook, server):
    with open(os.path.join(NOTES, 'hooks'), 'a') as file:
        file.write(' '.join([hook, os.environ['HOOKED'], server.drawn, os.environ['DRAWN']]) + '\\n')
def first(hook, server):
    os.environ['HOOKED'] = server.drawn = secrets.token_hex(8)
    note(hook, server)
def on_starting(server): first('on_starting', server)
def on_reload(server): first('on_reload', server)
def child_exit(server, worker): note('child_exit', server)
def post_fork(server, worker): os.environ['BY_SERVER'] = server.drawn
";

#[test]
fn what_the_first_hook_of_the_master_has_computed_is_seen_by_its_workers_and_by_the_other_hooks() {
    for preload in [false, true] {
        let site = Site::new();
        let seen = "\" \".join(os.environ[name] for name in (\"HOOKED\", \"BY_SERVER\", \"DRAWN\"))";
        let text = WSGI.replace("RELEASE = \"1\"", &format!("RELEASE = \"now\"\nSEEN = lambda: {seen}"));
        let text = text.replace("RELEASE)", "SEEN())");
        let app = shop(&site, &format!("{COUNTED}{HOOKED}")).key(&format!("preload = {preload}"));
        let app = app.with("app.py", &text).write();
        let ostlerd = site.start();
        let told = || fs::read_to_string(site.path("notes/hooks")).unwrap_or_default();
        let hooks = |name: &str| told().lines().filter(|line| line.starts_with(name)).count();
        for (generation, first) in ["on_starting", "on_reload"].into_iter().enumerate() {
            ostlerd.serving("shop");
            let answers = answers_of_all(&ostlerd, &app);
            assert_eq!(answers.len(), 1, "all workers see the same: {answers:?}");
            let answer = answers.first().expect("there is one").clone();
            let (hooked, rest) = answer.split_once(' ').expect("three words");
            let (by_server, drawn) = rest.split_once(' ').expect("three words");
            assert_eq!(hooked, by_server);
            assert!(told().contains(&format!("{first} {hooked} {hooked} {drawn}\n")), "{}", told());
            let ends = hooks("child_exit");
            kill_a_worker(&ostlerd);
            until("its end is told", || (hooks("child_exit") > ends).then_some(()));
            let last = told().lines().last().map(str::to_owned);
            assert_eq!(last, Some(format!("child_exit {hooked} {hooked} {drawn}")));
            assert_eq!(answers_of_all(&ostlerd, &app), answers, "and so does one that replaces another");
            assert_eq!((hooks("on_starting"), hooks("on_reload")), (1, generation));
            assert_eq!(runs(&site), 2 * (generation + 1));
            if generation == 0 {
                ostlerd.restart("shop");
            }
        }
    }
}

#[test]
fn a_process_that_takes_the_place_of_a_dead_one_runs_the_first_hook_again_for_its_workers() {
    let site = Site::new();
    let text = WSGI.replace("RELEASE = \"1\"", "RELEASE = os.environ[\"BY_SERVER\"]");
    let text = text.replace("RELEASE = os", "SEEN = lambda: os").replace("RELEASE)", "SEEN())");
    let app = shop(&site, &format!("{COUNTED}{HOOKED}")).with("app.py", &text).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = answers_of_all(&ostlerd, &app);
    let old = zygote(&ostlerd).pid.expect("it has one");
    kill(old, Signal::SIGKILL);
    kill_a_worker(&ostlerd);
    assert_ne!(zygote(&ostlerd).pid, Some(old));
    let told = fs::read_to_string(site.path("notes/hooks")).expect("hooks have run");
    assert_eq!(told.lines().filter(|line| line.starts_with("on_starting")).count(), 2, "{told}");
    let after = answers_of_all(&ostlerd, &app);
    assert_eq!(after.len(), 2, "one worker is of the first and one of the second: {after:?}");
    assert!(after.is_superset(&before), "{before:?}, {after:?}");
}

#[test]
fn a_first_hook_that_hangs_is_a_boot_that_hangs_and_the_old_workers_serve_on() {
    let site = Site::new();
    let app = shop(&site, COUNTED).table("[rollout]\nboot_timeout = \"20s\"\nmax_boot_failures = 1").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = answers_of_all(&ostlerd, &app);
    let hangs = format!("{COUNTED}import time\ndef on_reload(server):\n    time.sleep(600)\n");
    app.release("gunicorn.conf.py", &notes(&site, &hangs));
    let said = ostlerd.restart_fails("shop");
    assert!(said.to_string().contains("gunicorn.conf.py"), "it says where it stands: {said}");
    assert_eq!(answers_of_all(&ostlerd, &app), before);
}

#[test]
fn each_way_to_name_the_file_is_gunicorns_own() {
    for (name, args, env) in [
        ("gunicorn.conf.py", &[][..], None),
        ("other.py", &["-c", "other.py"], None),
        ("module_of_it.py", &["-c", "python:module_of_it"], None),
        ("by_env.py", &[], Some("-c by_env.py")),
    ] {
        let site = Site::new();
        let app = shop(&site, COUNTED).args(args).with(name, &notes(&site, COUNTED));
        if name != "gunicorn.conf.py" {
            fs::remove_file(app.directory.join("gunicorn.conf.py")).expect("the release is ours");
        }
        let text = WSGI.replace("RELEASE = \"1\"", "RELEASE = os.environ[\"DRAWN\"]");
        let app = app.with("app.py", &text);
        let app = if let Some(words) = env { app.env("GUNICORN_CMD_ARGS", words) } else { app };
        let app = app.env("PYTHONPATH", ".").write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        assert_eq!(zygote(&ostlerd).loads, Preload::Settings, "{name}");
        assert_eq!((answers_of_all(&ostlerd, &app).len(), runs(&site)), (1, 2), "{name}");
        let shown = ostlerd.ostler(&["status"]).exits(0);
        assert!(
            shown.out.contains("workers are forked from it, which has loaded gunicorn's settings"),
            "{shown}"
        );
    }
}

#[test]
fn without_such_a_file_each_worker_is_an_interpreter_of_its_own() {
    let site = Site::new();
    site.app("shop").args(GTHREAD).tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    assert!(ostlerd.serving("shop").zygotes.is_empty());
}

#[test]
fn with_preload_one_process_runs_the_file_and_loads_the_app() {
    let site = Site::new();
    let app = shop(&site, COUNTED).key("preload = true").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(zygote(&ostlerd).loads, Preload::App);
    kill_a_worker(&ostlerd);
    assert_eq!((answers_of_all(&ostlerd, &app).len(), runs(&site)), (1, 2));
}

#[test]
fn a_port_that_the_file_opens_is_open_once_and_fails_no_worker() {
    let site = Site::new();
    let address = free_address();
    let opens = format!(
        "{COUNTED}import socket\nOPEN = socket.socket()\nOPEN.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
         OPEN.bind(({:?}, {}))\nOPEN.listen()\n",
        address.ip().to_string(),
        address.port()
    );
    let app = shop(&site, &opens).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    kill_a_worker(&ostlerd);
    std::net::TcpStream::connect(address).expect("it is open");
    ostlerd.restart("shop");
    assert_eq!(answers_of_all(&ostlerd, &app).len(), 1);
    std::net::TcpStream::connect(address).expect("it is open");
}

#[test]
fn a_folder_that_the_file_wipes_keeps_what_living_workers_wrote_when_one_is_replaced() {
    let site = Site::new();
    let wipes = "import os, shutil\nFOLDER = os.path.join(NOTES, 'metrics')\nshutil.rmtree(FOLDER, ignore_errors=True)\n\
                 os.makedirs(FOLDER)\nraw_env = ['FOLDER=' + FOLDER]\n";
    let writes = format!("{WSGI}\nopen(os.path.join(os.environ['FOLDER'], str(os.getpid())), 'w').close()\n");
    shop(&site, wipes).with("app.py", &writes).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.pids("shop");
    kill_a_worker(&ostlerd);
    for pid in before.into_iter().chain(ostlerd.pids("shop")) {
        assert!(site.path("notes/metrics").join(pid.to_string()).exists(), "{pid}");
    }
}

#[test]
fn gevent_patches_in_the_worker_and_not_where_the_file_runs() {
    let looks = "import gevent.monkey\nraw_env = ['PATCHED=%s' % gevent.monkey.is_module_patched('socket')]\n\
                 def post_fork(server, worker):\n    import os\n    \
                 os.environ['AFTER'] = str(gevent.monkey.is_module_patched('socket'))\n";
    let text = "from gevent import monkey\nRELEASE = ' '.join([os.environ['PATCHED'], os.environ['AFTER'], \
                str(monkey.is_module_patched('socket'))])";
    let text = WSGI.replace("RELEASE = \"1\"", text);
    for version in [Gunicorn::V20, Gunicorn::V23, Gunicorn::V27] {
        let site = Site::new();
        let app = site.app("shop").gunicorn(version).args(&["-k", "gevent"]).tcp().workers(2);
        let app = app.with("app.py", &text).with("gunicorn.conf.py", looks).write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        assert_eq!(answers_of_all(&ostlerd, &app), ["False False True".to_owned()].into(), "{version:?}");
        assert!(!ostlerd.log().contains("MonkeyPatchWarning"), "{}", ostlerd.log());
    }
}

#[test]
fn a_file_that_patches_with_gevent_itself_is_as_under_gunicorn() {
    for (args, version) in
        [(&["-k", "gevent"][..], Gunicorn::V20), (&["-k", "gevent"], Gunicorn::V27), (GTHREAD, Gunicorn::V27)]
    {
        let site = Site::new();
        let text = "from gevent import monkey\nRELEASE = str(monkey.is_module_patched('socket'))";
        let app = site.app("shop").gunicorn(version).args(args).tcp().workers(2);
        let app = app.with("app.py", &WSGI.replace("RELEASE = \"1\"", text));
        let app = app.with("gunicorn.conf.py", "from gevent import monkey\nmonkey.patch_all()\n").write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let load = Load::on(&app.target()).start();
        load.more(20);
        ostlerd.restart("shop");
        load.more(20);
        load.stop().lost_nothing();
        kill_a_worker(&ostlerd);
        assert_eq!(answers_of_all(&ostlerd, &app), ["True".to_owned()].into(), "{args:?} {version:?}");
    }
}
