//! A machine: Debian with systemd as its process 1, in a container, on a layer of its own that is gone with it.
//!
//! ```text
//! target/rootfs ── overlay in memory ── systemd-nspawn in a control group of its own ── systemd
//!                                          └─ `run`: nsenter, in the machine's init.scope
//! ```
//!
//! The control group is what ends it, whatever happens in it; a machine whose test was killed ends with it.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Said, eventually, is_root, until, venvs};

/// Where the machine keeps the programs and the unit, as the package does.
const OURS: &[(&str, &str)] = &[
    (env!("CARGO_BIN_EXE_ostlerd"), "/usr/bin/ostlerd"),
    (env!("CARGO_BIN_EXE_ostler"), "/usr/bin/ostler"),
    (concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/ostler.service"), "/lib/systemd/system/ostler.service"),
    (concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/ostler.sysusers.conf"), "/usr/lib/sysusers.d/ostler.conf"),
    (concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/ostler.tmpfiles.conf"), "/usr/lib/tmpfiles.d/ostler.conf"),
];

/// Where nspawn keeps a folder for each machine, which a killed one leaves behind.
const PROPAGATE: &str = "/run/systemd/nspawn/propagate";

/// Moves itself into the control group of its first argument, then becomes the rest.
const ENTER: &str = r#"echo 0 >"$1/cgroup.procs" && shift && exec "$@""#;

/// The Debians that are booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debian {
    /// systemd 252, Python 3.11.
    Twelve,
    /// systemd 257, Python 3.13.
    Thirteen,
}

thread_local! {
    /// What [`Machine`] boots in a test; `OSTLER_DEBIAN=12` says it for all.
    static DEBIAN: Cell<Debian> = Cell::new(match std::env::var("OSTLER_DEBIAN").as_deref() {
        Err(_) | Ok("13") => Debian::Thirteen,
        Ok("12") => Debian::Twelve,
        Ok(other) => panic!("OSTLER_DEBIAN is {other:?}: there are tests for 12 and 13"),
    });
}

impl Debian {
    /// The one that is booted here.
    pub fn here() -> Debian {
        DEBIAN.get()
    }

    /// Has a test, which is a function as any other, boot this one.
    pub fn try_on(self, test: fn()) {
        DEBIAN.set(self);
        test();
    }

    /// `12` or `13`.
    pub fn number(self) -> u32 {
        match self {
            Debian::Twelve => 12,
            Debian::Thirteen => 13,
        }
    }

    /// What `tests/rootfs.sh` has made of it.
    pub fn rootfs(self) -> PathBuf {
        let thirteen = match std::env::var_os("OSTLER_ROOTFS") {
            Some(folder) => folder.into(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rootfs"),
        };
        match self {
            Debian::Twelve => beside(&thirteen, "-12"),
            Debian::Thirteen => thirteen,
        }
    }

    /// What `tests/debs.sh` has fetched for it.
    pub fn debs(self) -> PathBuf {
        beside(&self.rootfs(), "-debs")
    }
}

fn beside(folder: &Path, end: &str) -> PathBuf {
    let mut name = folder.file_name().expect("it is no root").to_owned();
    name.push(end);
    folder.with_file_name(name)
}

/// A booted machine. Dropped, it is gone: processes, mounts, control groups.
pub struct Machine {
    name: String,
    cgroup: PathBuf,
    nspawn: Child,
    init: i32,
    folder: TempDir,
}

impl Machine {
    /// A machine with ostler's programs and unit, and the environments of the tests where they are here.
    #[track_caller]
    pub fn boot() -> Machine {
        Machine::boot_with(&[])
    }

    /// The same with these files and folders of this machine, too.
    #[track_caller]
    pub fn boot_with(more: &[(PathBuf, PathBuf)]) -> Machine {
        let mut binds: Vec<(PathBuf, PathBuf)> =
            OURS.iter().map(|(from, to)| (from.into(), to.into())).collect();
        binds.extend_from_slice(more);
        let venvs = fs::canonicalize(venvs()).unwrap_or_else(|_| venvs());
        assert!(venvs.exists(), "{} is missing: run `bash tests/venvs.sh` first", venvs.display());
        binds.push((venvs.clone(), venvs));
        let machine = Machine::bare(&binds);
        machine.run(&["ostlerd", "--version"]).exits(0);
        machine
    }

    /// A machine with these files and folders of this one, read-only, and nothing of ostler.
    #[track_caller]
    pub fn bare(binds: &[(PathBuf, PathBuf)]) -> Machine {
        let rootfs = ready();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("ostler-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cgroup = own_cgroup().join(&name);
        fs::create_dir(&cgroup).unwrap_or_else(|error| panic!("{}: {error}", cgroup.display()));
        let folder = TempDir::with_prefix("ostler-machine-").expect("/tmp is writable");
        let console = File::create(folder.path().join("console")).expect("the folder is ours");
        let mut command = entering(&cgroup);
        // Killed with the thread of its test.
        command.args(["setpriv", "--pdeathsig", "KILL", "--", "systemd-nspawn", "--quiet", "--boot"]);
        command.args(["--register=no", "--keep-unit", "--private-network", "--console=pipe"]);
        command.args(["--volatile=overlay", "--link-journal=no", "--machine", &name, "--directory"]);
        command.arg(rootfs);
        // As on a machine of one's own; a container's is stricter, and no socket could be taken back from a worker.
        command.arg("--system-call-filter=pidfd_getfd");
        for (from, to) in binds {
            command.arg(format!("--bind-ro={}:{}", from.display(), to.display()));
        }
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        // Many boot on it at once, and none writes in it.
        command.env("SYSTEMD_NSPAWN_LOCK", "0");
        command
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a descriptor is free"))
            .stderr(console);
        let nspawn = command.spawn().expect("sh starts");
        let mut machine = Machine { name, cgroup, nspawn, init: 0, folder };
        machine.wait_until_up();
        machine
    }

    #[track_caller]
    fn wait_until_up(&mut self) {
        let procs = self.cgroup.join("payload/init.scope/cgroup.procs");
        self.init = until("systemd runs in the machine", || {
            let ended = self.nspawn.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "systemd-nspawn ended, {ended:?}:\n{}", self.console());
            fs::read_to_string(&procs).ok()?.lines().next()?.parse().ok()
        });
        let state = until("the machine is up", || {
            let said = self.run(&["systemctl", "is-system-running", "--wait"]);
            (!said.out.trim().is_empty()).then_some(said)
        });
        let state = state.out.trim();
        assert!(matches!(state, "running" | "degraded"), "the machine is {state}:\n{}", self.console());
    }

    /// What was printed on its console.
    pub fn console(&self) -> String {
        fs::read_to_string(self.folder.path().join("console")).unwrap_or_default()
    }

    /// Runs a program in the machine, as root, to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Said {
        Said::of(&mut self.command(words))
    }

    /// Runs a line of shell.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Said {
        self.run(&["sh", "-c", line])
    }

    /// Runs a line of shell that has to succeed; what it printed.
    #[track_caller]
    pub fn tell(&self, line: &str) -> String {
        self.sh(line).exits(0).out.trim().to_owned()
    }

    /// A program in the machine, not started. It ends with the machine.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = entering(&self.cgroup.join("payload/init.scope"));
        command.args(["nsenter", "--target", &self.init.to_string()]);
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]).args(words);
        command.stdin(Stdio::null()).current_dir("/").env_clear();
        command.envs([("PATH", "/usr/sbin:/usr/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")]);
        command.envs([("SYSTEMD_COLORS", "0"), ("SYSTEMD_PAGER", "")]);
        command
    }

    /// A path of the machine, as this one sees it: files and Unix sockets are reached so from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// A control group of the machine, as this one sees it.
    pub fn cgroup(&self, path: &str) -> PathBuf {
        self.cgroup.join("payload").join(path)
    }

    /// Writes a file in it, with the folders above it.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let to = self.path(path);
        fs::create_dir_all(to.parent().expect("it is below /")).expect("the machine's files are writable");
        fs::write(&to, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Reads a file of it.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// What the journal has of a unit, or of all that a pattern names.
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--sync"]);
        self.run(&["journalctl", "--no-pager", "--output=short-monotonic", "--unit", unit]).out
    }

    /// One property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.tell(&format!("systemctl show --value --property={name} '{unit}'"))
    }

    /// Every process in the control group of a unit, and below it: command lines by number, as the machine sees them.
    pub fn processes(&self, unit: &str) -> Vec<i32> {
        let group = self.sh(&format!("systemctl show --value --property=ControlGroup '{unit}'")).out;
        match group.trim() {
            "" => Vec::new(),
            group => self.processes_in(group),
        }
    }

    /// The same of a control group by its path.
    pub fn processes_in(&self, group: &str) -> Vec<i32> {
        let said = self.sh(&format!("find '/sys/fs/cgroup{group}' -name cgroup.procs -exec cat {{}} +"));
        said.out.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Powers it off as its owner would, and waits for the end; how long it took.
    #[track_caller]
    pub fn power_off(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let _ = self.run(&["systemctl", "poweroff", "--no-block"]);
        let status = until("the machine is off", || self.nspawn.try_wait().expect("the child is ours"));
        (status, began.elapsed())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal =
                self.command(&["journalctl", "--no-pager", "-o", "short-precise", "-n", "600"]).output();
            let journal = journal.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
            eprintln!("--- the end of the machine's journal\n{}", journal.unwrap_or_default());
        }
        end_cgroup(&self.cgroup);
        let _ = self.nspawn.wait();
        let _ = fs::remove_dir_all(Path::new(PROPAGATE).join(&self.name));
        let gone = eventually(Duration::from_secs(60), || remove_tree(&self.cgroup).then_some(()));
        assert!(gone.is_some() || std::thread::panicking(), "{} was left behind", self.cgroup.display());
    }
}

