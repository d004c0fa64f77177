//! The ports of health are ostlerd's through its crashes, and a runtime directory that is gone stops nobody.

use std::process::Stdio;

use crate::harness::until;
use crate::load::Load;
use crate::machine::Machine;
use crate::site::{put_shop, start, status, target, visit, wait_for};

/// Somebody who has nothing to do with ostler.
const STRANGER: &str = "setpriv --reuid=12345 --regid=12345 --clear-groups";

/// Takes any of these ports as soon as it is free, answers `ok` there, and says so.
const SEIZER: &str = r#"
import socket, sys, threading
def seize(port):
    while True:
        try:
            held = socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
        print("seized", port, flush=True)
        while True:
            held.accept()[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")
print("begun", flush=True)
for port in map(int, sys.argv[1:]):
    threading.Thread(target=seize, args=(port,)).start()
"#;

fn main_pid(machine: &Machine) -> String {
    machine.property("ostler", "MainPID")
}

/// Kills ostlerd, and returns when the next one runs.
fn kill(machine: &Machine) {
    let pid = main_pid(machine);
    machine.tell(&format!("kill -9 {pid}"));
    until("the next ostlerd runs", || {
        let (now, state) = (main_pid(machine), machine.property("ostler", "ActiveState"));
        (now != pid && now != "0" && state == "active").then_some(())
    });
}

fn asked(machine: &Machine, path: &str) -> String {
    machine.tell(&format!(
        "python3 -c 'import urllib.request; \
         print(urllib.request.urlopen(\"http://127.0.0.1:9180{path}\", timeout=10).read().decode())'"
    ))
}

#[test]
fn nobody_gets_a_port_of_healths_while_ostlerd_is_dead() {
    let machine = Machine::boot();
    put_shop(&machine, "");
    let health =
        "listen = [\"127.0.0.1:9180\", \"unix:/run/ostler/health.sock\"]\nagent = \"127.0.0.1:9181\"";
    machine.write("/etc/ostler/ostler.toml", &format!("[health]\n{health}\n"));
    machine.write("/srv/seizer.py", SEIZER);
    start(&machine);
    let words = format!("{STRANGER} python3 /srv/seizer.py 9180 9181 >/run/seized 2>&1");
    let mut seizer = machine.command(&["sh", "-c", &words]).stdout(Stdio::null()).spawn().expect("sh starts");
    until("somebody tries", || machine.read("/run/seized").filter(|it| it.contains("begun")));
    for _ in 0..3 {
        kill(&machine);
        assert!(asked(&machine, "/readyz?verbose").contains("[+]ostlerd ok"));
        machine.tell("test -S /run/ostler/health.sock");
    }
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    assert!(asked(&machine, "/metrics").contains("ostler"));
    let through_the_file = "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(10); \
         s.connect(\"/run/ostler/health.sock\"); s.sendall(b\"GET /readyz HTTP/1.0\\r\\n\\r\\n\"); \
         print(s.recv(4096).decode())'";
    assert!(machine.tell(through_the_file).contains("200 OK"));
    assert_eq!(machine.read("/run/seized").as_deref(), Some("begun\n"), "he has got a port");
    // One that is no more wanted is let go.
    machine.write("/etc/ostler/ostler.toml", "[health]\nlisten = [\"127.0.0.1:9180\"]\n");
    machine.run(&["systemctl", "restart", "ostler"]).exits(0);
    until("he gets what is free", || machine.read("/run/seized").filter(|it| it == "begun\nseized 9181\n"));
    let _ = seizer.kill();
    let _ = seizer.wait();
    assert_eq!(machine.property("ostler", "NFileDescriptorStore"), "2");
}

#[test]
fn a_runtime_directory_that_is_gone_loses_no_request_when_ostlerd_is_killed() {
    for how in ["rm -rf /run/ostler", "mv /run/ostler /run/away"] {
        let machine = Machine::boot();
        put_shop(&machine, "workers = 2");
        start(&machine);
        let load = Load::on(&target(&machine)).connections(3).start();
        load.more(20);
        machine.tell(how);
        kill(&machine);
        wait_for(&machine, "ostler", "StatusText", "1 app serves");
        load.more(20);
        let tally = load.stop();
        println!("{how}: {tally}");
        tally.lost_nothing();
        assert_eq!(status(&machine).apps[0].workers.len(), 2);
        assert!(visit(&machine).contains("200 OK"));
        machine.run(&["systemctl", "stop", "ostler"]).exits(0);
    }
}
