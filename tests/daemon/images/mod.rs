//! Releases that are images: their workers run inside, beside those of the image before.

mod bad;
mod life;
mod sees;
mod slim;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{AppFile, Ostlerd, Releases, Said, Site, WSGI, is_root, readable, venvs};

/// What the images say of themselves.
const CONFIG: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {
    "cwd": "/app", "user": {"uid": 0, "gid": 0}, "args": ["gunicorn", "app"],
    "env": ["PATH=/usr/local/bin:/usr/bin:/bin", "TERM=xterm", "PYTHONPATH=/app/lib", "FROM=image", "BOTH=image"]}}"#;

/// Debian with its Python, as the booted tests have it.
fn debian() -> PathBuf {
    let folder = match std::env::var_os("OSTLER_ROOTFS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rootfs"),
    };
    let python = folder.join("usr/bin/python3");
    assert!(python.exists(), "{} is missing: run `bash tests/rootfs.sh` first", python.display());
    folder
}

fn linked(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-al").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "{} cannot be linked to {}", from.display(), to.display());
}

/// gunicorn and Django, in this folder.
fn packages(folder: &Path) {
    fs::create_dir_all(folder).expect("the folder is ours");
    let from = venvs().join("newest/lib/python3.13/site-packages");
    for package in ["gunicorn", "packaging", "django", "asgiref", "sqlparse"] {
        linked(&from.join(package), &folder.join(package));
    }
}

/// Images in the releases' folder, as `umoci unpack` leaves them, and `current`.
struct Images<'a> {
    site: &'a Site,
    releases: Releases,
}

impl<'a> Images<'a> {
    /// None yet; nothing where nobody here can run one.
    fn new(site: &'a Site) -> Option<Images<'a>> {
        if !is_root() {
            eprintln!("skipped: only root can run an image");
            return None;
        }
        Some(Images { site, releases: Releases::new(site, None) })
    }

    /// The folder of a release.
    fn release(&self, id: &str) -> PathBuf {
        self.releases.root.join("releases").join(id)
    }

    /// An image of Debian with this `/app/app.py`; the first is the one that `current` leads to.
    fn add(&self, id: &str, code: &str) -> PathBuf {
        self.add_root(id, code, CONFIG, |root| {
            linked(&debian(), root);
            packages(&root.join("app/lib"));
        })
    }

    /// The same of another root and another description.
    fn add_root(&self, id: &str, code: &str, config: &str, fill: impl Fn(&Path)) -> PathBuf {
        let release = self.release(id);
        fs::create_dir(&release).expect("the folder is ours");
        readable(&release);
        fill(&release.join("rootfs"));
        fs::write(release.join("rootfs/app/app.py"), code).expect("the folder is ours");
        for folder in ["tmp", "run"] {
            fs::create_dir(release.join(folder)).expect("the folder is ours");
            let everybody = fs::Permissions::from_mode(0o1777);
            fs::set_permissions(release.join(folder), everybody).expect("it is ours");
        }
        fs::write(release.join("config.json"), config).expect("the folder is ours");
        let current = self.releases.root.join("current");
        if !current.exists() {
            symlink(Path::new("releases").join(id), current).expect("the folder is ours");
        }
        release
    }

    /// The app's file, which names no interpreter.
    fn app(&self) -> AppFile {
        let app = self.site.app("shop").tcp().workers(2).env("BOTH", "file");
        let mut app = app.key("image = \"registry.example.com/shop\"").without_python();
        app.directory = self.releases.root.join("current");
        app
    }

    fn switch(&self, ostlerd: &Ostlerd<'_>, id: &str) -> Said {
        ostlerd.ostler(&["restart", "shop", "--release", &self.release(id).display().to_string()])
    }
}

/// The tests' app, of this release.
fn code(release: &str) -> String {
    format!("{WSGI}\nRELEASE = {release:?}\n")
}

/// Everybody may write there.
fn open_folder(site: &Site, name: &str) -> PathBuf {
    let folder = site.path(name);
    fs::create_dir(&folder).expect("the folder is new");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    folder
}
