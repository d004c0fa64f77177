//! `preload`: workers are forked from a process that has loaded the app, and are in all else as they are without it.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;
use ostler::observe::{AppStatus, ZygoteStatus};
use ostler::supervise::GenerationId;

use crate::harness::{ASGI, AppFile, Gunicorn, Ostlerd, Proc, Site, WSGI, kill, ready, until};
use crate::health::{ask, listens, raw};
use crate::load::{Load, answers, get};

const GTHREAD: &[&str] = &["-k", "gthread", "--threads", "4"];
const UVICORN: &[&str] = &["-k", "uvicorn_worker.UvicornWorker"];

fn shop(site: &Site) -> AppFile {
    site.app("shop").args(GTHREAD).tcp().workers(2).key("preload = true").with("app.py", WSGI)
}

/// The release that says so.
fn release(number: u32) -> String {
    WSGI.replace("RELEASE = \"1\"", &format!("RELEASE = \"{number}\""))
}

/// The one zygote that the app has, which forks.
#[track_caller]
fn zygote(ostlerd: &Ostlerd<'_>) -> ZygoteStatus {
    let one =
        |app: &AppStatus| app.zygotes.len() == 1 && app.zygotes[0].ready && app.zygotes[0].pid.is_some();
    ostlerd.wait("shop", "has one zygote", one).zygotes[0].clone()
}

fn pid_of(zygote: &ZygoteStatus) -> i32 {
    zygote.pid.expect("it has a process")
}

/// Kills a worker and waits until the app is whole again.
#[track_caller]
fn kill_a_worker(ostlerd: &Ostlerd<'_>) {
    let pid = ostlerd.pids("shop")[0];
    kill(pid, Signal::SIGKILL);
    ostlerd.wait("shop", "has another worker", |app| {
        ready(app).len() == app.workers_wanted as usize && ready(app).iter().all(|it| it.pid != Some(pid))
    });
}

