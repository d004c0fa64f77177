//! An app that writes wherever it can fills nothing that is not its own.

use std::path::Path;
use std::process::Command;

use nix::sys::statvfs::statvfs;

use crate::harness::{Site, WSGI, is_root, until};

/// Small, as /run is on a small machine.
const SIZE: u64 = 64 << 20;

/// A file system of its own for the runtime directory.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn free(&self) -> u64 {
        let seen = statvfs(self.0).expect("it is mounted");
        seen.blocks_available() * seen.fragment_size()
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Writes on and on behind its slot, on every descriptor that takes it, and says where it has come to an end.
const FLOOD: &str = r#"
import os, threading

def flood(place):
    block, ends, at = b"x" * (1 << 20), 0, 1 << 20
    while True:
        try:
            at += os.pwrite(6, block, at)
        except OSError as error:
            ends, at = ends + 1, 1 << 20
            with open(f"{place}.new", "w") as file:
                file.write(f"{ends} {error.strerror}")
            os.rename(f"{place}.new", place)

threading.Thread(target=flood, args=(PLACE,), daemon=True).start()
"#;

#[test]
fn a_worker_that_writes_on_and_on_into_its_scoreboard_leaves_the_runtime_directory_free() {
    if !is_root() {
        eprintln!("skipped: only root can mount a file system");
        return;
    }
    let site = Site::new();
    let run = site.path("run");
    std::fs::create_dir_all(&run).expect("the site's folder is ours");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={SIZE},mode=0755"), "tmpfs"])
        .arg(&run)
        .status();
    assert!(mounted.expect("mount is installed").success());
    let small = Small(&run);
    let place = site.path("logs").join("ends");
    let code = format!("PLACE = {:?}\n{FLOOD}{WSGI}", place.display().to_string());
    site.app("shop").tcp().workers(2).with("app.py", &code).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    for ends in 1..=3 {
        until("it has written until nothing took more", || {
            let free = small.free();
            assert!(free > SIZE - (4 << 20), "{free} bytes of {SIZE} are free");
            let said = std::fs::read_to_string(&place).unwrap_or_default();
            let count: u32 = said.split(' ').next()?.parse().ok()?;
            (count >= ends).then_some(())
        });
        ostlerd.ostler(&["status"]).exits(0);
    }
    ostlerd.ostler(&["restart", "shop"]).exits(0);
    assert!(small.free() > SIZE - (4 << 20));
}
