//! Images as `umoci unpack` leaves them, made of what the tests have anyway: the Debian that is booted, and the newest Django.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::app::venvs;
use super::site::readable;

/// What an image says of itself.
pub const CONFIG: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {
    "cwd": "/app", "user": {"uid": 0, "gid": 0}, "args": ["gunicorn", "app"],
    "env": ["PATH=/usr/local/bin:/usr/bin:/bin", "TERM=xterm", "PYTHONPATH=/app/lib", "FROM=image", "BOTH=image"]}}"#;

/// Debian with its Python.
pub fn debian() -> PathBuf {
    let folder = match std::env::var_os("OSTLER_ROOTFS") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rootfs"),
    };
    let python = folder.join("usr/bin/python3");
    assert!(python.exists(), "{} is missing: run `bash tests/rootfs.sh` first", python.display());
    folder
}

/// A copy of a folder in which every file is the same file.
pub fn linked(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-al").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "{} cannot be linked to {}", from.display(), to.display());
}

/// gunicorn and Django, in this folder.
pub fn packages(folder: &Path) {
    fs::create_dir_all(folder).expect("the folder is ours");
    let from = venvs().join("newest/lib/python3.13/site-packages");
    for package in ["gunicorn", "packaging", "django", "asgiref", "sqlparse"] {
        linked(&from.join(package), &folder.join(package));
    }
}

/// The root of an image of Debian with this `/app/app.py`.
pub fn debian_with(root: &Path, code: &str) {
    linked(&debian(), root);
    packages(&root.join("app/lib"));
    fs::write(root.join("app/app.py"), code).expect("the folder is ours");
}

/// What stands beside the root.
pub fn describe(release: &Path, config: &str) {
    readable(release);
    for folder in ["tmp", "run"] {
        fs::create_dir(release.join(folder)).expect("the folder is ours");
        fs::set_permissions(release.join(folder), fs::Permissions::from_mode(0o1777)).expect("it is ours");
    }
    fs::write(release.join("config.json"), config).expect("the folder is ours");
}
