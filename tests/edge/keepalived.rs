//! Two keepalived in network namespaces of their own, on one wire: the address goes where a server is ready.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::front::{installed, mortal};
use crate::harness::{Site, WSGI, is_root, until};
use crate::pair::{change, example};

/// Two namespaces, `eth0` in each, and a keepalived on it that writes its log to `first.log` or `second.log`.
const WIRE: &str = r#"
set -eu
unshare --net sleep 600 &
second=$!
while [ "$(readlink /proc/$second/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link add eth0 type veth peer name eth0 netns $second
ip address add 10.0.0.1/24 dev eth0
ip link set eth0 up
nsenter --net --target $second ip address add 10.0.0.2/24 dev eth0
nsenter --net --target $second ip link set eth0 up
"$1" --config-test --use-file first.conf
"$1" -n -l -f first.conf -p first.pid -r first.vrrp >first.log 2>&1 &
nsenter --net --target $second "$1" -n -l -f second.conf -p second.pid -r second.vrrp >second.log 2>&1 &
wait
"#;

/// The wire while it is there. Dropped, all its processes are gone.
struct Wire {
    child: Child,
    folder: PathBuf,
}

impl Wire {
    fn start(site: &Site, text: &str) -> Wire {
        let folder = site.path("keepalived");
        fs::create_dir(&folder).expect("the folder is new");
        let text = change(text, "advert_int 1", "advert_int 0.2");
        fs::write(folder.join("first.conf"), &text).expect("the folder is ours");
        fs::write(folder.join("second.conf"), of_the_other(&text)).expect("the folder is ours");
        let log = File::create(folder.join("log")).expect("the folder is ours");
        let mut command = mortal("unshare");
        // A process namespace, so that nothing in it outlives its first process.
        command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", WIRE, "wire"]).arg(installed("keepalived"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        command.current_dir(&folder);
        let child = command.spawn().expect("unshare starts");
        Wire { child, folder }
    }

    /// Waits until this keepalived has the address and the other one has not.
    #[track_caller]
    fn is_at(&self, master: &str, backup: &str) {
        until(format!("{master} has the address\n{}", self.logs()), || {
            let states = (self.state(master)?, self.state(backup)?);
            (states == ("MASTER".to_owned(), "BACKUP".to_owned())).then_some(())
        });
    }

    fn state(&self, name: &str) -> Option<String> {
        let log = read(&self.folder.join(format!("{name}.log")));
        let last = log.rsplit("Entering ").next().filter(|_| log.contains("Entering "))?;
        last.split(' ').next().map(str::to_owned)
    }

    fn logs(&self) -> String {
        ["log", "first.log", "second.log"].map(|name| read(&self.folder.join(name))).join("---\n")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- keepalived's logs\n{}", self.logs());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same file for the other server, as its comment says.
fn of_the_other(text: &str) -> String {
    let text = change(text, "state MASTER", "state BACKUP");
    let text = change(&text, "priority 100", "priority 90");
    // It tracks something that is always well.
    let text = text.replace("script \"", "script \"/bin/true ").replace("/keepalived\n", "/always-ready\n");
    text.replace("10.0.0.1\n", "THE_FIRST\n")
        .replace("10.0.0.2\n", "10.0.0.1\n")
        .replace("THE_FIRST\n", "10.0.0.2\n")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The address leaves a server that is drained, and comes back to it.
fn the_address_follows_a_drain(name: &str) {
    let site = Site::new();
    let run = site.path("run");
    let health = format!(
        "[health]\nlisten = [\"unix:{run}/health.sock\"]\ntrack_file = \"{run}/keepalived\"\n",
        run = run.display()
    );
    fs::write(site.config(), health).expect("the site's folder is writable");
    site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    fs::write(run.join("always-ready"), "0\n").expect("the folder is ours");

    let text = example(name).replace("/run/ostler", &run.to_string_lossy());
    let text = text.replace("interval 2\n", "interval 1\n").replace("fall 2\n", "fall 1\n");
    let wire = Wire::start(&site, &text);
    wire.is_at("first", "second");
    ostlerd.ostler(&["drain"]).exits(0);
    wire.is_at("second", "first");
    ostlerd.ostler(&["undrain"]).exits(0);
    wire.is_at("first", "second");
}

#[test]
fn keepalived_with_a_tracked_file_moves_the_address_away_from_a_drained_server() {
    the_address_follows_a_drain("keepalived-track-file.conf");
}

#[test]
fn keepalived_with_a_script_moves_the_address_away_from_a_drained_server() {
    the_address_follows_a_drain("keepalived-script.conf");
}
