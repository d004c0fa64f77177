//! Ports that systemd opens: found by name, kept through whatever happens, and nobody else's.

use super::unit::drop_in;
use crate::harness::{Gunicorn, WSGI, until};
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{self, shop, target, wait_for};

/// The example, as somebody copies it.
const EXAMPLE: &str = include_str!("../../../systemd/ostler.socket");

/// The app of the example: on whatever systemd passes by the name `shop`.
fn put_shop(machine: &Machine) {
    let python = Gunicorn::V27.python();
    let file = format!(
        "directory = \"/srv/shop\"\npython = {python:?}\napp = \"app:application\"\nuser = \"nobody\"\n\
         listen = \"systemd:shop\"\nworkers = 2\nenv = {{ PYTHONDONTWRITEBYTECODE = \"1\" }}\n\
         [rollout]\nsettle = \"300ms\"\n"
    );
    machine.write("/srv/shop/app.py", WSGI);
    machine.write("/etc/ostler/apps.d/shop.toml", &file);
    machine.write("/etc/ostler/ostler.toml", "");
}

fn put_socket(machine: &Machine, name: &str, text: &str) {
    machine.write(&format!("/etc/systemd/system/{name}"), text);
    machine.run(&["systemctl", "daemon-reload"]).exits(0);
    machine.run(&["systemctl", "enable", "--now", "--quiet", name]).exits(0);
}

/// One request over TCP, from within.
#[track_caller]
fn visit(machine: &Machine) -> String {
    machine.tell(
        "python3 -c 'import urllib.request; print(urllib.request.urlopen(\"http://127.0.0.1:8000/\", timeout=30).status)'",
    )
}

/// The number of the socket at this port, as the kernel has it; and whether ostlerd has it open.
fn is_open_in_ostlerd(machine: &Machine, port: u16) -> bool {
    let wanted = format!("0100007F:{port:04X}");
    let table = machine.read("/proc/net/tcp").unwrap_or_default();
    let table = if table.contains(&wanted) { table } else { machine.tell("cat /proc/net/tcp") };
    let line = table.lines().find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("{port}: {table}"));
    let inode = line.split_ascii_whitespace().nth(9).expect("the kernel's table has it").to_owned();
    let open = machine.tell("ls -l /proc/$(systemctl show --value -p MainPID ostler)/fd");
    open.contains(&format!("socket:[{inode}]"))
}

#[test]
fn the_first_client_starts_ostler_and_what_happens_to_it_costs_none() {
    let machine = Machine::boot();
    put_shop(&machine);
    put_socket(&machine, "ostler-shop.socket", EXAMPLE);
    assert_eq!(machine.property("ostler", "ActiveState"), "inactive");
    assert_eq!(visit(&machine), "200");
    wait_for(&machine, "ostler", "ActiveState", "active");
    assert_eq!(shop(&machine).listeners.len(), 2);
    let load = Load::on(&target(&machine)).connections(3).start();
    load.more(20);
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert_eq!(machine.processes("ostler-shop-g2.scope").len(), 2, "{}", machine.journal("ostler"));
    load.more(20);
    let before = machine.property("ostler", "MainPID");
    machine.tell(&format!("kill -9 {before}"));
    until("another ostlerd serves", || {
        let now = machine.property("ostler", "MainPID");
        (now != "0" && now != before && machine.property("ostler", "ActiveState") == "active").then_some(())
    });
    load.more(20);
    machine.run(&["ostler", "reexec"]).exits(0);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    load.more(20);
    let tally = load.stop();
    eprintln!("{tally}");
    tally.lost_nothing();
    assert_eq!(visit(&machine), "200");
    assert_eq!(shop(&machine).listeners.len(), 2);
    // What systemd opened stays open: the next client starts it again.
    machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    assert_eq!(visit(&machine), "200");
    machine.run(&["systemctl", "stop", "ostler-shop.socket", "ostler.service"]).exits(0);
    assert!(!machine.path("/run/shop.sock").exists());
}

#[test]
fn an_app_that_comes_back_after_a_re_execution_finds_its_sockets_by_name() {
    let machine = Machine::boot();
    put_shop(&machine);
    machine.write("/etc/ostler/ostler.toml", "[health]\nlisten = [\"systemd:health\"]\n");
    let shop = machine.read("/etc/ostler/apps.d/shop.toml").expect("it was written");
    machine.write("/etc/ostler/apps.d/blog.toml", &shop.replace("systemd:shop", "unix:/run/blog.sock"));
    let health = "[Socket]\nService=ostler.service\nFileDescriptorName=health\nListenStream=127.0.0.1:9181\n\
                  [Install]\nWantedBy=sockets.target\n";
    put_socket(&machine, "ostler-health.socket", health);
    put_socket(&machine, "ostler-shop.socket", EXAMPLE);
    assert_eq!(visit(&machine), "200");
    wait_for(&machine, "ostler", "ActiveState", "active");
    let before = machine.property("ostler", "MainPID");
    machine.run(&["ostler", "reexec"]).exits(0);
    let livez = "python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:9181/livez\", timeout=10)'";
    machine.tell(livez);
    machine.tell("mv /etc/ostler/apps.d/shop.toml /srv/ && ostler reload && ostler wait");
    machine.tell("mv /srv/shop.toml /etc/ostler/apps.d/ && ostler reload && ostler wait");
    assert_eq!(visit(&machine), "200");
    machine.tell(livez);
    assert_eq!(machine.property("ostler", "MainPID"), before, "{}", machine.journal("ostler"));
}

