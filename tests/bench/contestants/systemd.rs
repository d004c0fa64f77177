//! gunicorn as a service of systemd's, which holds the socket: on a booted machine of its own, for root alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::{Gunicorn, Proc, is_root, venvs};
use crate::load::{Target, get};
use crate::machine::{Debian, Machine};

use super::{Server, Shop};

/// Whether a machine can be booted.
pub fn is_here() -> bool {
    is_root() && Debian::here().rootfs().join(".stamp").exists()
}

/// The machine. Clients come through a Unix socket, which is reached from outside of it.
pub struct Service {
    machine: Machine,
    target: Target,
    _link: tempfile::TempDir,
}

/// Boots it, and waits until gunicorn serves.
pub fn start(shop: &Shop) -> Service {
    // A program of it may name its interpreter by either path, where one is a link.
    let real = fs::canonicalize(venvs()).expect("the environments are there");
    let mut binds = vec![(real.clone(), real.clone()), (real, venvs())];
    binds.dedup();
    let machine = Machine::bare(&binds);
    machine.write("/srv/shop/app.py", &shop.text);
    // Of its arguments all but the address, which systemd passes.
    let words = super::gunicorn::words(shop, "")[2..].join(" ");
    machine.write(
        "/etc/systemd/system/shop.service",
        &format!(
            "[Service]\nType=notify\nNotifyAccess=main\nWorkingDirectory=/srv/shop\nKillMode=mixed\nRestart=always\n\
             Environment=PYTHONDONTWRITEBYTECODE=1\nExecStart={} {words}\nExecReload=/bin/kill -s HUP $MAINPID\n",
            Gunicorn::V27.program("gunicorn").display()
        ),
    );
    machine.write("/etc/systemd/system/shop.socket", "[Socket]\nListenStream=/run/shop.sock\nBacklog=2048\n");
    machine.tell("systemctl daemon-reload && systemctl start shop.socket shop.service");
    // The path through /proc is too long for some; a link is not.
    let link = tempfile::tempdir().expect("/tmp is writable");
    let path = link.path().join("shop.sock");
    symlink(machine.path("/run/shop.sock"), &path).expect("the folder is ours");
    let target = Target::Unix(path);
    crate::harness::until("gunicorn serves in the machine", || get(&target, "/").ok());
    Service { machine, target, _link: link }
}

impl Service {
    /// The service's processes as this machine sees them.
    fn processes(&self) -> Vec<i32> {
        let group = self.machine.cgroup("system.slice/shop.service/cgroup.procs");
        let text = fs::read_to_string(group).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn master(&self) -> Option<i32> {
        let all = self.processes();
        all.iter()
            .copied()
            .find(|pid| all.iter().any(|other| other != pid && Proc(*pid).children().contains(other)))
    }
}

impl Server for Service {
    fn target(&self) -> Target {
        self.target.clone()
    }

    fn release(&self, text: &str) {
        self.machine.write("/srv/shop/app.py", text);
    }

    fn ask(&self) {
        self.machine.run(&["systemctl", "restart", "shop.service"]);
    }

    fn workers(&self) -> Vec<i32> {
        let master = self.master();
        self.processes().into_iter().filter(|pid| Some(*pid) != master).collect()
    }

    fn supervisor(&self) -> Vec<Proc> {
        // systemd itself runs anyway.
        self.master().into_iter().map(Proc).collect()
    }
}
