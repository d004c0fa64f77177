//! A configuration that changes under a running daemon: each change causes the least that does, and bad ones nothing.

mod keys;
mod storm;
mod unwatched;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use ostler::observe::AppStatus;

use crate::harness::{AppFile, Ostlerd, Site, WSGI, free_address, until};
use crate::load::{Load, Loss, Target, answers, get};

fn shop(site: &Site) -> AppFile {
    let app = site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2);
    app.with("app.py", WSGI).table("[rollout]\nsettle = \"100ms\"")
}

const NOTICED: &str = "the configuration's files have changed";

/// Saves as most editors do: beside, then over.
fn save(path: &Path, text: &str) {
    let beside = path.with_extension("swp");
    fs::write(&beside, text).expect("the site is ours");
    fs::rename(&beside, path).expect("the site is ours");
}

fn pids(app: &AppStatus) -> Vec<i32> {
    app.workers.iter().filter_map(|worker| worker.pid).collect()
}

/// Waits until another generation serves, by itself.
#[track_caller]
fn rolled_out(ostlerd: &Ostlerd<'_>, before: &AppStatus) -> AppStatus {
    ostlerd.wait("shop", "serves another generation", |app| app.generation != before.generation);
    let after = ostlerd.serving("shop");
    assert!(pids(before).iter().all(|pid| !pids(&after).contains(pid)), "{before:#?} {after:#?}");
    after
}

#[test]
fn what_is_saved_is_in_force_by_itself_and_soon() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    let mut took = Vec::new();
    for workers in [3, 2, 3, 2, 3] {
        let log = ostlerd.log().matches("the configuration is in force").count();
        let began = Instant::now();
        save(&app.file, &app.text().replace("workers = 2", &format!("workers = {workers}")));
        until("it is in force", || (ostlerd.app("shop").workers_wanted == workers).then_some(()));
        took.push(began.elapsed());
        until("it is done", || {
            (ostlerd.log().matches("the configuration is in force").count() > log).then_some(())
        });
    }
    println!("from saving to in force: {took:?}");
    let after = ostlerd.serving("shop");
    assert_eq!(before.generation, after.generation, "a resize restarts nobody");
}

#[test]
fn touching_and_saving_the_same_causes_nothing() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    let text = app.text();
    save(&app.file, &text);
    fs::write(&app.file, &text).expect("the site is ours");
    fs::write(site.path("apps.d/notes.txt"), "no configuration").expect("the site is ours");
    // The next real change is the first that is noticed.
    save(&app.file, &text.replace("workers = 2", "workers = 1"));
    ostlerd.wait("shop", "has one worker", |app| app.workers_wanted == 1);
    ostlerd.logs("the configuration is in force; changed: shop");
    assert_eq!(ostlerd.log().matches(NOTICED).count(), 1, "{}", ostlerd.log());
    assert_eq!(ostlerd.serving("shop").generation, before.generation);
}

#[test]
fn a_swapped_link_is_noticed_as_kubernetes_swaps_it() {
    let site = Site::new();
    let app = shop(&site);
    let apps = site.path("apps.d");
    fs::create_dir(apps.join("..1")).expect("the site is ours");
    fs::write(apps.join("..1/shop.toml"), app.text()).expect("the site is ours");
    symlink("..1", apps.join("..data")).expect("the site is ours");
    symlink("..data/shop.toml", apps.join("shop.toml")).expect("the site is ours");
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    for round in 2..4 {
        let text = app.text().replace("workers = 2", &format!("workers = {}", round + 1));
        fs::create_dir(apps.join(format!("..{round}"))).expect("the site is ours");
        fs::write(apps.join(format!("..{round}/shop.toml")), text).expect("the site is ours");
        symlink(format!("..{round}"), apps.join("..new")).expect("the site is ours");
        fs::rename(apps.join("..new"), apps.join("..data")).expect("the site is ours");
        ostlerd.wait("shop", "is resized", |app| app.workers_wanted == round + 1);
        fs::remove_dir_all(apps.join(format!("..{}", round - 1))).expect("the site is ours");
    }
    assert_eq!(ostlerd.serving("shop").generation, before.generation);
}

