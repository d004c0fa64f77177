//! Where the kernel does not tell of changes: its queue overflows, or it takes no watch.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{save, shop};
use crate::harness::{AppFile, Ostlerd, Site, eventually, until};

/// Sooner than the look that is taken every 30 s whatever is heard.
const BEFORE_ANYHOW: Duration = Duration::from_secs(15);

fn resize(ostlerd: &Ostlerd<'_>, app: &AppFile, workers: u32) {
    save(&app.file, &app.text().replace("workers = 2", &format!("workers = {workers}")));
    ostlerd.wait("shop", "is resized", |app| app.workers_wanted == workers);
}

#[test]
fn an_edit_that_the_full_queue_swallowed_is_found_all_the_same() {
    let site = Site::new();
    let app = shop(&site).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    resize(&ostlerd, &app, 3);
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("Linux has it");
    let most: u32 = most.trim().parse().expect("it is a number");

    ostlerd.signal(Signal::SIGSTOP);
    // Each is two events at least, beside the main file, where none of them concerns the configuration.
    for number in 0..=most / 2 {
        let junk = site.path(&format!("junk-{}", number % 100));
        fs::write(&junk, "").expect("the site is ours");
        fs::remove_file(&junk).expect("the site is ours");
    }
    save(&app.file, &app.text().replace("workers = 2", "workers = 1"));
    ostlerd.signal(Signal::SIGCONT);
    let found = eventually(BEFORE_ANYHOW, || (ostlerd.app("shop").workers_wanted == 1).then_some(()));
    assert!(found.is_some(), "the edit was missed:\n{}", ostlerd.log());
}

/// A library that makes watching fail as long as the named file is there, with the errors of used-up limits.
fn without_watches(site: &Site, refuses: &str) -> (PathBuf, PathBuf) {
    let (source, library, switch) = (site.path("refuse.c"), site.path("refuse.so"), site.path("refuse"));
    fs::write(&switch, "").expect("the site is ours");
    let text = format!(
        r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refused(void) {{ return access("{}", F_OK) == 0; }}
#ifdef INSTANCES
int inotify_init1(int flags) {{
    if (refused()) {{ errno = EMFILE; return -1; }}
    return syscall(SYS_inotify_init1, flags);
}}
#else
int inotify_add_watch(int fd, const char *path, uint32_t mask) {{
    if (refused()) {{ errno = ENOSPC; return -1; }}
    return syscall(SYS_inotify_add_watch, fd, path, mask);
}}
#endif
"#,
        switch.display()
    );
    fs::write(&source, text).expect("the site is ours");
    let mut cc = Command::new("cc");
    cc.arg(format!("-D{refuses}")).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().expect("cc is installed: bash tests/setup.sh").success());
    (library, switch)
}

#[test]
fn without_an_inotify_instance_the_files_are_read_every_now_and_then() {
    let site = Site::new();
    let app = shop(&site).write();
    let (library, _) = without_watches(&site, "INSTANCES");
    let ostlerd = site.start_with("LD_PRELOAD", &library);
    ostlerd.serving("shop");
    ostlerd.logs("the configuration's files cannot be watched; they are read every 2s");
    for workers in [3, 1] {
        resize(&ostlerd, &app, workers);
    }
}

#[test]
fn without_a_watch_the_files_are_read_every_now_and_then_until_there_is_one() {
    let site = Site::new();
    let app = shop(&site).write();
    let (library, switch) = without_watches(&site, "WATCHES");
    let ostlerd = site.start_with("LD_PRELOAD", &library);
    ostlerd.serving("shop");
    ostlerd.logs("cannot be watched; the configuration is read every 2s");
    resize(&ostlerd, &app, 3);
    assert_eq!(ostlerd.log().matches("cannot be watched").count(), 1, "it is said once: {}", ostlerd.log());

    fs::remove_file(&switch).expect("the site is ours");
    ostlerd.logs("the configuration's files are watched again");
    resize(&ostlerd, &app, 1);
    until("the new number serves", || (ostlerd.pids("shop").len() == 1).then_some(()));
}
