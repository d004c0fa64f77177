//! Whoever else is on the machine, and the users of the apps themselves: what they cannot see, do, or do to others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::unit::drop_in;
use crate::harness::{WSGI, until};
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{put_shop, start, status, target, visit, wait_for};

/// Somebody who has nothing to do with ostler.
const STRANGER: &str = "setpriv --reuid=12345 --regid=12345 --clear-groups";
/// The user of the app.
const NOBODY: &str = "setpriv --reuid=nobody --regid=nogroup --clear-groups";

/// Tells systemd whatever may be told, with a socket of its own to be kept.
const LIAR: &str = r#"
import array, socket
own = socket.socket(socket.AF_UNIX)
own.bind("\0of-somebody-else")
own.listen()
systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
systemd.connect("/run/systemd/notify")
for words in (b"FDSTORE=1\nFDNAME=ostler-listen-1\n", b"FDSTORE=1\nFDNAME=shop\n"):
    systemd.sendmsg([words], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [own.fileno()]))])
for words in (b"STATUS=it lies", b"STOPPING=1", b"RELOADING=1", b"MAINPID=1", b"WATCHDOG=trigger", b"FDSTOREREMOVE=1\nFDNAME=ostler-listen-1"):
    systemd.send(words)
"#;

/// An app that writes garbage wherever it may, as fast as it can, as soon as it is imported.
const FLOOD: &str = r#"
import os, random, threading
JUNK = bytes(random.randrange(256) for _ in range(1 << 16))
def flood(write):
    while True:
        try:
            write()
        except OSError:
            pass
def at_random():
    os.pwrite(6, JUNK, random.randrange(1 << 14))
def on_and_on():
    global end
    os.pwrite(6, JUNK, end)
    end = (end + len(JUNK)) % (32 << 20)
def longer():
    os.ftruncate(6, random.choice((0, 1 << 40)))
end = 0
for write in (at_random, on_and_on, longer, lambda: os.write(5, JUNK), lambda: os.write(5, b"{}\n" * 9999),
              lambda: os.write(1, JUNK), lambda: os.write(2, b"x\n" * 9999)):
    threading.Thread(target=flood, args=(write,), daemon=True).start()
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"#;

/// A scoreboard of two workers has no more in use than this, in blocks of 512 bytes.
const LARGEST: u64 = (4 << 20) / 512;

/// Asks for health.
const LIVEZ: &str =
    "python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:9180/livez\", timeout=10)'";

fn main_pid(machine: &Machine) -> String {
    machine.property("ostler", "MainPID")
}

#[test]
fn a_stranger_can_neither_ask_nor_change_nor_read() {
    let machine = Machine::boot();
    put_shop(&machine, "[migrate]\ncommand = [\"/bin/echo\", \"nothing\"]");
    start(&machine);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    for line in [
        "status",
        "events",
        "drain",
        "restart shop",
        "migrate shop",
        "reload",
        "reexec",
        "stop shop",
        "scale shop 3",
    ] {
        machine.sh(&format!("{STRANGER} ostler {line}")).exits(77);
    }
    for file in
        ["/run/ostler/state.json", "/run/ostler/scoreboards/shop", "/var/lib/ostler/shop/migrations.jsonl"]
    {
        machine.sh(&format!("test -s {file}")).exits(0);
    }
    for who in [STRANGER, NOBODY] {
        let places = "/run/ostler /var/lib/ostler /etc/ostler/ostler.toml";
        let readable = machine.sh(&format!("{who} find {places} ! -type d ! -type s -readable")).out;
        assert_eq!(readable.trim(), "/etc/ostler/ostler.toml", "{who}");
        let writable =
            machine.sh(&format!("{who} find {places} ! -path /run/ostler/control.sock -writable")).out;
        assert_eq!(writable, "", "{who}");
        machine.sh(&format!("{who} touch /run/ostler/x /run/ostler/scoreboards/x")).exits(1);
    }
    // The app's own user sees and changes its app, and no more.
    machine.sh(&format!("{NOBODY} ostler status")).exits(0);
    machine.sh(&format!("{NOBODY} ostler drain")).exits(77);
    assert_eq!(status(&machine).apps[0].workers.len(), 1);
}