#[test]
fn a_socket_that_no_app_names_is_closed_and_said_once() {
    let machine = Machine::boot();
    put_shop(&machine);
    put_socket(&machine, "ostler-shop.socket", EXAMPLE);
    let stray = EXAMPLE
        .replace("Name=shop", "Name=stray")
        .replace(":8000", ":8001")
        .replace("shop.sock", "stray.sock");
    put_socket(&machine, "ostler-stray.socket", &stray);
    assert_eq!(visit(&machine), "200");
    wait_for(&machine, "ostler", "ActiveState", "active");
    let journal = machine.journal("ostler");
    assert_eq!(journal.matches("systemd passed sockets of the name stray").count(), 1, "{journal}");
    assert!(is_open_in_ostlerd(&machine, 8000));
    assert!(!is_open_in_ostlerd(&machine, 8001), "it looks served");
}

#[test]
fn an_app_has_neither_the_name_of_another_nor_what_is_in_the_store() {
    let machine = Machine::boot();
    drop_in(&machine, "RestartSec=100ms");
    put_shop(&machine);
    put_socket(&machine, "ostler-shop.socket", EXAMPLE);
    machine.write("/srv/thief/app.py", WSGI);
    let shop = machine.read("/etc/ostler/apps.d/shop.toml").expect("it was written");
    machine.write("/etc/ostler/apps.d/blog.toml", &shop.replace("systemd:shop", "unix:/run/blog.sock"));
    assert_eq!(visit(&machine), "200");
    wait_for(&machine, "ostler", "ActiveState", "active");
    machine.write("/etc/ostler/apps.d/thief.toml", &shop.replace("/srv/shop", "/srv/thief"));
    machine.run(&["ostler", "reload"]).exits(78).says(&["systemd:shop", "thief"]);
    // By the number of its socket, which anybody may see.
    let table = machine.tell("cat /proc/net/unix");
    let line = table.lines().find(|line| line.ends_with("/run/blog.sock")).expect("it listens");
    let inode = line.split_ascii_whitespace().nth(6).expect("the kernel's table has it");
    let stored = format!("systemd:ostler-listen-{inode}");
    machine.write(
        "/etc/ostler/apps.d/thief.toml",
        &shop.replace("systemd:shop", &stored).replace("/srv/shop", "/srv/thief"),
    );
    machine.tell("kill -9 $(systemctl show --value -p MainPID ostler)");
    until("the next ostlerd has read the files", || {
        let journal = machine.journal("ostler");
        journal.contains(&format!("cannot listen on {stored}")).then_some(())
    });
    until("it serves", || (machine.property("ostler", "ActiveState") == "active").then_some(()));
    assert_eq!(visit(&machine), "200");
}

/// systemd throws stored sockets away that look broken to it.
#[test]
fn the_sockets_of_an_app_that_has_failed_outlive_ostlerd() {
    let machine = Machine::boot();
    site::put_shop(&machine, "");
    let file = machine.read("/etc/ostler/apps.d/shop.toml").expect("it was written");
    let both = file.replace("listen = ", "listen = [\"127.0.0.1:8000\", ").replace(".sock\"", ".sock\"]");
    machine.write("/etc/ostler/apps.d/shop.toml", &both);
    site::start(&machine);
    machine.write("/srv/shop/app.py", "raise RuntimeError('it is broken')\n");
    machine.tell("systemctl kill -s KILL ostler-shop-g1.scope");
    let refused = || {
        let connect = |of: &str, at: &str| {
            let code = format!("import socket; print(socket.socket(socket.{of}).connect_ex({at}))");
            machine.tell(&format!("python3 -c '{code}'"))
        };
        let both = [connect("AF_INET", "(\"127.0.0.1\", 8000)"), connect("AF_UNIX", "\"/run/shop.sock\"")];
        (both == ["111", "111"]).then_some(())
    };
    until("both refuse", refused);
    let stored = || machine.property("ostler", "NFileDescriptorStore");
    // With the one of health.
    assert_eq!(stored(), "3", "{}", machine.journal("ostler"));
    let before = machine.property("ostler", "MainPID");
    machine.tell(&format!("kill -9 {before}"));
    until("another ostlerd is there", || {
        let now = machine.property("ostler", "MainPID");
        (now != "0" && now != before && machine.property("ostler", "ActiveState") == "active").then_some(())
    });
    until("both refuse", refused);
    assert_eq!(stored(), "3");
    assert!(!machine.journal("ostler").contains("could not be taken back"), "{}", machine.journal("ostler"));
    machine.write("/srv/shop/app.py", WSGI);
    machine.run(&["ostler", "restart", "shop"]).exits(0);
    assert_eq!(visit(&machine), "200");
}
