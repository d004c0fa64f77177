//! Finds and reads the files: the main one, and those of `apps.d` beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;

use super::assemble::{app_file, assemble, finish, main_file, no_name};
use super::edge::Edge;
use super::error::{Place, Problem, Problems};
use super::health::HealthConfig;
use super::source::Source;
use super::types::AppName;
use super::visible::visible_line;
use super::whole::Config;

/// Longer files are no configuration.
const LONGEST: u64 = 1024 * 1024;

/// Who holds a lease as he should gives it up as soon as somebody else wants the file. So long he is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// Reads `file` and the `apps.d` beside it; `is_root` is whether ostlerd runs as root, where each app names its user.
///
/// Of `apps.d` every file `NAME.toml` counts, in the order of names; hidden files and what editors and package
/// managers leave behind (`~`, `.bak`, `.dpkg-*`, `.rpmnew`) do not.
///
/// # Errors
///
/// Every problem of every file.
pub fn load(file: &Path, is_root: bool) -> Result<Config, Problems> {
    let mut checked = Vec::new();
    let mut problems = Vec::new();
    let mut edge = Edge::default();
    let mut health = HealthConfig::default();
    match read(file) {
        Ok(text) => {
            let (main, found) = main_file(&text, file, is_root);
            checked.extend(main.apps);
            edge = main.edge;
            health = main.health;
            problems.extend(found);
        }
        Err(problem) => problems.push(*problem),
    }
    let directory = Config::apps_dir(file);
    let listed = list(&directory).unwrap_or_else(|problem| {
        problems.push(*problem);
        Listed::default()
    });
    for path in &listed.files {
        match name_of(path).and_then(|name| Ok((name, read(path)?))) {
            Ok((name, text)) => {
                let (app, found) = app_file(&name, &text, (path, file), is_root);
                checked.extend(app);
                problems.extend(found);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    let (apps, found) = assemble(checked);
    problems.extend(found);
    Ok(Config { file: file.to_owned(), apps: finish(apps, problems)?, edge, health })
}

/// What to say of files without an app where that is no error: every machine begins so.
pub fn no_apps_yet(file: &Path) -> String {
    let Problem { rule, help, .. } = no_app(file);
    let parts: Vec<String> = [help, rule].into_iter().filter(|part| !part.is_empty()).collect();
    format!("no apps yet: {}", parts.join("; "))
}

/// What is wrong with files without an app where one runs.
pub fn no_app_left(file: &Path) -> Problems {
    Problems::new(vec![no_app(file)])
}

fn no_app(file: &Path) -> Problem {
    let directory = Config::apps_dir(file);
    let rule = match list(&directory).unwrap_or_default().others.as_slice() {
        [] => String::new(),
        others => {
            let some: Vec<&str> = others.iter().take(5).map(String::as_str).collect();
            format!("only *.toml counts; {} has {}", directory.display(), some.join(", "))
        }
    };
    Problem::new(whole(file), "no app is configured").rule(rule).help(format!(
        "write {}/NAME.toml with directory, python, app, listen and user (or a table [apps.NAME] in {})",
        directory.display(),
        file.display()
    ))
}

/// What a directory holds.
#[derive(Default)]
struct Listed {
    /// `*.toml`, sorted.
    files: Vec<PathBuf>,
    /// The rest that is not hidden, sorted; for the person who wonders.
    others: Vec<String>,
}

fn list(directory: &Path) -> Result<Listed, Box<Problem>> {
    let problem = |error: &io::Error, help: &str| {
        let message = format!("the directory of apps cannot be read: {}", plain(error));
        Box::new(Problem::new(whole(directory), message).help(help))
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listed::default()),
        Err(error) => return Err(problem(&error, "make it a directory that ostlerd may read")),
    };
    let mut listed = Listed::default();
    for entry in entries {
        let path = entry.map_err(|error| problem(&error, "look at the disk"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name {
            hidden if hidden.starts_with('.') => {}
            name if name.ends_with(".toml") => listed.files.push(path),
            name => listed.others.push(name),
        }
    }
    listed.files.sort();
    listed.others.sort();
    Ok(listed)
}

fn name_of(path: &Path) -> Result<AppName, Box<Problem>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse().map_err(|rule: String| Box::new(no_name(whole(path), &rule)))
}

/// The text of a file that is one: no directory, no pipe that would block, UTF-8, not too long.
fn read(path: &Path) -> Result<String, Box<Problem>> {
    let refused = |message: String, help: &str| Box::new(Problem::new(whole(path), message).help(help));
    let unreadable = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound if path.is_symlink() => {
                "it is a link to a file that is gone: mend or remove it"
            }
            io::ErrorKind::NotFound => {
                "create it (it may be empty where apps.d has the apps), or name another with --config"
            }
            io::ErrorKind::PermissionDenied => "let ostlerd's user read it",
            _ => "look at the file and its disk",
        };
        refused(format!("the file cannot be read: {}", plain(&error)), help)
    };
    let kind = fs::metadata(path).map_err(unreadable)?;
    if kind.is_dir() {
        return Err(refused(
            "this is a directory, not a file".to_owned(),
            "move it away, or put a file in its place",
        ));
    }
    if !kind.is_file() {
        return Err(refused("this is no regular file".to_owned(), "put a file in its place"));
    }
    let mut bytes = Vec::new();
    let opened = open_regular(path).map_err(unreadable)?;
    opened.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(refused(
            format!("the file is over {} KiB long", LONGEST / 1024),
            "this is probably not the file that you mean",
        ));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

/// Opens a regular file so that nobody can hold up who opens it: the one way by which files are read that others may change.
///
/// What lies at the path is looked at before it is opened, by a descriptor of that very file: a pipe would block, and there are
/// devices that do something when they are opened. It is opened without waiting: a lease (`fcntl` F_SETLEASE) of another
/// process would hold up the open for 45 s, and a file such as `/proc/kmsg` its reader for ever. Reads of it do not wait
/// either: [`io::ErrorKind::WouldBlock`].
///
/// # Errors
///
/// It cannot be opened, is no regular file ([`io::ErrorKind::InvalidInput`]), or is held by a lease
/// ([`io::ErrorKind::WouldBlock`]); the last two in words.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let there = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let meta = there.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let same = format!("/proc/self/fd/{}", there.as_raw_fd());
    let give_up = Instant::now() + PATIENCE;
    loop {
        match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&same) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() < give_up => std::thread::sleep(PAUSE),
            Err(_) => return Err(io::Error::new(io::ErrorKind::WouldBlock, held(meta.dev(), meta.ino()))),
            opened => return opened,
        }
    }
}

