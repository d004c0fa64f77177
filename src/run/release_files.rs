//! What an app's release is on disk: its folder, its interpreter, its files with environment, its fingerprint. No decisions.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::files::at;
use super::image;
use super::inspection_error::InspectionError;
use super::rights::may_change;
use crate::config::{AppConfig, open_regular, parse_env_file};
use crate::plan::{Account, EnvFile, Fingerprint, Refusal, ReleasePaths};

/// More than this of a release is not looked at for its fingerprint.
const FINGERPRINT_ENTRIES: usize = 20_000;

/// So many entries that do not count are passed over for each that would.
const OTHERS_MOST: usize = 10;

/// Longer files hold no environment.
const ENV_FILE_MOST: u64 = 1024 * 1024;

/// Resolves the app's release: its directory, and what lies below the same link, all from one state of the link.
///
/// # Errors
///
/// The directory or the interpreter is not there or is not what it should be.
pub fn resolve(app: &AppConfig) -> Result<ReleasePaths, Refusal> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let directory = resolve_directory(&app.directory)?;
        let pin = |path: &PathBuf| pin(&app.directory, &directory, path);
        let image = image::of(&directory)?;
        let (python, log_file) = match &image {
            Some(image) => (image::python(&directory, image, app.python.as_ref())?, app.log_file.clone()),
            None => (resolve_python(app, &directory)?, app.log_file.as_ref().map(pin)),
        };
        let env_files = app.env_files.iter().map(pin).collect();
        let paths = ReleasePaths { directory: directory.clone(), python, env_files, log_file, image };
        // The link may have moved on in between; half of one release and half of another must not be run.
        if fs::canonicalize(&app.directory).is_ok_and(|now| now == directory) {
            return Ok(paths);
        }
    }
    let shown = app.directory.display();
    Err(Refusal::new(format!(
        "{shown} was changed {TRIES} times while it was read; wait for the deploy to end"
    )))
}

/// The directory with every link resolved.
pub fn resolve_directory(directory: &Path) -> Result<PathBuf, Refusal> {
    at(directory);
    let shown = directory.display();
    let resolved = fs::canonicalize(directory).map_err(|error| {
        let what = match fs::read_link(directory) {
            Ok(target) => format!("the directory {shown} is a link to {}", target.display()),
            Err(_) => format!("the directory {shown}"),
        };
        Refusal::new(format!("{what}: {}; deploy the release there, or correct `directory`", plain(&error)))
    })?;
    if !resolved.is_dir() {
        return Err(Refusal::new(format!(
            "{shown} is not a directory; `directory` is the folder that the app is imported from"
        )));
    }
    Ok(resolved)
}

/// The interpreter, pinned to the release where it lies below the same link as the directory.
///
/// Itself it is never followed: `bin/python` of a virtual environment is a link, and how Python is called by it
/// is how it finds its packages.
fn resolve_python(app: &AppConfig, resolved: &Path) -> Result<PathBuf, Refusal> {
    let Some(python) = &app.python else {
        let (name, shown) = (&app.name, resolved.display());
        return Err(Refusal::new(format!(
            "the release {shown} is no image, for it has no rootfs and config.json, and `python` is not set; bring in an \
             image: `ostler restart {name} --image REFERENCE`, or name the interpreter"
        )));
    };
    let pinned = pin(&app.directory, resolved, python);
    interpreter(&pinned).map_err(|refusal| as_written(refusal, python, &pinned))?;
    Ok(pinned)
}

/// The refusal with the path that stands in the file, and where that leads now.
pub(super) fn as_written(refusal: Refusal, written: &Path, pinned: &Path) -> Refusal {
    if written == pinned {
        return refusal;
    }
    let (found, both) =
        (pinned.display().to_string(), format!("{} (now {})", written.display(), pinned.display()));
    Refusal { reason: refusal.reason.replacen(&found, &both, 1), ..refusal }
}

/// Whether the interpreter is there and can be run.
pub fn interpreter(pinned: &Path) -> Result<(), Refusal> {
    at(pinned);
    let shown = pinned.display();
    let meta = fs::metadata(pinned).map_err(|error| {
        let what = match fs::read_link(pinned) {
            Ok(target) => format!("the interpreter {shown} is a link to {}", target.display()),
            Err(_) => format!("the interpreter {shown}"),
        };
        let remedy = "make the virtual environment (python3 -m venv), or correct `python`";
        Refusal::new(format!("{what}: {}; {remedy}", plain(&error)))
    })?;
    if meta.is_dir() {
        let inside = if pinned.ends_with("bin") { "python" } else { "bin/python" };
        let remedy =
            format!("`python` is the interpreter itself, for example {}", pinned.join(inside).display());
        return Err(Refusal::new(format!("the interpreter {shown} is a directory; {remedy}")));
    }
    if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
        return Err(Refusal::new(format!(
            "the interpreter {shown} is not executable; `python` names the program, with chmod +x"
        )));
    }
    Ok(())
}

/// `path` with the part that it shares with the directory as written resolved as the directory's was.
///
/// With `directory = /srv/shop/current/src` and `current -> releases/42`, `/srv/shop/current/venv/bin/python` becomes
/// `/srv/shop/releases/42/venv/bin/python`. Links below the shared part are not followed.
pub(super) fn pin(written: &Path, resolved: &Path, path: &Path) -> PathBuf {
    if let Ok(rest) = path.strip_prefix(written)
        && !rest.as_os_str().is_empty()
    {
        return resolved.join(rest);
    }
    for shared in written.ancestors().skip(1) {
        let Ok(rest) = path.strip_prefix(shared) else { continue };
        if rest.as_os_str().is_empty() || shared.parent().is_none() {
            break;
        }
        at(shared);
        return fs::canonicalize(shared).map_or_else(|_| path.to_owned(), |shared| shared.join(rest));
    }
    path.to_owned()
}

