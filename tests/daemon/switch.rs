//! `ostler restart APP --release DIR` and `ostler rollback APP`: the link leads to what serves, whatever happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use ostler::supervise::PhaseView;

use crate::harness::{AppFile, Ostlerd, Releases, Said, Site, WSGI, is_root, kill, until, usual_user};
use crate::load::{Load, answers};

/// A rollout that is soon over.
pub const ROLLOUT: &str = "[rollout]\nsettle = \"300ms\"\nmax_boot_failures = 1\nboot_timeout = \"20s\"";

/// Releases of which the first is linked.
pub fn first_release(site: &Site) -> Releases {
    let releases = Releases::new(site, usual_user());
    releases.add("1", &[("app.py", WSGI)]);
    releases.link("releases/1");
    releases
}

/// A shop that serves release 1.
fn shop(site: &Site) -> (Releases, AppFile) {
    let releases = first_release(site);
    let app = site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).table(ROLLOUT);
    let app = releases.app(app).write();
    (releases, app)
}

pub fn code(release: &str, more: &str) -> String {
    format!("{WSGI}\nRELEASE = {release:?}\n{more}\n")
}

pub fn to(releases: &Releases, id: &str) -> String {
    releases.root.join("releases").join(id).display().to_string()
}

pub fn switch(ostlerd: &Ostlerd<'_>, releases: &Releases, id: &str) -> Said {
    ostlerd.ostler(&["restart", "shop", "--release", &to(releases, id)])
}

pub fn begin(site: &Site, args: &[&str]) -> Child {
    let mut command = site.ostler_command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler starts")
}

/// Waits until a rollout of a new generation is on.
pub fn rolls_out(ostlerd: &Ostlerd<'_>) {
    let on = |phase| matches!(phase, PhaseView::Replacing | PhaseView::Settling);
    ostlerd.wait("shop", "rolls out", |app| app.rollout.as_ref().is_some_and(|it| on(it.phase)));
}

#[test]
fn a_release_is_switched_to_and_back_without_losing_a_request() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let owner = releases.owner_of_current();
    releases.add("2", &[("app.py", &code("2", ""))]);
    let load = Load::on(&app.target()).keep_alive(true).start();
    switch(&ostlerd, &releases, "2").exits(0).says(&["leads to", "releases/2", "g2 serves"]);
    assert_eq!(releases.current(), "releases/2");
    answers(&app.target(), "2");
    let status = ostlerd.serving("shop");
    assert_eq!(status.before, Some(to(&releases, "1")), "{status:#?}");
    ostlerd.ostler(&["status", "shop"]).exits(0).says(&["releases/2, before it from", "releases/1"]);

    ostlerd.ostler(&["rollback", "shop"]).exits(0).says(&["g3 serves"]);
    assert_eq!(releases.current(), "releases/1");
    answers(&app.target(), "1");
    let pids = ostlerd.pids("shop");
    ostlerd.ostler(&["rollback", "shop"]).exits(64).says(&[
        "rolled back from",
        "releases/2",
        "--release DIR",
    ]);
    load.stop().lost_nothing();
    assert_eq!((releases.current().as_str(), ostlerd.pids("shop")), ("releases/1", pids));
    assert_eq!(releases.owner_of_current(), owner);
}

#[test]
fn a_release_that_does_not_serve_leaves_the_link_and_the_workers_as_they_were() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let pids = ostlerd.pids("shop");
    releases.add("2", &[("app.py", "import no_such_module")]);
    releases.add("3", &[("app.py", &code("3", ""))]);
    fs::remove_dir_all(releases.root.join("releases/3/venv")).expect("it is ours");
    let load = Load::on(&app.target()).keep_alive(true).start();
    switch(&ostlerd, &releases, "2").exits(1).says(&["no_such_module", "goes on serving"]);
    assert_eq!(releases.current(), "releases/1");
    switch(&ostlerd, &releases, "3").exits(78).says(&["releases/3/venv/bin/python", "venv"]);
    assert_eq!(releases.current(), "releases/1");
    load.stop().lost_nothing();
    assert_eq!(ostlerd.pids("shop"), pids);
    ostlerd.ostler(&["rollback", "shop"]).exits(64).says(&["no release of shop is known"]);
}

