//! The release link while several things are under way: however they end, it leads to what serves.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{AppFile, Releases, Said, Site};
use crate::load::answers;
use crate::switch::{ROLLOUT, begin, code, first_release, rolls_out, switch, to};

fn app(site: &Site, releases: &Releases, name: &str) -> AppFile {
    let app = site.app(name).args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2).table(ROLLOUT);
    releases.app(app)
}

#[test]
fn a_release_that_cannot_be_looked_at_leaves_the_link_to_the_one_that_rolls_out() {
    let site = Site::new();
    let releases = first_release(&site);
    let app = app(&site, &releases, "shop").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(3)"))]);
    releases.add("3", &[("app.py", &code("3", ""))]);
    fs::remove_dir_all(releases.root.join("releases/3/venv")).expect("it is ours");
    let first = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    switch(&ostlerd, &releases, "3").exits(78).says(&["releases/3/venv/bin/python"]);
    assert_eq!(releases.current(), "releases/2");
    Said::from_child(first).exits(0).says(&["g2 serves"]);
    assert_eq!(releases.current(), "releases/2");
    answers(&app.target(), "2");
    ostlerd.ostler(&["rollback", "shop"]).exits(0);
    assert_eq!(releases.current(), "releases/1");
}

#[test]
fn a_link_that_cannot_be_moved_on_is_put_back_after_a_power_cut() {
    let site = Site::new();
    let releases = first_release(&site);
    let app = app(&site, &releases, "shop").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    releases.add("2", &[("app.py", &code("2", "time.sleep(600)"))]);
    releases.add("3", &[("app.py", &code("3", ""))]);
    let first = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    // The new link has that name before it takes the place of the old one.
    let in_the_way = releases.root.join(".current.ostler");
    fs::create_dir(&in_the_way).expect("the folder is ours");
    switch(&ostlerd, &releases, "3").exits(75).says(&["current cannot be replaced"]);
    assert_eq!(releases.current(), "releases/2");
    fs::remove_dir(&in_the_way).expect("it is empty");
    // The client too is a process of the test's: it ends by itself before they are.
    ostlerd.signal(Signal::SIGKILL);
    Said::from_child(first).exits(69);
    ostlerd.kill();
    fs::remove_dir_all(site.path("run")).expect("it is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(releases.current(), "releases/1");
    answers(&app.target(), "1");
}

#[test]
fn apps_that_share_a_link_take_turns() {
    let site = Site::new();
    let releases = first_release(&site);
    let shop = app(&site, &releases, "shop").env("FAILS", "1").write();
    let api = app(&site, &releases, "api").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("api");
    let fails = "time.sleep(2)\nif 'FAILS' in os.environ:\n    1 / 0";
    releases.add("2", &[("app.py", &code("2", fails))]);

    // Whoever has named no release is not taken to one that another app tries.
    let first = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    ostlerd.restart("api");
    Said::from_child(first).exits(1).says(&["ZeroDivisionError"]);
    assert_eq!(releases.current(), "releases/1");
    answers(&api.target(), "1");

    // Whoever has named it moves the link himself.
    let first = begin(&site, &["restart", "shop", "--release", &to(&releases, "2")]);
    rolls_out(&ostlerd);
    ostlerd.ostler(&["restart", "api", "--release", &to(&releases, "2")]).exits(0);
    Said::from_child(first).exits(1);
    assert_eq!(releases.current(), "releases/2");
    answers(&api.target(), "2");
    answers(&shop.target(), "1");
}
