//! An app on a machine, and what ostler says of it there.

use std::collections::BTreeSet;
use std::time::Duration;

use ostler::observe::{AppStatus, Status};

use crate::harness::{Gunicorn, Said, WSGI, until};
use crate::load::Target;
use crate::machine::Machine;

/// Where the app listens; from outside, [`target`].
const SOCKET: &str = "/run/shop.sock";

/// Puts the app `shop` on the machine, as `nobody`, on a Unix socket. `more` is added to its file.
pub fn put_shop(machine: &Machine, more: &str) {
    machine.write("/srv/shop/app.py", WSGI);
    write_shop(machine, more);
    machine.write("/etc/ostler/ostler.toml", "");
}

/// Writes its file again.
pub fn write_shop(machine: &Machine, more: &str) {
    let python = Gunicorn::V27.python();
    let file = format!(
        "directory = \"/srv/shop\"\npython = {python:?}\napp = \"app:application\"\nuser = \"nobody\"\n\
         listen = \"unix:{SOCKET}\"\nenv = {{ PYTHONDONTWRITEBYTECODE = \"1\" }}\n{more}\n\
         [rollout]\nsettle = \"300ms\"\n"
    );
    machine.write("/etc/ostler/apps.d/shop.toml", &file);
}

/// Where it is reached from outside the machine.
pub fn target(machine: &Machine) -> Target {
    Target::Unix(machine.path(SOCKET))
}

/// What the app answers to one request.
#[track_caller]
pub fn visit(machine: &Machine) -> String {
    machine.tell(&format!(
        "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(\"{SOCKET}\"); \
         s.sendall(b\"GET / HTTP/1.0\\r\\n\\r\\n\"); print(b\"\".join(iter(lambda: s.recv(4096), b\"\")).decode())'"
    ))
}

/// Starts the service; `systemctl` returns when it is ready.
#[track_caller]
pub fn start(machine: &Machine) -> Said {
    machine.run(&["systemctl", "start", "ostler"]).exits(0)
}

/// The machine as `ostler status` has it.
#[track_caller]
pub fn status(machine: &Machine) -> Status {
    let said = machine.run(&["ostler", "status", "--json"]);
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("status --json: {error}: {said}"))
}

/// The app.
#[track_caller]
pub fn shop(machine: &Machine) -> AppStatus {
    status(machine).apps.into_iter().next().expect("there is the app")
}

/// Waits until a property of a unit has this value.
#[track_caller]
pub fn wait_for(machine: &Machine, unit: &str, property: &str, value: &str) {
    let mut last = String::new();
    until(format_args!("{property} of {unit} is {value:?}"), || {
        last = machine.property(unit, property);
        (last == value).then_some(())
    });
}

/// Every process of the app's user, whoever owns it.
pub fn nobodys(machine: &Machine) -> BTreeSet<i32> {
    // One that ends while it is looked at is an error of find's.
    let said = machine.tell("find /proc -maxdepth 1 -user nobody -printf '%f\\n' 2>/dev/null || true");
    said.lines().filter_map(|line| line.parse().ok()).collect()
}