fn entering(cgroup: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", ENTER, "sh"]).arg(cgroup);
    command
}

/// What a machine is booted from; says what is missing, once for all tests.
#[track_caller]
fn ready() -> PathBuf {
    assert!(
        is_root(),
        "only root can boot a machine: run the tests with sudo, or leave these out with `--skip booted::`"
    );
    for program in ["systemd-nspawn", "nsenter", "setpriv"] {
        let found = ["/usr/bin", "/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
        assert!(found, "{program} is missing: run `bash tests/setup.sh` first");
    }
    let rootfs = Debian::here().rootfs();
    let made = rootfs.join(".stamp").exists();
    assert!(made, "{} is missing: run `make rootfs` first", rootfs.display());
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep);
    rootfs
}

/// The control group of the tests themselves, where that of a machine is made.
fn own_cgroup() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let mounted =
        mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|it| it[2] == "cgroup2");
    let mounted = mounted.expect("these tests need control groups of version 2: no cgroup2 is mounted here");
    let own = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    Path::new(mounted[1]).join(own)
}

/// Takes away what the machines of killed tests have left: empty control groups.
fn sweep() {
    for item in fs::read_dir(own_cgroup()).into_iter().flatten().flatten() {
        let name = item.file_name().to_string_lossy().into_owned();
        let of = name.strip_prefix("ostler-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if of.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            end_cgroup(&item.path());
            remove_tree(&item.path());
            let _ = fs::remove_dir_all(Path::new(PROPAGATE).join(name));
        }
    }
}

/// Kills everything in it.
fn end_cgroup(cgroup: &Path) {
    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
}

/// Removes a control group and those below; false while something is in one of them.
fn remove_tree(cgroup: &Path) -> bool {
    for item in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if item.path().is_dir() {
            remove_tree(&item.path());
        }
    }
    fs::remove_dir(cgroup).is_ok() || !cgroup.exists()
}
