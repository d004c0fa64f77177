//! The last steps before a program: `ostlerd __launch`, in a fresh process of one thread.
//!
//! Standard input is one end of a Unix socketpair that holds a single message: one byte, and as `SCM_RIGHTS`
//! a memfd with the `Launch` as JSON followed by the program's descriptors. So nothing in the daemon is
//! ever inheritable, and nothing but the message reaches the program. A second byte opens the gate: without it, where
//! ostlerd has ended before it could write down that this process is there, nothing is run.
//!
//! Privileges are dropped before the first path is looked up: what the app's user may not read, enter or
//! run is refused here as it would be to that user.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, Gid, Uid};

use super::image::enter;
use super::launch_spec::{ARGUMENT, CONTROL, Launch, LaunchSpec};
use super::scope;
use super::{launch_fds, log_file};
use crate::plan::{Account, ImageRoot};

/// Exit status where a step before the program failed.
const CANNOT_RUN: i32 = 126;

/// Exit status where the program is not there.
const NOT_FOUND: i32 = 127;

/// Why the program could not be run: for the control socket, and as an exit status.
#[derive(Debug)]
struct Failure {
    status: i32,
    message: String,
}

impl Failure {
    fn new(message: String) -> Failure {
        Failure { status: CANNOT_RUN, message }
    }
}

/// Receives the message on standard input and becomes the program. Returns only where that failed: 127 where
/// the program is not there, else 126, after a `failed` line on [`CONTROL`] (or on stderr, where there is none).
pub fn main() -> ExitCode {
    let status = std::panic::catch_unwind(launch).unwrap_or(CANNOT_RUN);
    ExitCode::from(u8::try_from(status).expect("126 or 127"))
}

fn launch() -> i32 {
    let (Launch { spec, targets }, fds) = match receive() {
        Ok(received) => received,
        Err(failure) => return report(&failure, false),
    };
    if !launch_fds::gate_opens(std::io::stdin().as_fd()) {
        return CANNOT_RUN;
    }
    let has_control = targets.contains(&CONTROL);
    // First, while the program's descriptors are closed to whatever is started for it.
    let entered = spec.scope.as_ref().map_or(Ok(()), scope::enter::enter);
    if let Err(error) = launch_fds::arrange(fds, &targets) {
        return report(&Failure::new(format!("cannot arrange the descriptors: {error}")), false);
    }
    if let Err(message) = entered {
        return report(&Failure::new(message), has_control);
    }
    let Err(failure) = become_program(&spec, &targets);
    report(&failure, has_control)
}

fn receive() -> Result<(Launch, Vec<std::os::fd::OwnedFd>), Failure> {
    let broken =
        |what: String| Failure::new(format!("ostlerd {ARGUMENT} is started by ostlerd alone: {what}"));
    let mut fds = launch_fds::receive(std::io::stdin().as_fd()).map_err(|error| broken(error.to_string()))?;
    if fds.is_empty() {
        return Err(broken("standard input holds no descriptors".to_owned()));
    }
    let file = std::fs::File::from(fds.remove(0));
    let size = file.metadata().map_err(|error| broken(error.to_string()))?.len();
    let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut text, 0).map_err(|error| broken(error.to_string()))?;
    let launch: Launch = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    if launch.targets.len() != fds.len() {
        return Err(broken(format!("{} descriptors for {} targets", fds.len(), launch.targets.len())));
    }
    Ok((launch, fds))
}