#[test]
fn a_directory_of_apps_that_appears_later_is_noticed_and_so_is_its_replacement() {
    let site = Site::new();
    let app = shop(&site).write();
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI);
    let (apps, away) = (site.path("apps.d"), site.path("away"));
    let in_main: String = app.text().replace("[rollout]", "[apps.shop.rollout]");
    fs::write(site.config(), format!("[apps.shop]\n{in_main}")).expect("the site is ours");
    fs::remove_dir_all(&apps).expect("the site is ours");
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for there in [true, false, true] {
        if there {
            fs::create_dir(&away).expect("the site is ours");
            fs::write(away.join("blog.toml"), blog.text()).expect("the site is ours");
            fs::rename(&away, &apps).expect("the site is ours");
        } else {
            fs::remove_dir_all(&apps).expect("the site is ours");
        }
        until("blog comes and goes", || {
            (ostlerd.status().apps.iter().any(|app| app.name.as_str() == "blog") == there).then_some(())
        });
    }
    ostlerd.serving("blog");
    get(&blog.target(), "/").expect("it serves");
}

#[test]
fn an_environment_file_that_changes_rolls_its_app_out_alone() {
    let site = Site::new();
    let file = site.path("shop.env");
    fs::write(&file, "WORD=one\n").expect("the site is ours");
    let app = shop(&site).key(&format!("env_files = [{file:?}]")).write();
    site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    let (before, blog) = (ostlerd.serving("shop"), ostlerd.serving("blog"));
    save(&file, "WORD=two\n");
    rolled_out(&ostlerd, &before);
    assert!(get(&app.target(), "/env").expect("it serves").text().contains("two"));
    assert_eq!(pids(&ostlerd.serving("blog")), pids(&blog));
    fs::remove_file(&file).expect("the site is ours");
    until("the file is missed", || (!ostlerd.status().config.valid).then_some(()));
    ostlerd.ostler(&["status"]).exits(1).says(&["refused", "shop.env"]);
    save(&file, "WORD=two\n");
    until("it is there again", || ostlerd.status().config.valid.then_some(()));
}

#[test]
fn one_bad_file_changes_nothing_anywhere_until_it_is_mended() {
    let site = Site::new();
    let app = shop(&site).write();
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    let (before, others) = (ostlerd.serving("shop"), ostlerd.serving("blog"));
    save(&blog.file, &blog.text().replace("workers = 1", "wrokers = 1"));
    until("it is refused", || (!ostlerd.status().config.valid).then_some(()));
    save(&app.file, &app.text().replace("workers = 2", "workers = 3"));
    until("it is looked at again", || (ostlerd.log().matches(NOTICED).count() == 2).then_some(()));
    ostlerd.ostler(&["reload", "--dry-run"]).exits(78).says(&["wrokers"]);
    ostlerd.ostler(&["status"]).exits(1).says(&["refused", "wrokers"]);
    assert_eq!(pids(&ostlerd.serving("shop")), pids(&before));
    save(&app.file, &app.text());
    save(&blog.file, &blog.text());
    until("what runs is on disk again", || ostlerd.status().config.valid.then_some(()));
    assert_eq!(ostlerd.status().config.problem, None);
    assert_eq!(pids(&ostlerd.serving("shop")), pids(&before));
    assert_eq!(pids(&ostlerd.serving("blog")), pids(&others));
}

