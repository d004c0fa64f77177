//! Plain gunicorn.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::load::{Target, get};

use super::app::{Gunicorn, free_address};
use super::proc::{Proc, kill};
use super::wait::{eventually, until};

/// Gunicorn under its own master: what ostler is compared with.
pub struct Master {
    child: Child,
    /// Where it listens.
    pub target: Target,
    _folder: tempfile::TempDir,
}

impl Master {
    /// Starts it with this app, and waits until it serves.
    pub fn start(version: Gunicorn, app: &str, args: &[&str]) -> Master {
        let folder = tempfile::tempdir().expect("/tmp is writable");
        std::fs::write(folder.path().join("app.py"), app).expect("the folder is ours");
        let target = Target::Tcp(free_address());
        let mut command = Command::new(version.program("gunicorn"));
        command.args(["--bind", &target.to_string()]).args(args).arg("app:application");
        command.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let master = Master { child: child.expect("gunicorn starts"), target, _folder: folder };
        until("plain gunicorn serves", || get(&master.target, "/").ok());
        master
    }

    /// Its process.
    #[allow(dead_code, reason = "for the bench")]
    pub fn process(&self) -> Proc {
        Proc(self.child.id() as i32)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.child.id() as i32, signal);
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        if eventually(Duration::from_secs(60), || self.child.try_wait().ok().flatten()).is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