fn become_program(spec: &LaunchSpec, targets: &[i32]) -> Result<std::convert::Infallible, Failure> {
    let step = |what: &str, error: Errno| Failure::new(format!("cannot {what}: {}", error.desc()));
    nix::unistd::setsid().map_err(|error| step("begin a session", error))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(spec.umask));
    if let Some(limit) = spec.limits.nofile {
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit)
            .map_err(|error| step(&format!("set the limit of open files to {limit}"), error))?;
    }
    if let Some(score) = spec.limits.oom_score_adjust {
        std::fs::write("/proc/self/oom_score_adj", score.to_string())
            .map_err(|error| Failure::new(format!("cannot set oom_score_adjust to {score}: {error}")))?;
    }
    if let (Some(image), Some(account)) = (&spec.image, &spec.account) {
        enter_image(image, account)?;
    }
    if let Some(account) = &spec.account {
        become_account(account)?;
    }
    if spec.no_new_privs {
        nix::sys::prctl::set_no_new_privs().map_err(|error| step("give up new privileges", error))?;
    }
    if let Some(file) = &spec.log_file {
        open_log(spec, file, targets)?;
    }
    nix::unistd::chdir(&spec.directory).map_err(|error| {
        let told = refused(error, &spec.directory, Wanted::Enter);
        Failure::new(format!("cannot enter {} {}: {told}", spec.directory.display(), as_whom(spec)))
    })?;
    reset_signals();
    execute(spec)
}

/// The account's own rights are all that is left then.
fn enter_image(image: &ImageRoot, account: &Account) -> Result<(), Failure> {
    let words = |why: String| format!("cannot run the image {}: {why}", image.release.display());
    enter::enter(image, account).map_err(|why| Failure::new(words(why)))?;
    enter::drop_capabilities()
        .map_err(|error| Failure::new(words(format!("cannot give up capabilities: {}", error.desc()))))
}

fn become_account(account: &Account) -> Result<(), Failure> {
    let failed = |error: Errno| {
        Failure::new(format!(
            "cannot become user {} (uid {}): {}; only ostlerd running as root can start another user's programs",
            account.name,
            account.uid,
            error.desc()
        ))
    };
    let groups: Vec<Gid> = account.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    nix::unistd::setgroups(&groups).map_err(failed)?;
    nix::unistd::setresgid(gid, gid, gid).map_err(failed)?;
    nix::unistd::setresuid(uid, uid, uid).map_err(failed)
}

fn open_log(spec: &LaunchSpec, file: &Path, targets: &[i32]) -> Result<(), Failure> {
    let failed = |told: String| {
        Failure::new(format!("cannot write the log file {} {}: {told}", file.display(), as_whom(spec)))
    };
    // Not to wait for the reader of a pipe or for the end of a lease, nor to make a terminal our own.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(flags.bits());
    let unfit = |kind: std::fs::FileType| {
        log_file::unfit(kind)
            .filter(|_| std::fs::canonicalize(file).is_ok())
            .map(|what| failed(format!("it {what}")))
    };
    let log = options.open(file).map_err(|error| {
        let is_unfit = std::fs::metadata(file).ok().and_then(|meta| unfit(meta.file_type()));
        is_unfit.unwrap_or_else(|| match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::EWOULDBLOCK => {
                failed("another process holds it with a lease; end that process".to_owned())
            }
            errno => failed(refused(errno, file, Wanted::Enter)),
        })
    })?;
    let opened = log.metadata().map_err(|error| failed(error.to_string()))?;
    if let Some(failure) = unfit(opened.file_type()) {
        return Err(failure);
    }
    // Programs do not expect their output to be anything but blocking.
    fcntl(&log, FcntlArg::F_SETFL(OFlag::O_APPEND)).map_err(|error| failed(error.desc().to_owned()))?;
    launch_fds::set_output(log.as_fd(), targets).map_err(|error| failed(error.desc().to_owned()))
}

