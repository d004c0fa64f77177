//! A machine before its first app, and what becomes of the last one.

use std::fs;

use crate::harness::{AppFile, Site, WSGI, until};

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

#[test]
fn ostlerd_runs_without_an_app_says_what_to_write_and_starts_the_first_one() {
    let site = Site::new();
    let told = ["no apps yet", "apps.d/NAME.toml"];
    site.check().exits(0).says(&told);
    site.ostler_check().exits(0).says(&told);
    let ostlerd = site.start();
    ostlerd.logs("no apps yet: write ");
    ostlerd.ostler(&["status"]).exits(0).says(&["no apps yet"]);
    ostlerd.ostler(&["wait"]).exits(0);
    ostlerd.ostler(&["reload"]).exits(0);
    shop(&site).write();
    until("the app is known", || (ostlerd.status().apps.len() == 1).then_some(()));
    ostlerd.serving("shop");
}

#[test]
fn the_last_app_is_not_taken_away_with_its_file() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let before = (ostlerd.serving("shop"), ostlerd.pids("shop")).1;
    fs::remove_file(&app.file).expect("the site is ours");
    until("the files are refused", || (!ostlerd.status().config.valid).then_some(()));
    ostlerd.ostler(&["reload"]).exits(78).says(&["no app is configured"]);
    assert_eq!(ostlerd.pids("shop"), before);
    // The next ostlerd knows of it as well.
    ostlerd.crash();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(ostlerd.pids("shop"), before);
}
