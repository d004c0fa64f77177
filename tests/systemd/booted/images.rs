//! A release that is an image, under the unit as the package has it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::bundle::{CONFIG, debian_with};
use crate::harness::{WSGI, until};
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{shop, start, target, visit};

/// The roots of two images, on this machine: they are the machine's as they are.
fn roots() -> (TempDir, Vec<(PathBuf, PathBuf)>) {
    let folder = TempDir::with_prefix("ostler-roots-").expect("/tmp is writable");
    let binds = ["1", "2"].map(|id| {
        let root = folder.path().join(id);
        debian_with(
            &root,
            &format!("{WSGI}\nRELEASE = {id:?}\nprint('release {id} is loaded', flush=True)\n"),
        );
        (root, PathBuf::from(format!("/srv/shop/releases/{id}/rootfs")))
    });
    (folder, binds.to_vec())
}

fn put_shop(machine: &Machine) {
    for id in ["1", "2"] {
        let release = format!("/srv/shop/releases/{id}");
        machine.write(&format!("{release}/config.json"), CONFIG);
        machine.sh(&format!("install -d -m 1777 {release}/tmp {release}/run")).exits(0);
    }
    machine.sh("ln -s releases/1 /srv/shop/current").exits(0);
    let file = "directory = \"/srv/shop/current\"\nimage = \"registry.example.com/shop\"\napp = \"app:application\"\n\
                user = \"nobody\"\nlisten = \"unix:/run/shop.sock\"\nworkers = 2\n[rollout]\nsettle = \"300ms\"\n";
    machine.write("/etc/ostler/apps.d/shop.toml", file);
    machine.write("/etc/ostler/ostler.toml", "");
}

#[test]
pub fn an_image_runs_as_any_release_does_whatever_happens_to_ostlerd() {
    let (_folder, binds) = roots();
    let machine = Machine::boot_with(&binds);
    put_shop(&machine);
    start(&machine);
    assert!(visit(&machine).ends_with(" 1"), "{}", visit(&machine));
    let load = Load::on(&target(&machine)).connections(2).pause(Duration::from_millis(30)).start();
    load.more(20);
    machine.run(&["ostler", "restart", "shop", "--release", "/srv/shop/releases/2"]).exits(0);
    let pids = |machine: &Machine| shop(machine).workers.iter().filter_map(|it| it.pid).collect::<Vec<_>>();
    until("the workers of before are gone", || (pids(&machine).len() == 2).then_some(()));
    let before = pids(&machine);
    let capabilities = machine.tell(&format!("grep -h ^Cap /proc/{}/status | cut -f2 | sort -u", before[0]));
    assert_eq!(capabilities, "0000000000000000");
    let group = machine.tell(&format!("cat /proc/{}/cgroup", before[0]));
    assert!(group.contains("shop"), "{group}");
    let printed = machine.tell("journalctl --sync; journalctl -t shop -o cat");
    assert!(printed.contains("release 2 is loaded"), "{printed}");
    machine.sh("systemctl kill --signal=KILL --kill-whom=main ostler").exits(0);
    until("another ostlerd is there", || {
        machine.sh("ostler status").code.is_some_and(|it| it == 0).then_some(())
    });
    assert_eq!(pids(&machine), before, "the next ostlerd adopts them");
    load.more(20);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    machine.run(&["ostler", "wait"]).exits(0);
    machine.run(&["ostler", "rollback", "shop"]).exits(0);
    until("the release of before answers", || visit(&machine).ends_with(" 1").then_some(()));
    load.stop().lost_nothing();
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    let left = machine.tell("pgrep -u nobody | wc -l");
    assert_eq!(left, "0");
    fs::read_dir(machine.path("/srv/shop/releases/1/tmp")).expect("it is there");
}