/// Rolls out twice under load; every request has to be answered well, and the new code has to answer.
fn rollouts_lose_nothing(args: &[&str], version: Gunicorn) {
    let site = Site::new();
    let asgi = args.iter().any(|arg| arg.contains("asgi") || arg.contains("uvicorn"));
    let text = if asgi { ASGI } else { WSGI };
    let app = site.app("shop").gunicorn(version).args(args).workers(2).tcp().key("preload = true");
    let app = app.with("app.py", text).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let first = zygote(&ostlerd);
    let load = Load::on(&app.target()).keep_alive(true).start();
    let closing = Load::on(&app.target()).start();
    for number in [2, 3] {
        load.more(30);
        app.release("app.py", &text.replace("RELEASE = \"1\"", &format!("RELEASE = \"{number}\"")));
        ostlerd.restart("shop");
    }
    ostlerd.serving("shop");
    answers(&app.target(), "3");
    load.more(30);
    let last = zygote(&ostlerd);
    assert_ne!(pid_of(&first), pid_of(&last), "a generation has a zygote of its own");
    assert_eq!(last.generation, GenerationId(3));
    load.stop().lost_nothing();
    closing.stop().lost_nothing();
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

macro_rules! loses_nothing {
    ($($name:ident: $args:expr, $version:ident;)*) => {$(
        #[test]
        fn $name() {
            rollouts_lose_nothing($args, Gunicorn::$version);
        }
    )*};
}

loses_nothing! {
    sync_27_preloaded_loses_nothing: &["-k", "sync"], V27;
    gthread_27_preloaded_loses_nothing: GTHREAD, V27;
    gevent_27_preloaded_loses_nothing: &["-k", "gevent"], V27;
    tornado_27_preloaded_loses_nothing: &["-k", "tornado"], V27;
    asgi_27_preloaded_loses_nothing: &["-k", "asgi"], V27;
    uvicorn_27_preloaded_loses_nothing: UVICORN, V27;
    sync_23_preloaded_loses_nothing: &["-k", "sync"], V23;
    gthread_23_preloaded_loses_nothing: GTHREAD, V23;
    gevent_23_preloaded_loses_nothing: &["-k", "gevent"], V23;
    tornado_23_preloaded_loses_nothing: &["-k", "tornado"], V23;
    uvicorn_23_preloaded_loses_nothing: UVICORN, V23;
    sync_20_preloaded_loses_nothing: &["-k", "sync"], V20;
    gthread_20_preloaded_loses_nothing: GTHREAD, V20;
    gevent_20_preloaded_loses_nothing: &["-k", "gevent"], V20;
    tornado_20_preloaded_loses_nothing: &["-k", "tornado"], V20;
    uvicorn_20_preloaded_loses_nothing: UVICORN, V20;
}

/// What descriptors are, by kind, without their numbers.
fn kinds(process: Proc) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for (number, target) in process.descriptors() {
        let kind = match number {
            0..=2 => format!("{number}: {target}"),
            _ => target.split([':', '[']).next().unwrap_or_default().to_owned(),
        };
        let kind = kind.rsplit("/scoreboards/").next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn a_forked_worker_is_as_a_plain_one() {
    let site = Site::new();
    let app = shop(&site).key("umask = 0o027").unix().write();
    let ostlerd = site.start();
    let of = |field: &str, pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let line = status.lines().find(|line| line.starts_with(field)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no {field} in {status}"))
    };
    let look = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let fields: Vec<String> =
            stat.rsplit_once(')').expect("a name").1.split_whitespace().map(str::to_owned).collect();
        let (parent, group, session) = (fields[1].clone(), fields[2].clone(), fields[3].clone());
        assert_eq!(parent, ostlerd.process().0.to_string(), "its parent is ostlerd");
        assert_eq!((group, session), (pid.to_string(), pid.to_string()), "it has a session of its own");
        let status = ["Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "SigBlk", "SigIgn", "SigCgt"];
        (kinds(Proc(pid)), status.map(|field| of(field, pid)), Proc(pid).environment())
    };
    ostlerd.serving("shop");
    let forked = look(ostlerd.pids("shop")[0]);
    let title = fs::read(format!("/proc/{}/cmdline", ostlerd.pids("shop")[0])).expect("it lives");
    let title = String::from_utf8_lossy(&title).into_owned();
    assert!(title.contains("ostler: shop [w"), "{title}");
    fs::write(site.path("apps.d/shop.toml"), app.text().replace("preload = true", "preload = false"))
        .expect("the site is ours");
    ostlerd.ostler(&["reload"]).exits(0);
    ostlerd.wait("shop", "has no zygote", |app| app.zygotes.is_empty());
    ostlerd.serving("shop");
    let plain = look(ostlerd.pids("shop")[0]);
    assert_eq!(forked, plain);
}

#[test]
fn gunicorns_own_preload_app_is_followed_unless_the_file_says_otherwise() {
    let site = Site::new();
    let app =
        site.app("shop").args(GTHREAD).args(&["--preload"]).tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    zygote(&ostlerd);
    let said = ostlerd.ostler(&["status"]).exits(0);
    assert!(said.out.contains("workers are forked from it"), "{said}");
    fs::write(site.path("apps.d/shop.toml"), format!("preload = false\n{}", app.text())).expect("ours");
    ostlerd.ostler(&["reload"]).exits(0);
    // The one before ends a moment after its last worker.
    ostlerd.wait("shop", "serves without a zygote", |app| app.zygotes.is_empty());
}

#[test]
fn old_code_fills_up_the_old_generation_while_the_new_code_fails() {
    let site = Site::new();
    let patient = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\nraise ValueError('no stock')\n";
    let app = shop(&site).table("[rollout]\nmax_boot_failures = 1").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let old = zygote(&ostlerd);
    let load = Load::on(&app.target()).start();
    app.release("app.py", patient);
    let mut command = site.ostler_command(&["restart", "shop"]);
    let command = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let command = command.spawn().expect("ostler starts");
    ostlerd.wait("shop", "loads the new code", |app| app.zygotes.len() == 2);
    kill_a_worker(&ostlerd);
    load.more(50);
    app.release("go", "");
    let said = crate::harness::Said::from_child(command).exits(1);
    assert!(said.all().contains("no stock") && said.all().contains("Traceback"), "{said}");
    let after = ostlerd.serving("shop");
    assert_eq!(after.generation, Some(GenerationId(1)));
    kill_a_worker(&ostlerd);
    assert_eq!(zygote(&ostlerd).pid, old.pid, "the old zygote has forked all of them");
    load.more(50);
    let tally = load.stop();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["1"], "{tally}");
    assert!(tally.lost() <= 2, "more than what two killed workers had: {tally}");
}

#[test]
fn a_zygote_that_is_killed_costs_nothing_and_another_forks_the_next_worker() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = (zygote(&ostlerd), ostlerd.pids("shop"));
    let load = Load::on(&app.target()).start();
    load.more(20);
    kill(pid_of(&before.0), Signal::SIGKILL);
    ostlerd.wait("shop", "has no zygote", |app| app.zygotes.is_empty());
    load.more(20);
    assert_eq!(ostlerd.pids("shop"), before.1, "no worker is touched");
    load.stop().lost_nothing();
    kill_a_worker(&ostlerd);
    assert_ne!(zygote(&ostlerd).pid, before.0.pid);
    ostlerd.logs("died; its workers serve on, and another loads the app when it is needed");
    ostlerd.restart("shop");
    ostlerd.serving("shop");
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

#[test]
fn a_zygote_that_hangs_is_replaced_and_so_is_one_that_does_not_fork() {
    let site = Site::new();
    let limits = "[limits]\ntimeout = \"10s\"";
    shop(&site).table(limits).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let hung = zygote(&ostlerd);
    kill(pid_of(&hung), Signal::SIGSTOP);
    ostlerd.wait("shop", "is rid of it", |app| app.zygotes.iter().all(|it| it.id != hung.id));
    ostlerd.logs("hangs: no heartbeat");
    kill_a_worker(&ostlerd);
    let deaf = zygote(&ostlerd);
    kill(pid_of(&deaf), Signal::SIGSTOP);
    kill(ostlerd.pids("shop")[0], Signal::SIGKILL);
    ostlerd.wait("shop", "is whole by another one", |app| {
        ready(app).len() == 2 && app.zygotes.iter().all(|it| it.id != deaf.id)
    });
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

#[test]
fn a_killed_ostlerd_leaves_its_zygote_to_the_next_one() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = (zygote(&ostlerd), ostlerd.pids("shop"));
    let load = Load::on(&app.target()).start();
    load.more(20);
    ostlerd.crash();
    load.more(20);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(zygote(&ostlerd).pid, before.0.pid, "the same process");
    load.more(20);
    load.stop().lost_nothing();
    // What is on the disk by now has no bearing on what it forks.
    app.release("app.py", "raise ValueError('not loaded again')");
    kill_a_worker(&ostlerd);
    kill_a_worker(&ostlerd);
    assert_eq!(zygote(&ostlerd).pid, before.0.pid, "and it forks");
    answers(&app.target(), "1");
    app.release("app.py", &release(2));
    ostlerd.restart("shop");
    ostlerd.serving("shop");
    answers(&app.target(), "2");
    until("the old one is gone", || (!Proc(pid_of(&before.0)).lives()).then_some(()));
}

#[test]
fn a_reexecuted_ostlerd_goes_on_with_its_zygote() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = zygote(&ostlerd);
    ostlerd.ostler(&["reexec"]).exits(0);
    ostlerd.serving("shop");
    app.release("app.py", "raise ValueError('not loaded again')");
    kill_a_worker(&ostlerd);
    assert_eq!(zygote(&ostlerd).pid, before.pid);
    assert_eq!(ostlerd.process().zombie_children(), Vec::<i32>::new());
}

