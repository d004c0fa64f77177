//! What a worker gets from ostlerd: its own descriptors, environment and user, and nothing else.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::{AppFile, Gunicorn, Ostlerd, Proc, Site, WSGI, is_root};
use crate::load::get;

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().unix().workers(1).with("app.py", WSGI)
}

fn worker(ostlerd: &Ostlerd<'_>) -> Proc {
    ostlerd.serving("shop");
    Proc(ostlerd.pids("shop")[0])
}

/// The inodes of listening sockets, as the kernel's tables name them.
fn listening() -> BTreeSet<String> {
    let mut inodes = BTreeSet::new();
    let tcp = fs::read_to_string("/proc/net/tcp").expect("/proc is mounted");
    for line in tcp.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[3] == "0A" {
            inodes.insert(format!("socket:[{}]", fields[9]));
        }
    }
    let unix = fs::read_to_string("/proc/net/unix").expect("/proc is mounted");
    for line in unix.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[3] == "00010000" {
            inodes.insert(format!("socket:[{}]", fields[6]));
        }
    }
    inodes
}

#[test]
fn a_worker_has_its_own_descriptors_only() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    let has = worker(&ostlerd).descriptors();
    let log = site.path("ostlerd.log").to_string_lossy().into_owned();
    assert_eq!(has.get(&0).map(String::as_str), Some("/dev/null"), "{has:#?}");
    assert_eq!((has.get(&1), has.get(&2)), (Some(&log), Some(&log)), "{has:#?}");

    let rest: Vec<&String> = has.range(3..).map(|(_, target)| target).collect();
    let sockets: Vec<&String> = rest.iter().copied().filter(|it| it.starts_with("socket:")).collect();
    let listening = listening();
    let listeners = sockets.iter().filter(|it| listening.contains(**it)).count();
    assert_eq!(listeners, 2, "its listeners: {has:#?}");
    assert!(sockets.len() <= 3, "its listeners and at most the control connection: {has:#?}");

    let pipes = rest.iter().filter(|it| it.starts_with("pipe:")).count();
    assert!(pipes <= 2, "gunicorn's own pipe: {has:#?}");
    let scoreboards = rest.iter().filter(|it| it.contains("scoreboard")).count();
    assert!(scoreboards <= 2, "the scoreboard, and Python's own copy for its mapping: {has:#?}");
    assert_eq!(rest.len(), sockets.len() + pipes + scoreboards, "and nothing else: {has:#?}");
}

#[test]
fn a_worker_shares_only_its_listeners_and_output_with_ostlerd() {
    let site = Site::new();
    shop(&site).write();
    let ostlerd = site.start();
    let of_worker: BTreeSet<String> = worker(&ostlerd).descriptors().into_values().collect();
    let of_ostlerd: BTreeSet<String> = ostlerd.process().descriptors().into_values().collect();
    let listening = listening();
    let numbered = |it: &&String| it.starts_with("socket:") || it.starts_with("pipe:");
    let shared: Vec<_> = of_worker.intersection(&of_ostlerd).filter(numbered).collect();
    assert!(shared.iter().all(|it| listening.contains(*it)), "{shared:?} of {of_worker:?}");
}

#[test]
fn a_worker_has_the_configured_environment_and_nothing_of_ostlerds() {
    let site = Site::new();
    fs::write(site.path("shop.env"), "FROM_FILE=yes\nBOTH=file\n").expect("the site is ours");
    let files = format!("env_files = [{:?}]", site.path("shop.env"));
    let app = shop(&site).env("FROM_TOML", "yes").env("BOTH", "toml").key(&files).write();
    let ostlerd = site.start();
    let started_with = worker(&ostlerd).environment();
    let answer = get(&app.target(), "/env").expect("it serves").text();
    let seen: std::collections::BTreeMap<String, String> = serde_json::from_str(&answer).expect("JSON");

    assert_eq!(ostlerd.process().environment()["SECRET"], "of-ostlerd");
    for environment in [&started_with, &seen] {
        assert!(!environment.contains_key("SECRET"), "{environment:#?}");
        assert_eq!(environment["FROM_TOML"], "yes");
        assert_eq!(environment["FROM_FILE"], "yes");
        assert_eq!(environment["BOTH"], "toml", "the app's own env wins");
        for name in ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CARGO_MANIFEST_DIR"] {
            assert!(!environment.contains_key(name), "{name} is none of the worker's business");
        }
    }
}

#[test]
fn a_worker_runs_as_the_apps_user_in_the_apps_folder() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let process = worker(&ostlerd);
    let answer = get(&app.target(), "/sys").expect("it serves").text();
    let seen: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(seen["cwd"], app.directory.to_string_lossy().as_ref());
    assert_eq!(seen["uid"].as_u64(), process.uid());
    if !is_root() {
        assert_eq!(process.uid(), ostlerd.process().uid());
    }
}

#[test]
fn root_workers_need_to_be_asked_for_and_are_then_given() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    shop(&site).user(Some("root")).write();
    let ostlerd = site.start();
    assert_eq!(worker(&ostlerd).uid(), Some(0));
}

#[test]
fn a_worker_has_default_signals_and_gunicorns_arguments() {
    let site = Site::new();
    let app = shop(&site).gunicorn(Gunicorn::V23).args(&["--log-level", "warning"]).write();
    let ostlerd = site.start();
    let process = worker(&ostlerd);
    let status = fs::read_to_string(format!("/proc/{}/status", process.0)).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel tells");
        u64::from_str_radix(line.split_whitespace().nth(1).expect("a value"), 16).expect("hexadecimal")
    };
    assert_eq!(field("SigBlk:"), 0, "no signal is blocked");
    assert_eq!(field("SigIgn:") & (1 << 1 | 1 << 14), 0, "INT and TERM are not ignored");
    let seen: serde_json::Value =
        serde_json::from_str(&get(&app.target(), "/sys").expect("it serves").text()).expect("JSON");
    let argv = seen["argv"].as_array().expect("a list");
    assert!(argv.iter().any(|it| it == "--log-level"), "{argv:?}");
    let path = seen["path"].as_array().expect("a list");
    assert!(!path.iter().any(|it| it == ""), "no empty entry in sys.path: {path:?}");
}

#[test]
fn ostlerd_holds_no_worker_descriptor_for_a_worker_that_is_gone() {
    let site = Site::with_own_health();
    shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let before = ostlerd.process().descriptors().len();
    ostlerd.ostler(&["scale", "shop", "3"]).exits(0);
    ostlerd.serving("shop");
    ostlerd.ostler(&["scale", "shop", "1"]).exits(0);
    ostlerd.serving("shop");
    let back = crate::harness::until("the descriptors are given back", || {
        let now = ostlerd.process().descriptors().len();
        (now <= before).then_some(now)
    });
    assert!(back <= before);
}