#[test]
fn what_is_no_release_is_refused_and_nothing_changes() {
    let site = Site::new();
    let (releases, _) = shop(&site);
    let plain = site.app("plain").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("plain");
    let pids = ostlerd.pids("shop");
    let file = site.path("logs/file");
    fs::write(&file, "").expect("the folder is ours");
    let file = file.display().to_string();
    let release = |app: &str, dir: &str| ostlerd.ostler(&["restart", app, "--release", dir]);
    release("shop", "/no/such/folder").exits(64).says(&[
        "/no/such/folder",
        "No such file",
        "nothing was changed",
    ]);
    release("shop", &file).exits(64).says(&["is no folder"]);
    release("ghost", "/tmp").exits(64).says(&["no app named"]);
    let plain = plain.directory.display().to_string();
    release("plain", &plain).exits(78).says(&["leads through no link", "ln -s releases/1 current"]);
    let said = ostlerd.ostler(&["restart", "shop", "--release", "/no/such/folder", "--json"]).exits(64);
    assert!(said.out.contains("\"outcome\":\"invalid\""), "{said}");
    assert_eq!((releases.current().as_str(), ostlerd.pids("shop")), ("releases/1", pids.clone()));
    // The same as now is a restart.
    switch(&ostlerd, &releases, "1").exits(0);
    assert_eq!(releases.current(), "releases/1");
    assert_ne!(ostlerd.pids("shop"), pids);
}

#[test]
fn a_folder_that_cannot_be_written_refuses_the_switch() {
    // Root and the tests' own user may write wherever they are.
    if !is_root() || usual_user() != Some("nobody") {
        return;
    }
    let site = Site::new();
    let (releases, _) = shop(&site);
    releases.add("2", &[("app.py", &code("2", ""))]);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&releases.root, mode).expect("we are root");
    };
    mode(0o555);
    switch(&ostlerd, &releases, "2")
        .exits(75)
        .says(&["Permission denied", "rights of whoever owns its folder"]);
    assert_eq!(releases.current(), "releases/1");
    mode(0o755);
    switch(&ostlerd, &releases, "2").exits(0);
}

#[test]
fn a_second_click_joins_another_release_supersedes_and_a_rollback_returns() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(1.5)"))]);
    releases.add("3", &[("app.py", &code("3", "time.sleep(1)"))]);
    let two = ["restart", "shop", "--release", &to(&releases, "2")];
    let load = Load::on(&app.target()).keep_alive(true).start();

    let (first, second) = (begin(&site, &two), begin(&site, &two));
    Said::from_child(first).exits(0).says(&["g2 serves"]);
    Said::from_child(second).exits(0).says(&["g2 serves"]);
    assert_eq!(releases.current(), "releases/2");

    let first = begin(&site, &["restart", "shop", "--release", &to(&releases, "1")]);
    rolls_out(&ostlerd);
    switch(&ostlerd, &releases, "3").exits(0);
    let first = Said::from_child(first);
    assert!(matches!(first.code, Some(0 | 75)), "{first}");
    assert_eq!(releases.current(), "releases/3");

    let before = ostlerd.serving("shop").directory;
    let first = begin(&site, &two);
    rolls_out(&ostlerd);
    ostlerd.ostler(&["rollback", "shop"]).exits(0);
    Said::from_child(first).exits(75).says(&["superseded"]);
    assert_eq!((releases.current().as_str(), ostlerd.serving("shop").directory), ("releases/3", before));
    load.stop().lost_nothing();
}

#[test]
fn a_client_that_is_interrupted_changes_nothing_about_the_switch() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(1)"))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    kill(client.id() as i32, Signal::SIGINT);
    Said::from_child(client).exits(130).says(&["goes on"]);
    ostlerd.ostler(&["wait", "shop"]).exits(0);
    assert_eq!(releases.current(), "releases/2");
    answers(&app.target(), "2");

    releases.add("3", &[("app.py", &code("3", "time.sleep(1)\n1 / 0"))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "3")]);
    rolls_out(&ostlerd);
    kill(client.id() as i32, Signal::SIGKILL);
    assert_eq!(Said::from_child(client).code, None);
    until("the link is back", || (releases.current() == "releases/2").then_some(()));
    ostlerd.ostler(&["wait", "shop"]).exits(1);
}

#[test]
fn a_stop_in_the_middle_puts_the_link_back() {
    let site = Site::new();
    let (releases, _) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(2)"))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    ostlerd.ostler(&["stop", "shop"]).exits(0);
    Said::from_child(client).exits(75).says(&["being stopped"]);
    assert_eq!(releases.current(), "releases/1");
}

