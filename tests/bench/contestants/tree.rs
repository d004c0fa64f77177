//! A server that was started as one process, found again with all that it has started.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Proc, Said, Site, eventually, free_address, kill, until, usual_user, venvs};
use crate::load::{Target, get};

/// How one is reloaded.
pub enum Reload {
    /// A signal to a process.
    Signal(Signal),
    /// The time of a file is moved on.
    Touch(PathBuf),
    /// A command, to its end.
    Command(Vec<String>),
}

/// Where the workers are.
#[derive(Clone, Copy)]
pub enum Workers {
    /// Children of what was started.
    Children,
    /// Children of its only child.
    Grandchildren,
}

/// The running server.
pub struct Tree {
    child: Daemon,
    target: Target,
    reload: Reload,
    workers: Workers,
    keeps_alive: bool,
    folder: Folder,
}

impl Tree {
    /// Starts `command`, and waits until it answers on `target`.
    pub fn start(
        folder: Folder,
        target: Target,
        command: &mut Command,
        workers: Workers,
        reload: Reload,
    ) -> Tree {
        let (name, value) = folder.site.mark();
        let command = &mut apart(command);
        command.env(name, value).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder.path());
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder is ours");
        let both = log.try_clone().expect("a descriptor is free");
        let program = format!("{:?}", command.get_program());
        let child = command.stdin(Stdio::null()).stdout(log).stderr(both).spawn();
        let child = child.unwrap_or_else(|error| panic!("{program}: {error}"));
        let tree = Tree { child: Daemon(child), target, reload, workers, keeps_alive: true, folder };
        let serves = eventually(Duration::from_secs(60), || get(&tree.target, "/").ok());
        assert!(serves.is_some(), "{program} does not serve:\n{}", tree.log());
        tree
    }

    /// Of one that closes every connection after its answer, without saying so in the answer.
    pub fn closing(mut self) -> Tree {
        self.keeps_alive = false;
        self
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn root(&self) -> Proc {
        Proc(self.child.0.id() as i32)
    }
}

impl super::Server for Tree {
    fn target(&self) -> Target {
        self.target.clone()
    }

    fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    fn release(&self, text: &str) {
        self.folder.write("app.py", text);
    }

    fn ask(&self) {
        match &self.reload {
            Reload::Signal(signal) => kill(self.root().0, *signal),
            Reload::Touch(file) => std::fs::write(file, "").expect("the folder is ours"),
            // How it ended is not asked: of a release that does not boot some say so and some do not.
            Reload::Command(words) => {
                drop(Said::of(Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null())))
            }
        }
    }

    fn workers(&self) -> Vec<i32> {
        let children = self.root().children();
        match self.workers {
            Workers::Children => children,
            Workers::Grandchildren => children.iter().flat_map(|pid| Proc(*pid).children()).collect(),
        }
    }

    fn supervisor(&self) -> Vec<Proc> {
        let children = self.root().children().into_iter().map(Proc);
        match self.workers {
            Workers::Children => vec![self.root()],
            Workers::Grandchildren => [self.root()].into_iter().chain(children).collect(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Some never end when what they look after does not boot.
        self.child.end(Duration::from_secs(3));
        for process in self.folder.site.processes() {
            kill(process.0, Signal::SIGKILL);
        }
    }
}

/// The command in a session of its own, as a service is: the kernel shares processors out among sessions, and a server in
/// that of the client would get its turn together with it.
pub fn apart(command: &Command) -> Command {
    let mut apart = Command::new("setsid");
    apart.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        apart.current_dir(folder);
    }
    apart
}

/// A process that is ended when it is dropped.
pub struct Daemon(pub Child);

impl Daemon {
    /// Asks it to end, and waits so long.
    pub fn end(&mut self, limit: Duration) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        kill(self.0.id() as i32, Signal::SIGTERM);
        if eventually(limit, || self.0.try_wait().ok().flatten()).is_none() {
            kill(self.0.id() as i32, Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Duration::from_secs(30));
    }
}

/// A folder with the app, and the mark by which its processes are found again.
pub struct Folder {
    site: Site,
}

impl Folder {
    /// One with this `app.py`.
    pub fn with(text: &str) -> Folder {
        let folder = Folder { site: Site::new() };
        folder.write("app.py", text);
        folder
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.site.path("releases")
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the folder is ours");
    }

    /// A file in it, as a text.
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).to_string_lossy().into_owned()
    }
}

/// An address of its own.
pub fn address() -> std::net::SocketAddr {
    free_address()
}

/// A program of the environment of what ostler is compared with.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("OSTLER_BENCH_VENV").map_or_else(|| venvs().join("bench"), PathBuf::from);
    let program = folder.join("bin").join(name);
    assert!(program.exists(), "{} is missing: run `make bench-venv` first", program.display());
    program
}

/// The versions of all programs that ostler is compared with, as their packages say them.
pub fn versions() -> String {
    let wanted = "from importlib.metadata import version as v\n\
        print(', '.join(f'{n} {v(n)}' for n in ['granian', 'uwsgi', 'circus', 'uvicorn', 'supervisor']))";
    let said = Said::of(Command::new(program("python")).args(["-c", wanted])).exits(0);
    let gunicorn = crate::harness::Gunicorn::V27.program("gunicorn");
    let gunicorn = Said::of(Command::new(gunicorn).arg("--version")).exits(0).out;
    let gunicorn = gunicorn.split_whitespace().find(|word| word.starts_with(|it: char| it.is_ascii_digit()));
    format!("gunicorn {}, {}", gunicorn.unwrap_or("27").trim_end_matches(')'), said.out.trim())
}