/// Ignored signals and the mask are inherited through exec, and programs count on the defaults.
fn reset_signals() {
    // The kernel's own `sigaction`, all zeros: SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 4];
    for number in 1..=nix::libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no code, and KILL and STOP are refused with EINVAL. Past the C library, which
        // resets all but two numbers that it keeps to itself.
        unsafe {
            nix::libc::syscall(
                nix::libc::SYS_rt_sigaction,
                number,
                &raw const default,
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            );
        }
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

fn execute(spec: &LaunchSpec) -> Result<std::convert::Infallible, Failure> {
    let text = |bytes: &[u8], what: &str| {
        CString::new(bytes).map_err(|_| {
            Failure::new(format!("cannot run {}: {what} holds a NUL byte", spec.program.display()))
        })
    };
    let found = find(spec)?;
    let program = text(found.as_os_str().as_bytes(), "its path")?;
    let argv =
        spec.argv.iter().map(|word| text(word.as_bytes(), "an argument")).collect::<Result<Vec<_>, _>>()?;
    // Only the name is told: the value may be a secret.
    let env = spec
        .env
        .iter()
        .map(|(name, value)| text(format!("{name}={value}").as_bytes(), &format!("the variable {name:?}")))
        .collect::<Result<Vec<_>, _>>()?;
    let Err(error) = nix::unistd::execve(&program, &argv, &env);
    let told = refused(error, &found, Wanted::Run);
    let status = if error == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN };
    let message = format!("cannot run {} {}: {told}", found.display(), as_whom(spec));
    Err(Failure { status, message })
}

/// The program, looked for by its name in the folders of PATH: nobody but its user opens those.
fn find(spec: &LaunchSpec) -> Result<PathBuf, Failure> {
    if spec.program.as_os_str().as_bytes().contains(&b'/') {
        return Ok(spec.program.clone());
    }
    let path = spec.env.get("PATH").map(String::as_str).unwrap_or_default();
    let files = path.split(':').map(|folder| spec.directory.join(folder).join(&spec.program));
    let is_program = |file: &PathBuf| file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok();
    files.into_iter().find(is_program).ok_or_else(|| {
        let (status, program) = (NOT_FOUND, spec.program.display());
        let message = format!(
            "cannot run {program} {}: no such program in the folders of the app's PATH ({path}); write its path, or install \
             it in the app's environment",
            as_whom(spec)
        );
        Failure { status, message }
    })
}

fn as_whom(spec: &LaunchSpec) -> String {
    match &spec.account {
        Some(account) => format!("as user {}", account.name),
        None => format!("as uid {}", nix::unistd::geteuid()),
    }
}

/// What was to be done with a path.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Enter,
    Run,
}

/// The error in words, with the part of the path that is to blame: by now this process is the app's user, so
/// the kernel can be asked about each part.
fn refused(error: Errno, path: &Path, wanted: Wanted) -> String {
    let mut path = path.to_owned();
    for _ in 0..16 {
        if let Some(part) = path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().find(|part| {
            !part.as_os_str().is_empty() && nix::unistd::access(*part, AccessFlags::X_OK).is_err()
        }) {
            let why = if part.exists() { "can't be entered" } else { "is not there" };
            return format!("{}: the directory {} {why}", error.desc(), part.display());
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => break,
        }
    }
    let shown = path.display();
    match (error, wanted) {
        (Errno::ENOENT, _) if !path.exists() => format!("{}: {shown} is not there", error.desc()),
        (Errno::ENOENT, Wanted::Run) => {
            format!("{}: {shown} is there, the interpreter that its first line names is not", error.desc())
        }
        (Errno::ENOEXEC, _) => format!("{}: {shown} is no program", error.desc()),
        (Errno::EACCES, Wanted::Run) if path.is_dir() => format!("{}: {shown} is a directory", error.desc()),
        (Errno::EACCES, Wanted::Run) => format!("{}: {shown} may not be executed", error.desc()),
        _ => error.desc().to_owned(),
    }
}

/// Tells ostlerd; returns the exit status.
fn report(failure: &Failure, has_control: bool) -> i32 {
    let line = serde_json::json!({
        "event": "failed", "stage": "launch", "message": failure.message, "traceback": "",
    });
    let told = has_control && {
        // SAFETY: `arrange` has put the control socket at this number, and nothing closes it.
        let control = unsafe { std::os::fd::BorrowedFd::borrow_raw(CONTROL) };
        let line = format!("{line}\n");
        nix::sys::socket::send(control.as_raw_fd(), line.as_bytes(), nix::sys::socket::MsgFlags::MSG_NOSIGNAL)
            .is_ok_and(|sent| sent == line.len())
    };
    if !told {
        eprintln!("ostlerd: {}", failure.message);
    }
    failure.status
}
