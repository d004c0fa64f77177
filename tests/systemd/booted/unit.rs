//! The unit: what `systemctl` does with it, and what systemd thinks of it.

use std::time::Duration;

use crate::harness::{eventually, until};
use crate::machine::Machine;
use crate::site::{put_shop, shop, start, status, visit, wait_for, write_shop};

/// What `systemd-analyze security` may say at most, in tenths: 96 is an unprotected service. It holds no more than
/// it may, since the programs of other users run below it.
const EXPOSURE: u32 = 61;

/// The example of a socket unit.
const EXAMPLE: &str = include_str!("../../../systemd/ostler.socket");

/// Boots when it is told to.
pub const PATIENT: &str = "
import os, time
while not os.path.exists('/srv/go'):
    time.sleep(0.05)
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'ok']
";

/// A request that takes a while.
const SLOW: &str = "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/run/shop.sock')
s.sendall(b'GET /sleep?2 HTTP/1.0\\r\\n\\r\\n')
print(b''.join(iter(lambda: s.recv(4096), b'')).decode())
";

/// Changes the unit, as `systemctl edit` does.
pub fn drop_in(machine: &Machine, lines: &str) {
    let text = format!("[Service]\n{lines}\n");
    machine.write("/etc/systemd/system/ostler.service.d/test.conf", &text);
    machine.run(&["systemctl", "daemon-reload"]).exits(0);
}

#[test]
fn the_units_are_such_that_systemd_has_nothing_to_say_about_them() {
    let machine = Machine::boot();
    machine.write("/etc/systemd/system/ostler-shop.socket", EXAMPLE);
    for units in [&["ostler.service"][..], &["ostler-shop.socket"], &["ostler.service", "ostler-shop.socket"]]
    {
        let said = machine.run(&[&["systemd-analyze", "verify", "--man=no"], units].concat()).exits(0);
        assert_eq!(said.all(), "");
    }
}

#[test]
fn a_set_user_id_program_takes_effect_only_for_an_app_whose_file_says_so() {
    let machine = Machine::boot();
    machine.tell("install -m 4755 /usr/bin/id /usr/local/bin/whom && install -d -m 777 /srv/told");
    let migrate = "[migrate]\ncommand = [\"/bin/sh\", \"-c\", \"/usr/local/bin/whom -u >/srv/told/uid\"]";
    put_shop(&machine, migrate);
    start(&machine);
    let nobody = machine.tell("id -u nobody");
    assert_eq!(machine.tell("cat /srv/told/uid"), nobody);
    write_shop(&machine, &format!("no_new_privileges = false\n{migrate}"));
    machine.run(&["ostler", "reload"]).exits(0);
    assert_eq!(machine.tell("cat /srv/told/uid").trim(), "0");
    let worker = machine.processes("ostler-shop-g2.scope")[0];
    assert!(machine.tell(&format!("grep NoNewPrivs /proc/{worker}/status")).contains('0'));
}

#[test]
fn the_unit_is_as_safe_as_it_may_be_and_says_why_it_is_no_safer() {
    let machine = Machine::boot();
    let said = machine.run(&["systemd-analyze", "security", "--no-pager", "ostler.service"]);
    let line = said.out.lines().rev().find(|line| line.contains("exposure level")).unwrap_or_default();
    let level = line.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    eprintln!("{line}");
    let tenths: u32 = level.replace('.', "").parse().unwrap_or_else(|_| panic!("no exposure level: {said}"));
    assert!(tenths <= EXPOSURE, "{said}");
    let unit = include_str!("../../../systemd/ostler.service");
    let unsafe_settings = said.out.lines().filter_map(|line| {
        let words = line.strip_prefix('✗').or_else(|| line.strip_prefix('-'))?;
        words.trim_start().split('=').next()
    });
    let unsafe_settings: Vec<&str> = unsafe_settings.collect();
    assert!(unsafe_settings.len() > 10, "{said}");
    for setting in unsafe_settings {
        assert!(unit.contains(setting), "ostler.service does not say why {setting} is as it is");
    }
}

#[test]
fn the_group_and_the_folders_are_made_once_and_what_somebody_has_set_stays() {
    let machine = Machine::boot();
    for _ in 0..2 {
        machine.run(&["systemd-sysusers"]).exits(0);
        machine.run(&["systemd-tmpfiles", "--create", "ostler.conf"]).exits(0);
        machine.tell("chmod 750 /etc/ostler/apps.d");
    }
    assert_eq!(machine.tell("stat -c '%a %U' /etc/ostler/apps.d"), "750 root");
    put_shop(&machine, "");
    start(&machine);
    let group = machine.tell("getent group ostler | cut -d: -f3");
    let member = ["setpriv", "--reuid=12345", &format!("--regid={group}"), "--clear-groups", "ostler"];
    machine.run(&[&member[..], &["status"]].concat()).exits(0);
    machine.run(&[&member[..], &["restart", "shop"]].concat()).exits(77);
}

#[test]
fn a_start_returns_when_the_app_serves() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 2");
    start(&machine);
    assert!(visit(&machine).contains("200 OK"));
    assert_eq!(status(&machine).apps[0].workers.len(), 2);
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    assert_eq!(machine.property("ostler", "StatusText"), "1 app serves");
    assert_eq!(machine.property("ostler", "NotifyAccess"), "main");
}