#[test]
fn nobody_but_ostlerd_is_believed_by_systemd() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    machine.write("/srv/liar.py", LIAR);
    start(&machine);
    let before = (main_pid(&machine), machine.property("ostler", "NFileDescriptorStore"));
    let groups = [
        "/sys/fs/cgroup/ostler.slice/ostler-shop.slice/ostler-shop-g1.scope",
        "/sys/fs/cgroup/system.slice/ostler.service",
    ];
    for group in groups {
        machine.tell(&format!("echo $$ >{group}/cgroup.procs && {NOBODY} python3 /srv/liar.py"));
        assert_eq!((main_pid(&machine), machine.property("ostler", "NFileDescriptorStore")), before);
        assert_eq!(machine.property("ostler", "StatusText"), "1 app serves");
        assert_eq!(machine.property("ostler", "ActiveState"), "active");
    }
    assert!(visit(&machine).contains("200 OK"));
}

#[test]
fn a_process_that_only_has_the_number_of_a_worker_is_left_alone() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=2s");
    put_shop(&machine, "");
    start(&machine);
    machine.tell("systemd-run --quiet --unit=foreign sleep 1000");
    let foreign = machine.property("foreign", "MainPID");
    let stat = machine.tell(&format!("cat /proc/{foreign}/stat"));
    let began: u64 = stat.split(' ').nth(21).and_then(|it| it.parse().ok()).expect("the kernel says so");
    for began in [None, Some(began)] {
        machine.tell(&format!("kill -9 {}", main_pid(&machine)));
        wait_for(&machine, "ostler", "SubState", "auto-restart");
        let text = machine.read("/run/ostler/state.json").expect("it is there");
        let mut state: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let worker = &mut state["kept"]["workers"][0];
        worker["pid"] = foreign.parse::<i32>().expect("a number").into();
        // With its own start as well, and only its control group tells.
        if let Some(began) = began {
            worker["started"] = began.into();
        }
        let path = machine.path("/run/ostler/state.json");
        fs::write(&path, state.to_string()).expect("the machine's files are writable");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        wait_for(&machine, "ostler", "ActiveState", "active");
        assert!(machine.journal("ostler").contains("goes on with 0 of 1 worker"));
        until("another worker serves", || {
            (machine.property("ostler", "StatusText") == "1 app serves").then_some(())
        });
        assert!(visit(&machine).contains("200 OK"));
    }
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert_eq!(machine.property("foreign", "MainPID"), foreign);
    assert_eq!(machine.property("foreign", "ActiveState"), "active");
}

#[test]
fn an_app_that_writes_garbage_wherever_it_can_hurts_nobody_but_itself() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    let file = machine.read("/etc/ostler/apps.d/shop.toml").expect("it was written");
    let evil = file.replace("nobody", "daemon").replace("/run/shop.sock", "/run/evil.sock");
    machine.write("/srv/evil/app.py", WSGI);
    machine.write("/etc/ostler/apps.d/evil.toml", &evil.replace("/srv/shop", "/srv/evil"));
    start(&machine);
    let (pid, workers) = (main_pid(&machine), machine.processes("ostler-shop-g1.scope"));
    let memory = |machine: &Machine| -> u64 {
        let status = machine.tell(&format!("cat /proc/{pid}/status"));
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel says so");
        line.split_ascii_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
    };
    let before = memory(&machine);
    machine.write("/srv/evil/app.py", FLOOD);
    let load = Load::on(&target(&machine)).connections(2).start();
    let mut rollout = machine.command(&["ostler", "restart", "evil"]).spawn().expect("sh starts");
    // What it writes is given back, again and again, and none of it is in /run. The journal is of no use meanwhile.
    let used = || -> u64 {
        let held = "find /proc/[0-9]*/fd -lname '*/scoreboards/evil *' 2>/dev/null | head -n 1";
        machine.sh(&format!("stat -L -c %b $({held})")).out.trim().parse().unwrap_or_default()
    };
    let note = || fs::metadata(machine.path("/run/ostler/scoreboards/evil")).map_or(0, |meta| meta.len());
    for _ in 0..8 {
        until("it writes where no worker writes", || (used() > LARGEST).then_some(()));
        until("that is given back", || (used() <= LARGEST).then_some(()));
        assert!(note() < 64, "{} bytes of /run", note());
        load.more(50);
        let began = Instant::now();
        machine.tell(LIVEZ);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(status(&machine).apps.len(), 2);
    }
    let tally = load.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
    assert_eq!(machine.processes("ostler-shop-g1.scope"), workers);
    assert_eq!(main_pid(&machine), pid);
    let after = memory(&machine);
    eprintln!("ostlerd: {before} KiB before, {after} KiB at most");
    assert!(after < before + (32 << 10), "{before} KiB before, {after} KiB after");
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    let _ = rollout.wait();
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user daemon"), "");
}
