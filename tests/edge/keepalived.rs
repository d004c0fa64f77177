//! Two keepalived in network namespaces of their own, on one wire, each beside an ostlerd and with what that prints for it:
//! the address goes where a server is ready.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::front::{installed, mortal};
use crate::harness::{Site, WSGI, is_root, until};

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
while sleep 0.2; do
    ip -brief address show dev eth0 >first.new; mv first.new first.addresses
    nsenter --net --target $second ip -brief address show dev eth0 >second.new; mv second.new second.addresses
done
"#;

const NAMES: [&str; 2] = ["first", "second"];

/// The wire while it is there. Dropped, all its processes are gone.
struct Wire {
    child: Child,
    folder: PathBuf,
}

impl Wire {
    fn start(sites: &[Site; 2]) -> Wire {
        let folder = sites[0].path("keepalived");
        fs::create_dir(&folder).expect("the folder is new");
        let servers = ["10.0.0.1", "10.0.0.2"];
        for (at, site) in sites.iter().enumerate() {
            let priority = ["100", "90"][at];
            let (own, other) = (servers[at], servers[1 - at]);
            let options = ["--self", own, "--peer", other, "--vip", "10.0.0.10/24", "--priority", priority];
            let said = site.ostler(&[&["edge", "keepalived", "--check-every", "1s"][..], &options].concat());
            let path = folder.join(format!("{}.conf", NAMES[at]));
            fs::write(path, said.exits(0).out).expect("the folder is ours");
        }
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

    /// Waits until this server has the address and the other one has not.
    #[track_caller]
    fn is_at(&self, master: &str) {
        until(format!("{master} has the address\n{}", self.logs()), || {
            let has = NAMES
                .map(|name| read(&self.folder.join(format!("{name}.addresses"))).contains("10.0.0.10/24"));
            (has == NAMES.map(|name| name == master)).then_some(())
        });
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

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Two servers whose health answers on a Unix socket; with this in `[health]` too.
fn sites(more: impl Fn(&Path) -> String) -> [Site; 2] {
    NAMES.map(|_| {
        let site = Site::new();
        let run = site.path("run");
        let health = format!("[health]\nlisten = [\"unix:{}/health.sock\"]\n", run.display());
        fs::write(site.config(), health + &more(&run)).expect("the site's folder is writable");
        site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
        site
    })
}

#[test]
fn the_address_leaves_a_server_that_drains_and_comes_back_by_a_tracked_file() {
    let sites = sites(|run| format!("track_file = \"{}/keepalived\"\n", run.display()));
    let daemons = sites.each_ref().map(Site::start);
    daemons.iter().for_each(|ostlerd| drop(ostlerd.serving("shop")));
    let wire = Wire::start(&sites);
    wire.is_at("first");
    daemons[0].ostler(&["drain"]).exits(0);
    wire.is_at("second");
    daemons[0].ostler(&["undrain"]).exits(0);
    wire.is_at("first");
}

#[test]
fn the_address_leaves_a_server_whose_ostlerd_is_killed_and_comes_back_by_a_script() {
    let sites = sites(|_| String::new());
    let [first, second] = sites.each_ref().map(Site::start);
    for ostlerd in [&first, &second] {
        ostlerd.serving("shop");
    }
    let wire = Wire::start(&sites);
    wire.is_at("first");
    first.ostler(&["drain"]).exits(0);
    wire.is_at("second");
    first.ostler(&["undrain"]).exits(0);
    wire.is_at("first");
    first.crash();
    wire.is_at("second");
    let first = sites[0].start();
    first.serving("shop");
    wire.is_at("first");
}