#[test]
fn a_start_waits_for_an_app_that_boots_slowly_and_says_so() {
    let machine = Machine::boot();
    drop_in(&machine, "TimeoutStartSec=10s");
    put_shop(&machine, "");
    machine.write("/srv/shop/app.py", PATIENT);
    machine.run(&["systemctl", "start", "--no-block", "ostler"]).exits(0);
    wait_for(&machine, "ostler", "StatusText", "0 of 1 app serves; shop: starting");
    assert_eq!(machine.property("ostler", "ActiveState"), "activating");
    // Longer than the unit's own limit: ostlerd has asked for more time.
    let ended = eventually(Duration::from_secs(12), || {
        (machine.property("ostler", "ActiveState") != "activating").then_some(())
    });
    assert!(ended.is_none(), "{}", machine.journal("ostler"));
    machine.write("/srv/go", "");
    wait_for(&machine, "ostler", "ActiveState", "active");
    wait_for(&machine, "ostler", "StatusText", "1 app serves");
}

#[test]
fn a_start_returns_as_well_when_an_app_cannot_serve_and_the_status_line_says_so() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    machine.write("/srv/shop/app.py", "raise RuntimeError('no such luck')\n");
    start(&machine);
    let line = machine.property("ostler", "StatusText");
    assert!(line.starts_with("0 of 1 app serves; shop: failed") && line.contains("no such luck"), "{line}");
    machine.run(&["ostler", "status"]).exits(1);
}

#[test]
pub fn a_stop_drains_for_as_long_as_ostlerd_gives_and_leaves_nothing() {
    let machine = Machine::boot();
    drop_in(&machine, "TimeoutStopSec=1s");
    put_shop(&machine, "");
    start(&machine);
    assert_ne!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    let slow = machine
        .command(&["python3", "-c", SLOW])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sh starts");
    until("the request is under way", || (shop(&machine).workers[0].in_flight == 1).then_some(()));
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    let said = slow.wait_with_output().expect("the child is ours");
    assert!(String::from_utf8_lossy(&said.stdout).contains("200 OK"), "{said:?}");
    assert_eq!(machine.property("ostler", "Result"), "success");
    assert_eq!(machine.tell("find /proc -maxdepth 1 -user nobody"), "");
    assert_eq!(machine.processes("ostler.service"), Vec::<i32>::new());
    assert!(machine.read("/run/ostler").is_none() && !machine.path("/run/ostler").exists());
    assert!(!machine.path("/run/shop.sock").exists(), "the socket was left behind");
}

#[test]
fn a_reload_is_what_ostler_reload_is() {
    let machine = Machine::boot();
    put_shop(&machine, "workers = 1");
    start(&machine);
    write_shop(&machine, "workers = 2");
    machine.run(&["systemctl", "reload", "ostler"]).exits(0);
    assert_eq!(shop(&machine).workers_wanted, 2);
    write_shop(&machine, "wokers = 2");
    let said = machine.run(&["systemctl", "reload", "ostler"]);
    assert_ne!(said.code, Some(0), "{said}");
    assert_eq!(machine.property("ostler", "ActiveState"), "active");
    let journal = machine.journal("ostler");
    assert!(journal.contains("wokers"), "{journal}");
    assert!(visit(&machine).contains("200 OK"));
    wait_for(
        &machine,
        "ostler",
        "StatusText",
        "1 app serves; the configuration's files are refused, see `ostler status`",
    );
}

#[test]
fn an_ostlerd_that_is_killed_is_started_again() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    start(&machine);
    let before = machine.property("ostler", "MainPID");
    machine.tell(&format!("kill -9 {before}"));
    until("another ostlerd serves", || {
        let now = machine.property("ostler", "MainPID");
        (now != "0" && now != before && machine.property("ostler", "ActiveState") == "active").then_some(())
    });
    assert!(visit(&machine).contains("200 OK"));
}

#[test]
pub fn an_ostlerd_whose_loop_stands_still_is_ended_and_started_again() {
    let machine = Machine::boot();
    drop_in(&machine, "WatchdogSec=10s\nTimeoutAbortSec=1s");
    put_shop(&machine, "");
    start(&machine);
    let before = machine.property("ostler", "MainPID");
    // Its watchdog has been fed for longer than its limit before.
    let fed = eventually(Duration::from_secs(12), || {
        (machine.property("ostler", "MainPID") != before).then_some(())
    });
    assert!(fed.is_none(), "a sound ostlerd was ended: {}", machine.journal("ostler"));
    machine.tell(&format!("kill -STOP {before}"));
    until("another ostlerd serves", || {
        let now = machine.property("ostler", "MainPID");
        (now != "0" && now != before && machine.property("ostler", "ActiveState") == "active").then_some(())
    });
    assert!(machine.journal("ostler").contains("Watchdog timeout"));
}

#[test]
fn a_configuration_that_is_refused_ends_the_start_once_and_says_why() {
    let machine = Machine::boot();
    put_shop(&machine, "wokers = 2");
    let said = machine.run(&["systemctl", "start", "ostler"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert_eq!(machine.property("ostler", "ExecMainStatus"), "78");
    assert_eq!(machine.property("ostler", "NRestarts"), "0");
    assert_eq!(machine.property("ostler", "ActiveState"), "failed");
    assert!(machine.journal("ostler").contains("wokers"));
}
