//! Images as `umoci unpack` leaves them, made of what the tests have anyway: the Debian that is booted, and the newest Django.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
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

/// The root of an image of nothing but Python, gunicorn and Django; its PATH is `/app/.venv/bin`. As the Python of Debian 13 runs from any folder, it is in the image where it is on this machine: its loader's path is
/// absolute.
pub fn python_alone(root: &Path) {
    let python = venvs().join("python-3.13");
    let inside = root.join(python.strip_prefix("/").expect("it is absolute"));
    fs::create_dir_all(inside.parent().expect("it is below /")).expect("the folder is ours");
    linked(&python, &inside);
    for folder in ["proc", "sys", "dev", "tmp", "run", "etc", "data", "app/.venv/bin"] {
        fs::create_dir_all(root.join(folder)).expect("the folder is ours");
    }
    for file in ["resolv.conf", "hosts"] {
        fs::write(root.join("etc").join(file), "").expect("the folder is ours");
    }
    symlink(python.join("bin/python3.13"), root.join("app/.venv/bin/python")).expect("the folder is ours");
    let home = format!("home = {}/bin\n", python.display());
    fs::write(root.join("app/.venv/pyvenv.cfg"), home).expect("the folder is ours");
    packages(&root.join("app/.venv/lib/python3.13/site-packages"));
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