fn held(device: u64, inode: u64) -> String {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let whom = match holder(&locks, device, inode) {
        Some(pid) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("the process {pid} ({})", visible_line(name.trim()))
        }
        None => "another process".to_owned(),
    };
    format!("{whom} holds it with a lease (F_SETLEASE) and does not give it up; end that process")
}

/// Who holds the lease, by the kernel's list.
fn holder(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let file = format!("{:02x}:{:02x}:{inode}", libc::major(device), libc::minor(device));
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().filter(|it| *it != "->").collect();
        match fields.as_slice() {
            [_, "LEASE", _, _, pid, found, ..] if *found == file => pid.parse().ok(),
            _ => None,
        }
    })
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Box<Problem> {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    // Up to the bad byte nothing is replaced, so the offset holds in the lossy text too.
    let text = String::from_utf8_lossy(error.as_bytes());
    let place = Source { file: path, text: &text }.place(at..at + 1);
    let problem = Problem::new(place, format!("the byte 0x{byte:02x} is not UTF-8"));
    Box::new(
        problem
            .rule("TOML is UTF-8")
            .help("save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`"),
    )
}

fn whole(path: &Path) -> Place {
    Place { file: path.to_owned(), spot: None }
}

/// The system's words without Rust's `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, link) = (folder.path().join("fifo"), folder.path().join("link"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for path in [fifo.as_path(), link.as_path(), folder.path(), Path::new("/dev/null")] {
            let error = open_regular(path).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{}", path.display());
        }
        assert_eq!(open_regular(&folder.path().join("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_holder_of_a_lease_is_found_in_the_kernel_s_list() {
        let locks =
            "1: POSIX  ADVISORY  WRITE 7 fe:00:42 0 EOF\n2: LEASE  ACTIVE    READ 812 fe:00:42 0 EOF\n";
        let device = libc::makedev(0xfe, 0);
        assert_eq!(holder(locks, device, 42), Some(812));
        assert_eq!(holder(locks, device, 43), None);
    }
}
