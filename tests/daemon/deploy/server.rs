//! A real sshd on loopback, and users to log in as.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Said, Site, free_address, is_root, kill, until};

/// A file of packaging/examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples").join(name)
}

/// One of the example workflows.
pub fn workflow(file: &str) -> Value {
    let load = "import json, sys, yaml; json.dump(yaml.load(open(sys.argv[1]), yaml.BaseLoader), sys.stdout)";
    let mut python = Command::new("/usr/bin/python3");
    let read = Said::of(python.args(["-c", load]).arg(example(file))).exits(0);
    serde_json::from_str(&read.out).expect("it is JSON")
}

/// A user who can log in: one of the tests' own where they are root, and ourselves where not.
pub struct Account {
    pub name: String,
    made: bool,
}

impl Account {
    pub fn new() -> Account {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if !is_root() {
            let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
            return Account { name: user.expect("whoever runs the tests has a name").name, made: false };
        }
        let name = format!("ostler-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let made = || {
            let mut useradd = Command::new("/usr/sbin/useradd");
            // No password fits, and the account is not locked.
            useradd.args(["--system", "--home-dir", "/", "--no-create-home", "--shell", "/bin/sh"]);
            useradd.args(["--password", "*", &name]);
            // Another test may have the files locked.
            (Said::of(&mut useradd).code == Some(0)).then_some(())
        };
        until("a user is made", made);
        Account { name, made: true }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.made {
            let gone = || {
                (Said::of(Command::new("/usr/sbin/userdel").arg(&self.name)).code != Some(1)).then_some(())
            };
            until("the user is gone", gone);
        }
    }
}

/// An sshd with one key, which may run one command.
pub struct Sshd {
    pub address: SocketAddr,
    /// The private key, and what a client knows of the host.
    pub key: String,
    pub known_hosts: String,
    child: Child,
}

impl Sshd {
    /// Runs until it is dropped; the key of `user` is forced to `command`, with `ostler` of this build in PATH.
    pub fn start(site: &Site, user: &str, command: &str) -> Sshd {
        let folder = site.path(&format!("sshd-{user}"));
        fs::create_dir(&folder).expect("the folder is new");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        let address = free_address();
        let [host_key, key] = ["host", "key"].map(|name| {
            let path = folder.join(name);
            let mut keygen = Command::new("ssh-keygen");
            Said::of(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path)).exits(0);
            path
        });
        let public = |path: &Path| fs::read_to_string(path.with_extension("pub")).expect("it was made");
        let programs = Path::new(env!("CARGO_BIN_EXE_ostler")).parent().expect("it is in a folder");
        let (mark, value) = site.mark();
        let (socket, programs) = (site.socket().display().to_string(), programs.display());
        let env = format!("env {mark}={value} OSTLER_SOCKET={socket} PATH={programs}:/usr/bin:/bin");
        let line = format!("restrict,command=\"{env} {command}\" {}", public(&key));
        let keys = folder.join("authorized_keys");
        fs::write(&keys, line).expect("the folder is ours");
        let config = folder.join("sshd_config");
        let text = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
            host_key.display(),
            keys.display()
        );
        fs::write(&config, text).expect("the folder is ours");
        let log = fs::File::create(folder.join("log")).expect("the folder is ours");
        let mut sshd = match is_root() {
            // It wants a folder in /run, and gets a /run of its own.
            true => {
                let mut own = Command::new("unshare");
                let run =
                    "mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f \"$0\"";
                own.args(["--mount", "sh", "-c", run]);
                own
            }
            false => {
                let mut own = Command::new("/usr/sbin/sshd");
                own.args(["-D", "-e", "-f"]);
                own
            }
        };
        let child =
            sshd.arg(&config).env(mark, value).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let sshd = Sshd {
            address,
            key: fs::read_to_string(&key).expect("it was made"),
            known_hosts: format!("[{}]:{} {}", address.ip(), address.port(), public(&host_key)),
            child: child.expect("sshd starts: tests/setup.sh installs it"),
        };
        until("sshd listens", || std::net::TcpStream::connect(address).is_ok().then_some(()));
        sshd
    }

    /// What the forced command says.
    pub fn says(&self, site: &Site, account: &Account) -> Said {
        let key = site.path(&format!("sshd-{}/key", account.name));
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i"]).arg(key);
        ssh.arg("-p").arg(self.address.port().to_string());
        Said::of(ssh.arg(format!("{}@{}", account.name, self.address.ip())).stdin(Stdio::null()))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        kill(self.child.id() as i32, Signal::SIGTERM);
        // Whatever it says, it is gone then.
        let _ = self.child.wait();
    }
}
