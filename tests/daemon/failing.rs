//! Releases that cannot boot, whatever they do: the reason reaches whoever has asked for the rollout, and nothing of them
//! stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{AppFile, Gunicorn, Ostlerd, Site, WSGI, until};
use crate::load::get;

fn shop(site: &Site) -> AppFile {
    let quick = "[rollout]\nsettle = \"300ms\"\nmax_boot_failures = 1\nboot_timeout = \"60s\"";
    site.app("shop").tcp().workers(1).table(quick).with("app.py", WSGI)
}

/// A restart to this release is rolled back with these words; what served goes on, and is all that is left.
#[track_caller]
fn is_refused(ostlerd: &Ostlerd<'_>, app: &AppFile, site: &Site, words: &[&str]) {
    let said = ostlerd.restart_fails("shop").says(words);
    assert!(!said.all().contains("boot_timeout"), "it was known before its time was over: {said}");
    get(&app.target(), "/").expect("the old one serves");
    app.release("app.py", WSGI);
    nothing_else_runs(ostlerd, site);
}

/// Of the app there are the workers and the zygotes that are shown, and no other process.
#[track_caller]
fn nothing_else_runs(ostlerd: &Ostlerd<'_>, site: &Site) {
    until("nothing else is left", || {
        let app = ostlerd.app("shop");
        let shown = app.workers.len() + app.zygotes.len();
        (app.workers.len() == 1 && site.processes().len() == shown + 1).then_some(())
    });
}

#[test]
fn an_import_that_leaves_a_thread_behind_and_fails_is_told_at_once() {
    for preload in [false, true] {
        let site = Site::new();
        let app = shop(&site).key(&format!("preload = {preload}")).write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        let thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(3000,)).start()\n";
        app.release("app.py", &format!("{thread}import a_module_that_is_not_there\n"));
        is_refused(
            &ostlerd,
            &app,
            &site,
            &["No module named 'a_module_that_is_not_there'", "app.py\", line 3"],
        );
        let at_exit = "import atexit, time\natexit.register(time.sleep, 3000)\n";
        app.release("app.py", &format!("{at_exit}import a_module_that_is_not_there\n"));
        is_refused(&ostlerd, &app, &site, &["No module named 'a_module_that_is_not_there'"]);
    }
}

#[test]
fn whatever_an_app_does_before_it_fails_its_traceback_is_told() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let panic = "class PanicException(BaseException): pass\nraise PanicException('a panic of Rust')\n";
    for (before, raises, words) in [
        ("", panic, "PanicException: a panic of Rust"),
        ("", "raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("", "import sys; sys.exit('no DATABASE_URL')\n", "no DATABASE_URL"),
        ("import os; os.close(2)\n", panic, "PanicException: a panic of Rust"),
        ("import os; os.chdir('/'); os.closerange(0, 1000)\n", panic, "PanicException: a panic of Rust"),
    ] {
        app.release("app.py", &format!("{before}{raises}"));
        is_refused(&ostlerd, &app, &site, &[words, "app.py\", line"]);
    }
}

#[test]
fn an_import_that_hangs_is_told_with_the_place_where_it_stands() {
    for preload in [false, true] {
        let site = Site::new();
        let limits = "[rollout]\nsettle = \"300ms\"\nmax_boot_failures = 1\nboot_timeout = \"20s\"";
        let app = shop(&site).table(limits).key(&format!("preload = {preload}")).write();
        let ostlerd = site.start();
        ostlerd.serving("shop");
        app.release("app.py", "import time\n\n\ndef load():\n    time.sleep(3000)\n\n\nload()\n");
        let said = ostlerd.restart_fails("shop");
        assert!(said.out.contains("s: it waits in app.py line 5 (load)"), "{said}");
        assert!(said.err.contains("boot_timeout (20 s): it waits in app.py line 5 (load)"), "{said}");
        assert!(said.err.contains("app.py\", line 8 in <module>"), "the whole stack is told: {said}");
        app.release("app.py", WSGI);
        nothing_else_runs(&ostlerd, &site);
    }
}

#[test]
fn a_traceback_is_short_with_the_cause_first_and_whole_where_it_is_asked_for() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    app.release("urls.py", "def f(:\n    pass\n");
    app.release("app.py", "import urls\n");
    let said = ostlerd.restart_fails("shop");
    let told = said.err.split_once("\n\n").expect("a sentence, then the traceback").1;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("    SyntaxError: ") && lines[1].ends_with("urls.py\", line 1"), "{said}");
    assert!(lines.len() < 15, "the frames of libraries are folded: {said}");
    assert!(told.contains("frames of ostler, gunicorn"), "{said}");
    let whole = ostlerd.ostler(&["restart", "shop", "--verbose"]).exits(1);
    assert!(whole.err.contains("gunicorn/util.py") && whole.err.contains("<ostler main>"), "{whole}");
    let log = ostlerd.log();
    assert!(log.contains("gunicorn/util.py") && log.contains("SyntaxError"), "the log has all of it: {log}");
}

#[test]
fn a_python_that_starts_python_as_another_process_is_refused_and_nothing_of_it_stays() {
    let site = Site::new();
    let wrapper = site.path("python");
    let python = Gunicorn::V27.python();
    let write = |last: &str| {
        let text = format!("#!/bin/sh\n{last}\n");
        crate::harness::program::write(&wrapper, text.as_bytes());
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    };
    write(&format!("exec {} \"$@\"", python.display()));
    let app = shop(&site).python(&wrapper).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for last in ["{} \"$@\"\nexit $?", "setsid {} \"$@\"\nexit $?", "{} \"$@\" &\nwait"] {
        write(&last.replace("{}", &python.display().to_string()));
        let said = ostlerd.ostler(&["restart", "shop"]).exits(78);
        said.says(&["instead of becoming it", "`exec", &wrapper.display().to_string()]);
        get(&app.target(), "/").expect("the old one serves");
        nothing_else_runs(&ostlerd, &site);
    }
}
