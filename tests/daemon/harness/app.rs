//! One app of a site: its release folder and its file in apps.d.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::load::Target;

use super::site::readable;

/// The versions of gunicorn that the tests have environments for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gunicorn {
    /// 20.1
    V20,
    /// 23
    V23,
    /// 27
    V27,
    /// The newest there is, with the newest Django and Python 3.13.
    Newest,
}

impl Gunicorn {
    /// Its interpreter.
    pub fn python(self) -> PathBuf {
        self.program("python")
    }

    /// A program of its environment.
    pub fn program(self, name: &str) -> PathBuf {
        let folder = match self {
            Gunicorn::V20 => "gunicorn-20.1",
            Gunicorn::V23 => "gunicorn-23",
            Gunicorn::V27 => "gunicorn-27",
            Gunicorn::Newest => "newest",
        };
        let program = venvs().join(folder).join("bin").join(name);
        assert!(program.exists(), "{} is missing: run `bash tests/venvs.sh` first", program.display());
        program
    }
}

/// Whether the newest gunicorn is one that ostler refuses as too new. Said loudly: its laws (`tests/shim/run.py`) are tried all
/// the same, and where they hold it is no longer refused.
pub fn newest_is_too_new() -> bool {
    let versions = venvs().join("newest/.versions");
    let versions =
        fs::read_to_string(&versions).unwrap_or_else(|error| panic!("{}: {error}", versions.display()));
    let of = |line: &str| line.strip_prefix("gunicorn==")?.split('.').next()?.parse::<u32>().ok();
    let newest = versions.lines().find_map(of).expect("it has a gunicorn");
    let settings = include_str!("../../../src/worker/settings.py");
    let supported = settings.lines().find_map(|line| line.strip_prefix("OLDEST, NEWEST = (20, 1), "));
    let supported: u32 = supported.and_then(|it| it.parse().ok()).expect("settings.py says so");
    if newest > supported {
        eprintln!(
            "*** gunicorn {newest} is out, and ostler refuses what is newer than {supported}: see tests/shim/run.py"
        );
    }
    newest > supported
}

/// Where the environments are.
pub fn venvs() -> PathBuf {
    match std::env::var_os("OSTLER_VENVS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venvs"),
    }
}

/// An app's file, before it is written.
#[derive(Clone, Debug)]
pub struct AppFile {
    /// Its name.
    pub name: String,
    /// The release's folder.
    pub directory: PathBuf,
    /// The file in apps.d.
    pub file: PathBuf,
    python: Option<PathBuf>,
    entry: String,
    listen: Vec<Target>,
    user: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    keys: Vec<String>,
    tables: Vec<String>,
}

impl AppFile {
    pub(super) fn new(name: &str, root: &Path, user: Option<&str>, mark: (&str, &str)) -> AppFile {
        let directory = root.join("releases").join(name);
        fs::create_dir_all(&directory).expect("the site's folder is writable");
        readable(&directory);
        let unwritten = ("PYTHONDONTWRITEBYTECODE", "1");
        AppFile {
            name: name.to_owned(),
            file: root.join("apps.d").join(format!("{name}.toml")),
            directory,
            python: Some(Gunicorn::V27.python()),
            entry: "app:application".to_owned(),
            listen: Vec::new(),
            user: user.map(str::to_owned),
            args: Vec::new(),
            env: [mark, unwritten].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
            keys: Vec::new(),
            tables: vec!["[rollout]\nsettle = \"300ms\"".to_owned()],
        }
    }

    /// Served by this version of gunicorn.
    pub fn gunicorn(mut self, version: Gunicorn) -> AppFile {
        self.python = Some(version.python());
        self
    }

    /// Served by this interpreter.
    pub fn python(mut self, python: impl Into<PathBuf>) -> AppFile {
        self.python = Some(python.into());
        self
    }

    /// Names no interpreter.
    pub fn without_python(mut self) -> AppFile {
        self.python = None;
        self
    }

    /// Another `module:attribute`.
    pub fn entry(mut self, entry: &str) -> AppFile {
        self.entry = entry.to_owned();
        self
    }

    /// Listens on an address of its own, which nobody else uses.
    pub fn tcp(self) -> AppFile {
        let address = free_address();
        self.listen(Target::Tcp(address))
    }

    /// Listens on a Unix socket in the site's folder.
    pub fn unix(self) -> AppFile {
        let root = self.file.ancestors().nth(2).expect("the file stands in apps.d").to_owned();
        let path = root.join(format!("{}.sock", self.name));
        self.listen(Target::Unix(path))
    }

    /// Listens here too.
    pub fn listen(mut self, target: Target) -> AppFile {
        self.listen.push(target);
        self
    }

    /// Has so many workers, whatever was said before.
    pub fn workers(mut self, count: u32) -> AppFile {
        self.keys.retain(|key| !key.starts_with("workers = "));
        self.key(&format!("workers = {count}"))
    }

    /// Has these arguments of gunicorn, added to those before.
    pub fn args(mut self, args: &[&str]) -> AppFile {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// Has this in its environment.
    pub fn env(mut self, name: &str, value: &str) -> AppFile {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs as this user; `None` leaves the key out.
    pub fn user(mut self, user: Option<&str>) -> AppFile {
        self.user = user.map(str::to_owned);
        self
    }

    /// Has this line at the top level.
    pub fn key(mut self, line: &str) -> AppFile {
        self.keys.push(line.to_owned());
        self
    }

    /// Has these lines under a table; the table `[rollout]` replaces the tests' own short one.
    pub fn table(mut self, lines: &str) -> AppFile {
        let name = lines.lines().next().unwrap_or_default().to_owned();
        self.tables.retain(|table| !table.starts_with(&name));
        self.tables.push(lines.to_owned());
        self
    }

    /// Writes a file of the release, `app.py` most of all.
    pub fn with(self, name: &str, text: &str) -> AppFile {
        self.release(name, text);
        self
    }

    /// The same, of an app that runs already.
    pub fn release(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("the release's folder is writable");
        readable(&path);
    }

    /// Where a client finds it: the first listener.
    pub fn target(&self) -> Target {
        self.listen.first().expect("the app listens somewhere").clone()
    }

    /// Puts the file in apps.d.
    pub fn write(self) -> AppFile {
        fs::write(&self.file, self.text()).expect("the site's folder is writable");
        self
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let quoted =
            |items: Vec<String>| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ");
        let env = self.env.iter().map(|(name, value)| format!("{name} = {value:?}"));
        let mut lines = vec![
            format!("directory = {:?}", self.directory),
            format!("app = {:?}", self.entry),
            format!("args = [{}]", quoted(self.args.clone())),
            format!("env = {{ {} }}", env.collect::<Vec<_>>().join(", ")),
        ];
        lines.extend(self.python.iter().map(|python| format!("python = {python:?}")));
        if !self.listen.is_empty() {
            lines.push(format!("listen = [{}]", quoted(self.listen.iter().map(Target::to_string).collect())));
        }
        lines.extend(self.user.iter().map(|user| format!("user = {user:?}")));
        lines.extend(self.keys.iter().cloned());
        lines.extend(self.tables.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// An address that no other test uses: of the loopback's sixteen million each test has its own, on ports
/// that the kernel never hands out.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let host = Ipv4Addr::new(
        127,
        1 + (process / 250 % 250) as u8,
        1 + (process % 250) as u8,
        1 + (number % 250) as u8,
    );
    SocketAddr::from((host, 8000 + number / 250))
}
