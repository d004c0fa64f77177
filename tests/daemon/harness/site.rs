//! A folder with a configuration and apps, and the mark by which every process of it is found again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::app::{AppFile, venvs};
use super::ostlerd::{Ostlerd, Said};
use super::proc::{Proc, is_root, kill};
use super::wait::eventually;

const MARK: &str = "OSTLER_TEST";

/// A machine in small: ostler.toml, apps.d, the runtime and the state folder, the releases.
pub struct Site {
    root: TempDir,
    mark: String,
}

impl Site {
    /// An empty site.
    pub fn new() -> Site {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let root = tempfile::Builder::new().prefix("ostler-").tempdir().expect("/tmp is writable");
        readable(root.path());
        for name in ["apps.d", "releases", "logs"] {
            fs::create_dir(root.path().join(name)).expect("the folder is new");
            readable(&root.path().join(name));
        }
        let everyone = fs::Permissions::from_mode(0o777);
        fs::set_permissions(root.path().join("logs"), everyone).expect("the folder is ours");
        fs::write(root.path().join("ostler.toml"), "").expect("the folder is ours");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}-{}", std::process::id(), now.as_nanos());
        Site { root, mark }
    }

    /// One whose health has an address of its own. The default one is had by one ostlerd at a time, and each gets it, with its
    /// descriptors, when another test has ended.
    #[allow(dead_code, reason = "for the tests that count descriptors")]
    pub fn with_own_health() -> Site {
        let site = Site::new();
        let address = format!("unix:{}", site.path("run/health.sock").display());
        fs::write(site.config(), format!("[health]\nlisten = [{address:?}]\n")).expect("the folder is ours");
        site
    }

    /// A path in it; every user may write in `logs`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The main file.
    pub fn config(&self) -> PathBuf {
        self.path("ostler.toml")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/control.sock")
    }

    /// The variable by which the processes of this site are found again.
    #[allow(dead_code, reason = "for the tests of the import")]
    pub fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    /// An app that is not written yet, as the tests' usual user.
    pub fn app(&self, name: &str) -> AppFile {
        AppFile::new(name, self.root.path(), usual_user(), (MARK, &self.mark))
    }

    /// `ostlerd` with this site's folders, not started.
    pub fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_ostlerd")))
    }

    /// The same for another copy of the program.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config());
        command.arg("--runtime-dir").arg(self.path("run"));
        command.arg("--state-dir").arg(self.path("state"));
        command.env(MARK, &self.mark).env("SECRET", "of-ostlerd").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).current_dir(self.root.path());
        command
    }

    /// `ostlerd` on this site, in the background, once its control socket answers.
    pub fn start(&self) -> Ostlerd<'_> {
        Ostlerd::start(self)
    }

    /// The same with one more variable in its environment.
    pub fn start_with(&self, name: &str, value: &Path) -> Ostlerd<'_> {
        let mut command = self.command();
        command.env(name, value);
        Ostlerd::run(self, command)
    }

    /// The same by a command of the test's own, made of [`Site::command`].
    #[allow(dead_code, reason = "for the tests of the daemon")]
    pub fn start_by(&self, command: Command) -> Ostlerd<'_> {
        Ostlerd::run(self, command)
    }

    /// The same with another copy of the program.
    pub fn start_as(&self, program: &Path) -> Ostlerd<'_> {
        Ostlerd::run(self, self.command_of(program))
    }

    /// `ostlerd` where it ends by itself: what it said and its exit status.
    pub fn start_in_vain(&self) -> Said {
        Said::of(&mut self.command())
    }

    /// `ostlerd --check`.
    pub fn check(&self) -> Said {
        Said::of(self.command().arg("--check"))
    }

    /// `ostler check FILE`, without a daemon.
    pub fn ostler_check(&self) -> Said {
        self.ostler(&["check", &self.config().to_string_lossy()])
    }

    /// The command, with the socket of this site.
    pub fn ostler(&self, args: &[&str]) -> Said {
        Said::of(&mut self.ostler_command(args))
    }

    /// The command, not started.
    pub fn ostler_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command.arg("--socket").arg(self.socket()).args(args).stdin(Stdio::null());
        command.env(MARK, &self.mark);
        command
    }

    /// Every process that belongs to this site: ostlerd, its workers, commands.
    pub fn processes(&self) -> Vec<Proc> {
        Proc::with_env(&format!("{MARK}={}", self.mark))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let gone = eventually(Duration::from_secs(60), || self.processes().is_empty().then_some(()));
        if gone.is_some() {
            return;
        }
        let left = self.processes();
        let names: Vec<String> = left.iter().map(|process| process.command()).collect();
        for process in left {
            kill(process.0, Signal::SIGKILL);
        }
        eventually(Duration::from_secs(60), || self.processes().is_empty().then_some(()));
        assert!(std::thread::panicking(), "processes were left behind: {names:#?}");
    }
}

/// Whom apps run as: `nobody` where the tests are root and nobody can reach the environments, root where
/// only root can (a checkout below /root), and ourselves otherwise.
pub fn usual_user() -> Option<&'static str> {
    static USER: OnceLock<Option<&'static str>> = OnceLock::new();
    *USER.get_or_init(|| {
        let open = |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o005 == 0o005);
        match (is_root(), venvs().ancestors().all(open)) {
            (true, true) => Some("nobody"),
            (true, false) => Some("root"),
            (false, _) => None,
        }
    })
}

/// Lets every user read a file or enter a folder of the tests.
pub fn readable(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}