#[test]
fn each_forked_worker_answers_the_probe_itself() {
    let site = Site::new();
    let text = WSGI.replace(
        "    return \"%d %s\"",
        "    print('asked for', path, os.getpid(), flush=True)\n    return \"%d %s\"",
    );
    shop(&site).with("app.py", &text).table("[probe]\npath = \"/healthz\"").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for pid in ostlerd.pids("shop") {
        ostlerd.logs(&format!("asked for /healthz {pid}\n"));
    }
}

#[test]
fn threads_and_connections_of_the_import_are_named() {
    let site = Site::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let more = format!(
        "import socket, threading\nKEPT = socket.create_connection((\"127.0.0.1\", {}))\n\
         threading.Thread(target=threading.Event().wait, name=\"stock-watch\", daemon=True).start()\n{WSGI}",
        address.port()
    );
    shop(&site).with("app.py", &more).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.logs("run in no worker: stock-watch.");
    ostlerd.logs(&format!("shared by all workers, who will read each other's answers: {address}."));
}

#[test]
fn random_numbers_differ_from_worker_to_worker() {
    let site = Site::new();
    let text = WSGI.replace("import json,", "import random\nrandom.seed(1)\nimport json,");
    let text = text.replace("return \"%d %s\" % (os.getpid(), RELEASE)", "return str(random.random())");
    let app = site.app("shop").tcp().workers(1).key("preload = true").with("app.py", &text).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let ask = || get(&app.target(), "/").expect("it answers").text();
    let first = ask();
    kill_a_worker(&ostlerd);
    assert_ne!(first, ask());
}

#[test]
fn a_stop_leaves_nothing_and_a_start_makes_a_new_zygote() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = zygote(&ostlerd);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    assert!(!Proc(pid_of(&before)).lives());
    assert!(get(&app.target(), "/").is_err(), "nobody listens");
    ostlerd.ostler(&["start", "shop"]).exits(0);
    ostlerd.serving("shop");
    assert_ne!(zygote(&ostlerd).pid, before.pid);
    answers(&app.target(), "1");
}

#[test]
fn a_zygote_is_in_the_metrics_and_on_the_page() {
    let site = Site::new();
    let address = listens(&site, "");
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let zygote = zygote(&ostlerd);
    let metrics = ask(address, "/metrics").1;
    for line in ["zygotes{app=\"shop\",state=\"ready\"} 1", "zygotes{app=\"shop\",state=\"loading\"} 0"] {
        assert!(metrics.contains(&format!("\nostler_{line}\n")), "{line}: {metrics}");
    }
    assert!(!metrics.contains("ostler_zygotes_resident_memory_bytes{app=\"shop\"} 0\n"), "{metrics}");
    let page = raw(address, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let words = format!("{} of {}: pid {}, ", zygote.id, zygote.generation, pid_of(&zygote));
    assert!(page.contains(&words), "{words}: {page}");
}
