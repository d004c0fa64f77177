//! Bad configuration: what is said, exit status 78, and that nothing was started.

use std::fs;

use crate::harness::{AppFile, Site, WSGI, is_root};

fn shop(site: &Site) -> AppFile {
    site.app("shop").tcp().workers(1).with("app.py", WSGI)
}

/// `ostlerd --check`, `ostler check` and a plain start all refuse, with these words.
#[track_caller]
fn is_refused(site: &Site, words: &[&str]) {
    for said in [site.check(), site.ostler_check(), site.start_in_vain()] {
        let said = said.exits(78).says(words);
        assert!(!said.all().contains("panicked"), "{said}");
    }
    assert!(!site.socket().exists(), "nothing was started");
}

#[track_caller]
fn the_app_is_refused(app: impl Fn(AppFile) -> AppFile, words: &[&str]) {
    let site = Site::new();
    app(shop(&site)).write();
    is_refused(&site, words);
}

#[test]
fn a_mistyped_key_gets_a_suggestion() {
    the_app_is_refused(|app| app.key("wokers = 3"), &["shop.toml", "wokers", "did you mean", "workers"]);
}

#[test]
fn a_mistyped_key_in_a_table_gets_a_suggestion() {
    let limits = "[limits]\nmax_request = 3";
    the_app_is_refused(|app| app.table(limits), &["max_request", "did you mean", "max_requests"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_line() {
    the_app_is_refused(|app| app.key("umask = [1]"), &["shop.toml", "umask"]);
}

#[test]
fn a_duration_without_a_unit_that_exists_is_refused() {
    the_app_is_refused(|app| app.table("[limits]\nmax_age = \"3 lightyears\""), &["max_age", "3 lightyears"]);
}

#[test]
fn a_size_that_is_none_is_refused() {
    the_app_is_refused(|app| app.table("[limits]\nmax_rss = \"many\""), &["max_rss", "many"]);
}

#[test]
fn no_workers_are_too_few() {
    the_app_is_refused(|app| app.key("workers = 0"), &["workers"]);
}

#[test]
fn a_relative_directory_is_refused() {
    let site = Site::new();
    let app = shop(&site);
    let text = app.text().replace(&format!("{:?}", app.directory), "\"shop/current\"");
    fs::write(&app.file, text).expect("the site is ours");
    is_refused(&site, &["shop/current", "absolute"]);
}

#[test]
fn a_missing_key_is_named() {
    let site = Site::new();
    let app = shop(&site);
    let text = app.text();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("app =")).collect();
    fs::write(&app.file, without.join("\n")).expect("the site is ours");
    is_refused(&site, &["app", "shop.toml"]);
}

#[test]
fn every_problem_of_every_file_is_said_at_once() {
    let site = Site::new();
    shop(&site).key("wokers = 3").write();
    site.app("blog").tcp().with("app.py", WSGI).table("[limits]\nmax_age = \"long\"").write();
    is_refused(&site, &["wokers", "shop.toml", "max_age", "blog.toml"]);
}

#[test]
fn two_apps_on_one_address_are_refused() {
    let site = Site::new();
    let app = shop(&site).write();
    site.app("blog").listen(app.target()).with("app.py", WSGI).write();
    is_refused(&site, &["shop", "blog", &app.target().to_string()]);
}

#[test]
fn text_that_is_no_toml_is_refused() {
    let site = Site::new();
    fs::write(shop(&site).file, "directory = \n").expect("the site is ours");
    is_refused(&site, &["shop.toml"]);
}

#[test]
fn a_file_that_is_not_utf_8_is_refused() {
    let site = Site::new();
    fs::write(shop(&site).file, b"directory = \"/srv/\xff\xfe\"\n").expect("the site is ours");
    is_refused(&site, &["shop.toml", "UTF-8"]);
}

#[test]
fn a_folder_where_a_file_should_be_is_refused() {
    let site = Site::new();
    fs::create_dir(shop(&site).file).expect("the site is ours");
    is_refused(&site, &["shop.toml", "directory"]);
}

#[test]
fn a_missing_main_file_is_named() {
    let site = Site::new();
    fs::remove_file(site.config()).expect("the site is ours");
    is_refused(&site, &["ostler.toml"]);
}

#[test]
fn an_app_name_that_is_none_is_refused() {
    let site = Site::new();
    let app = shop(&site);
    fs::write(site.path("apps.d/-shop.toml"), app.text()).expect("the site is ours");
    is_refused(&site, &["-shop"]);
}

#[test]
fn root_has_to_be_asked_for() {
    if is_root() {
        the_app_is_refused(|app| app.user(None), &["user", "root", "shop.toml"]);
    }
}

#[test]
fn a_user_that_does_not_exist_is_refused() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    shop(&site).user(Some("no-such-user")).write();
    site.start_in_vain().exits(78).says(&["no-such-user", "shop"]);
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    let site = Site::new();
    shop(&site).write();
    let said = crate::harness::Said::of(site.command().arg("--colour"));
    said.exits(64).says(&["--colour"]);
}