#[test]
fn an_ostlerd_that_is_killed_in_the_middle_leaves_the_link_to_the_next() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(1)"))]);
    releases.add("3", &[("app.py", &code("3", "time.sleep(1)\n1 / 0"))]);
    let load = Load::on(&app.target()).keep_alive(true).start();
    for (id, serves) in [("2", "2"), ("3", "2")] {
        let client = begin(&site, &["restart", "shop", "--release", &to(&releases, id)]);
        rolls_out(&ostlerd);
        ostlerd.crash();
        Said::from_child(client).exits(69);
        ostlerd = site.start();
        ostlerd.serving("shop");
        until("the link leads to what serves", || {
            (releases.current() == format!("releases/{serves}")).then_some(())
        });
        answers(&app.target(), serves);
    }
    // Before the release was looked at: nothing brings it in.
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "1")]);
    until("the link is turned", || (releases.current() == "releases/1").then_some(()));
    ostlerd.crash();
    Said::from_child(client).exits(69);
    ostlerd = site.start();
    let seen = ostlerd.serving("shop");
    until("the link leads to what serves", || {
        let now = ostlerd.app("shop").directory.or(seen.directory.clone());
        (Some(to(&releases, releases.current().trim_start_matches("releases/"))) == now).then_some(())
    });
    load.stop().lost_nothing();
}

#[test]
fn after_a_power_cut_the_link_leads_to_the_release_that_was_proven() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(600)"))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    assert_eq!(releases.current(), "releases/2");
    // The client too is a process of the test's: it ends by itself before they are.
    ostlerd.signal(Signal::SIGKILL);
    Said::from_child(client).exits(69);
    ostlerd.kill();
    fs::remove_dir_all(site.path("run")).expect("it is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(releases.current(), "releases/1");
    answers(&app.target(), "1");
    ostlerd.logs("the link leads to the release before it again");
}

/// A small disk over a folder, with the files of the folder on it.
struct Disk(PathBuf);

impl Disk {
    fn over(folder: &Path) -> Disk {
        let files: Vec<_> = fs::read_dir(folder).expect("it is ours").flatten().map(|it| it.path()).collect();
        let texts: Vec<_> = files.iter().map(|it| fs::read(it).expect("it is a file")).collect();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0755", "tmpfs"]).arg(folder);
        assert!(mount.status().expect("mount is installed").success());
        let disk = Disk(folder.to_owned());
        files.iter().zip(texts).for_each(|(file, text)| fs::write(file, text).expect("there is room"));
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_the_switch() {
    if !is_root() {
        eprintln!("skipped: only root can mount a disk");
        return;
    }
    let site = Site::new();
    let (releases, _) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let pids = ostlerd.pids("shop");
    releases.add("2", &[("app.py", &code("2", ""))]);
    let record = site.path("state/shop/release.json");
    until("what serves is written down", || record.exists().then_some(()));
    let disk = Disk::over(record.parent().expect("it is in a folder"));
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).expect_err("it is smaller");
    switch(&ostlerd, &releases, "2").exits(75).says(&["No space left", "make room, and try again"]);
    assert_eq!((releases.current().as_str(), ostlerd.pids("shop")), ("releases/1", pids));
    fs::remove_file(filler).expect("it is ours");
    switch(&ostlerd, &releases, "2").exits(0);
}

#[test]
fn a_link_that_cannot_be_put_back_is_said_and_tried_again() {
    if !is_root() || usual_user() != Some("nobody") {
        return;
    }
    let site = Site::new();
    let (releases, _) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(1)\n1 / 0"))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&releases.root, mode).expect("we are root");
    };
    mode(0o555);
    Said::from_child(client).exits(1).says(&["still leads to", "Permission denied", "ZeroDivisionError"]);
    let problem = ostlerd.wait("shop", "shows it", |app| app.problem.is_some()).problem;
    assert!(problem.as_ref().is_some_and(|it| it.contains("still leads to")), "{problem:?}");
    mode(0o755);
    until("it is put back", || (releases.current() == "releases/1").then_some(()));
    ostlerd.wait("shop", "has no problem", |app| app.problem.is_none());
}

#[test]
fn a_link_that_was_moved_by_hand_meanwhile_is_left_alone() {
    let site = Site::new();
    let (releases, app) = shop(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(1)\n1 / 0"))]);
    releases.add("3", &[("app.py", &code("3", ""))]);
    let client = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    releases.link("releases/3");
    Said::from_child(client).exits(1);
    assert_eq!(releases.current(), "releases/3");
    ostlerd.restart("shop");
    answers(&app.target(), "3");
    // What was rolled out by hand is rolled back all the same.
    ostlerd.ostler(&["rollback", "shop"]).exits(0);
    assert_eq!(releases.current(), "releases/1");
}