/// Whether the release has a `manage.py`, as Django's projects do.
pub fn has_manage_py(paths: &ReleasePaths) -> bool {
    if let Some(of) = &paths.image {
        return image::has_file(&paths.directory, &of.directory.join("manage.py"));
    }
    let file = paths.directory.join("manage.py");
    at(&file);
    file.is_file()
}

/// A mark of the release's Python files: names of folders that hold no source are skipped, links are not followed,
/// and of a very large tree the first 20,000 folders and files of these count: what else is written beside them, such as
/// `__pycache__` with the first import, changes nothing. A folder that cannot be read counts as empty.
///
/// An image does not change: its mark is that of its description.
pub fn fingerprint(directory: &Path) -> Fingerprint {
    if image::is_one(directory) {
        let described = fs::metadata(directory.join(image::CONFIG));
        let newest = described.map_or(0, |meta| nanoseconds(meta.ctime(), meta.ctime_nsec()));
        return Fingerprint { files: 1, newest };
    }
    fingerprint_within(directory, FINGERPRINT_ENTRIES)
}

fn fingerprint_within(directory: &Path, most: usize) -> Fingerprint {
    let mut mark = Fingerprint::default();
    let mut folders = VecDeque::from([directory.to_owned()]);
    let (mut looked, mut counted) = (0, 0);
    while let Some(folder) = folders.pop_front() {
        at(&folder);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            looked += 1;
            if counted >= most || looked > most.saturating_mul(OTHERS_MOST) {
                return mark;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let skipped = name.starts_with('.') || name == "node_modules" || name == "__pycache__";
                if !skipped && !entry.path().join("pyvenv.cfg").exists() {
                    counted += 1;
                    folders.push_back(entry.path());
                }
            } else if name.ends_with(".py")
                && let Ok(meta) = entry.metadata()
            {
                counted += 1;
                mark.files += 1;
                let changed = nanoseconds(meta.mtime(), meta.mtime_nsec());
                mark.newest = mark.newest.max(changed).max(nanoseconds(meta.ctime(), meta.ctime_nsec()));
            }
        }
    }
    mark
}

fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(rest).unwrap_or(0))
}

/// Reads the files with environment, in their order.
///
/// Where ostlerd is root and reads for `account`, a file that is not that user's own must not be reachable through a
/// folder or link of his: he could point it at somebody else's secrets and find them in his environment.
///
/// # Errors
///
/// A file that is missing, unreadable, no file, over 1 MiB, not UTF-8, or not `NAME=value`. No text of it is quoted.
pub(super) fn read_env_files(
    files: &[PathBuf],
    account: Option<&Account>,
) -> Result<Vec<EnvFile>, InspectionError> {
    files.iter().map(|file| Ok((file.clone(), read_env_file(file, account)?))).collect()
}

fn read_env_file(file: &Path, account: Option<&Account>) -> Result<Vec<(String, String)>, InspectionError> {
    let shown = file.display();
    let refused = |what: &str, remedy: &str| {
        Refusal::new(format!("the file with environment {shown} {what}; {remedy}"))
    };
    let unreadable = |error: io::Error| {
        let remedy = "create it, let ostlerd's user read it, or take it out of `env_files`";
        refused(&format!("cannot be read: {}", plain(&error)), remedy)
    };
    at(file);
    let opened = open_regular(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => InspectionError::Held(refused(
            "is no regular file",
            "put a file of NAME=value lines in its place",
        )),
        io::ErrorKind::WouldBlock => InspectionError::Held(refused("cannot be read", &plain(&error))),
        _ => unreadable(error).into(),
    })?;
    let owner = opened.metadata().map_err(unreadable)?.uid();
    if let Some(account) = account
        && account.uid != owner
        && account.uid != 0
        && reached_through(file, account)
    {
        let name = &account.name;
        return Err(refused(
            &format!("is not {name}'s own, but {name} could point it elsewhere"),
            &format!("give the file to {name}, or move it to a folder of root's such as /etc/ostler"),
        )
        .into());
    }
    let mut bytes = Vec::new();
    opened.take(ENV_FILE_MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > ENV_FILE_MOST {
        return Err(refused("is over 1 MiB long", "it should hold NAME=value lines").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8", "save it as UTF-8"))?;
    let parsed = parse_env_file(&text, file).map_err(|problems| Refusal {
        reason: format!("the file with environment {}", problems.summary()),
        detail: problems.to_string(),
        passing: false,
    });
    Ok(parsed?)
}

/// Whether a folder or link on the way to the file, as written or as resolved, is one that `whom` can change.
fn reached_through(file: &Path, whom: &Account) -> bool {
    let resolved = fs::canonicalize(file).unwrap_or_default();
    let is_his = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|meta| match meta.is_dir() {
            true => may_change(whom, (meta.uid(), meta.gid(), meta.mode())),
            false => meta.uid() == whom.uid,
        })
    };
    file.ancestors().any(is_his) || resolved.ancestors().skip(1).any(is_his)
}

/// The system's words without Rust's `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