#[test]
fn a_listener_that_comes_is_served_and_one_that_cannot_be_bound_refuses_everything() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    let (first, second) = (app.target(), Target::Tcp(free_address()));
    let both = app.text().replace(&format!("\"{first}\""), &format!("\"{first}\", \"{second}\""));
    let load = Load::on(&first).keep_alive(true).start();
    load.more(20);
    save(&app.file, &both);
    let during = rolled_out(&ostlerd, &before);
    load.more(20);
    load.stop().lost_nothing();
    assert_eq!(during.listeners.len(), 2, "{during:#?}");
    for target in [&first, &second] {
        get(target, "/").expect("both are served");
    }

    let taken = free_address();
    let _holder = std::net::TcpListener::bind(taken).expect("it is free");
    let text = both.replace(&format!("\"{second}\""), &format!("\"{taken}\""));
    save(&app.file, &text.replace("workers = 2", "workers = 3"));
    until("it is refused", || (!ostlerd.status().config.valid).then_some(()));
    let same = ostlerd.serving("shop");
    assert_eq!((same.generation, same.workers_wanted), (during.generation, 2));
    assert_eq!(same.listeners, during.listeners);

    save(&app.file, &app.text());
    rolled_out(&ostlerd, &during);
    until("the second is closed", || {
        (get(&second, "/").map(|it| it.status) == Err(Loss::Refused)).then_some(())
    });
}

#[test]
fn a_release_that_moves_on_is_named_and_not_rolled_out_by_itself() {
    let site = Site::new();
    let app = shop(&site);
    let (current, next) = (site.path("current"), site.path("releases/next"));
    fs::create_dir(&next).expect("the site is ours");
    let second = WSGI.replace("RELEASE = \"1\"", "RELEASE = \"2\"");
    fs::write(next.join("app.py"), second).expect("the site is ours");
    symlink(&app.directory, &current).expect("the site is ours");
    let text = app.text().replace(&format!("{:?}", app.directory), &format!("{current:?}"));
    save(&app.file, &text);
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    assert_eq!(before.release_changed, None);
    symlink(&next, site.path("new")).expect("the site is ours");
    fs::rename(site.path("new"), &current).expect("the site is ours");

    let named = ostlerd.wait("shop", "has another release", |app| app.release_changed.is_some());
    let note = named.release_changed.expect("waited for");
    assert!(note.contains("releases/next") && note.contains("ostler restart shop"), "{note}");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["shop: nothing changes"]);
    ostlerd.ostler(&["reload"]).exits(0);
    assert_eq!(pids(&ostlerd.serving("shop")), pids(&before));
    // What is rolled out for another reason keeps its release, too.
    save(&app.file, &text.replace("[rollout]", "umask = 0o027\n[rollout]"));
    let after = rolled_out(&ostlerd, &before);
    assert_eq!(after.directory, before.directory);
    assert!(get(&app.target(), "/").expect("it serves").text().ends_with(" 1"));
    ostlerd.restart("shop");
    answers(&app.target(), "2");
    assert_eq!(ostlerd.serving("shop").release_changed, None);
}

#[test]
fn a_dry_run_tells_each_key_and_changes_nothing() {
    let site = Site::new();
    let app = shop(&site).env("WORD", "secret-one").write();
    let ostlerd = site.start();
    let before = ostlerd.serving("shop");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["shop: nothing changes"]);
    // An address that is taken keeps the change from being put in force by itself.
    let taken = free_address();
    let _holder = std::net::TcpListener::bind(taken).expect("it is free");
    let first = app.target();
    let text = app.text().replace("secret-one", "secret-two").replace("workers = 2", "workers = 3");
    save(&app.file, &text.replace(&format!("\"{first}\""), &format!("\"{first}\", \"{taken}\"")));
    until("it is refused", || (!ostlerd.status().config.valid).then_some(()));
    let said = ostlerd.ostler(&["reload", "--dry-run"]).exits(0);
    let said = said.says(&["shop: rolled out", "workers: 2 → 3", "env.WORD: (hidden) → (hidden)"]);
    assert!(!said.all().contains("secret"), "{said}");
    let said = ostlerd.ostler(&["reload", "--dry-run", "--json"]).exits(0);
    said.says(&["\"outcome\":\"planned\"", "\"effect\":\"rollout\"", "\"key\":\"workers\""]);
    assert_eq!(pids(&ostlerd.serving("shop")), pids(&before));
}
