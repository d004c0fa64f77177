//! ostlerd re-executes itself: the same pid with another binary, the workers still its children.
//!
//! The new binary is first asked whether it can take over, while everything goes on. Then what runs is written down as
//! for a crash, the listening sockets and the lock are kept open, and the process becomes the new binary, which adopts
//! what it finds. Nothing is restarted.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::socket::{SockType, SockaddrStorage, getpeername, getsockname, getsockopt, sockopt};

use super::captured::captured;
use super::children::Children;
use super::listeners::bound::inode_of;
use super::state;
use crate::supervise::Exit;

/// Names the process to which the open sockets belong.
const VARIABLE: &str = "OSTLER_HANDOVER";

/// The names of those that systemd passed: number and name, and so on, between colons. An inode's number is the same in
/// the next program.
const NAMES: &str = "OSTLER_HANDOVER_NAMES";

/// How long the new binary may take to look at the state.
const PATIENCE: Duration = Duration::from_secs(10);

/// The argument by which a binary is asked whether it can take over.
pub const CHECK_ARGUMENT: &str = "--check-handover";

/// What came through the re-execution.
#[derive(Debug, Default)]
pub struct Handover {
    /// Every listening socket.
    pub(super) sockets: Vec<OwnedFd>,
    /// The names of those that systemd passed, by the sockets' numbers.
    pub(super) names: Vec<(u64, String)>,
    /// The lock of the runtime directory.
    pub(super) lock: Option<OwnedFd>,
}

impl Handover {
    /// Takes over what this process held before it was re-executed; nothing where it was not.
    ///
    /// To be called once, before anything is opened and before there is a second thread.
    pub fn take() -> Handover {
        let for_us = std::env::var(VARIABLE).is_ok_and(|pid| pid == std::process::id().to_string());
        let names = std::env::var(NAMES).unwrap_or_default();
        for variable in [VARIABLE, NAMES] {
            // SAFETY: as the caller promises, no other thread reads the environment.
            unsafe { std::env::remove_var(variable) };
        }
        let mut handover = Handover::default();
        if !for_us {
            return handover;
        }
        handover.names = names_of(&names);
        for number in open_descriptors().into_iter().filter(|number| *number > 2) {
            // SAFETY: it is open, and was left open for us; nobody in this process knows it yet.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            let _ = fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
            match kind_of(&fd, number) {
                Some(HandedOver::Listener) => handover.sockets.push(fd),
                Some(HandedOver::Lock) => handover.lock = Some(fd),
                // Not ours to close: the runtime, or whoever started us, has it.
                None => std::mem::forget(fd),
            }
        }
        handover
    }
}

pub(super) fn names_of(text: &str) -> Vec<(u64, String)> {
    let words: Vec<&str> = text.split(':').collect();
    let pairs = words.chunks_exact(2).filter_map(|pair| Some((pair[0].parse().ok()?, pair[1].to_owned())));
    pairs.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandedOver {
    Listener,
    Lock,
}

fn listens(fd: &impl AsFd) -> bool {
    getsockopt(&fd.as_fd(), sockopt::AcceptConn).unwrap_or(false)
}

/// Whether it is as a listener that refuses: bound, and connected to nobody.
fn is_bound_alone(fd: &impl AsFd) -> bool {
    let number = fd.as_fd().as_raw_fd();
    let is_stream = getsockopt(&fd.as_fd(), sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let alone = getpeername::<SockaddrStorage>(number).is_err_and(|error| error == Errno::ENOTCONN);
    is_stream && alone && getsockname::<SockaddrStorage>(number).is_ok()
}

fn kind_of(fd: &impl AsFd, number: i32) -> Option<HandedOver> {
    if listens(fd) || is_bound_alone(fd) {
        return Some(HandedOver::Listener);
    }
    let target = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    (target.file_name()? == "ostlerd.lock").then_some(HandedOver::Lock)
}

fn open_descriptors() -> Vec<i32> {
    let Ok(folder) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let all: Vec<i32> = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The folder's own descriptor is closed by now.
    all.into_iter().filter(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// The binary on disk that this one was started from, also where it has been replaced since.
pub(super) fn program() -> std::io::Result<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe")?;
    let bytes = path.as_os_str().as_bytes();
    let replaced = bytes.strip_suffix(b" (deleted)");
    Ok(replaced.map_or(path.clone(), |bytes| PathBuf::from(OsString::from_vec(bytes.to_vec()))))
}

/// Asks the binary on disk whether it can take over what stands in the state's file; else why not, in words.
pub(super) async fn check(children: Children, program: PathBuf, state: PathBuf) -> Result<(), String> {
    let shown = program.display();
    let argv = [shown.to_string(), CHECK_ARGUMENT.to_owned(), state.display().to_string()];
    let (exit, output) = captured(&children, &program, argv.to_vec(), PATIENCE)
        .await
        .map_err(|error| format!("{shown} cannot be asked whether it can take over: {error}"))?;
    match exit {
        Exit::Code(0) => Ok(()),
        exit => {
            let words =
                output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing");
            Err(format!("{shown} cannot take over ({exit}): {words}"))
        }
    }
}

/// Whether this binary can take over what stands in that file; what `--check-handover` does.
///
/// # Errors
///
/// Why it cannot, in one sentence.
pub fn check_state(file: &Path) -> Result<(), String> {
    match state::read(file) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("{} is not there", file.display())),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Becomes the program, which is told the names of sockets. Returns only where that failed, with everything as it was.
/// `sockets` are the numbers of the listeners' sockets.
pub(super) fn become_program(program: &Path, names: &[(u64, &str)], sockets: &[u64]) -> std::io::Error {
    let kept: Vec<i32> = open_descriptors()
        .into_iter()
        .filter(|number| {
            // SAFETY: it is open, and this thread, which closes descriptors alone, does nothing else meanwhile.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*number) };
            // A listener that refuses cannot be told by its looks from a connection that was reset.
            let is_ours = inode_of(fd).is_some_and(|inode| sockets.contains(&inode));
            *number > 2
                && (is_ours || matches!(kind_of(&fd, *number), Some(HandedOver::Lock)) || listens(&fd))
        })
        .collect();
    set_inherited(&kept, true);
    // A signal that comes before the next one listens would end it.
    let mut before = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    let error = execute(program, names);
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    set_inherited(&kept, false);
    error
}

fn execute(program: &Path, names: &[(u64, &str)]) -> std::io::Error {
    let text = |bytes: Vec<u8>| CString::new(bytes).expect("what the kernel gave us holds no NUL byte");
    let argv: Vec<CString> = std::env::args_os().map(|word| text(word.into_vec())).collect();
    let own = (OsString::from(VARIABLE), OsString::from(std::process::id().to_string()));
    let names: Vec<String> = names.iter().map(|(number, name)| format!("{number}:{name}")).collect();
    let names = (OsString::from(NAMES), OsString::from(names.join(":")));
    let env: Vec<CString> = std::env::vars_os()
        .chain([own, names])
        .map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let Err(error) = nix::unistd::execve(&text(program.as_os_str().as_bytes().to_vec()), &argv, &env);
    error.into()
}

fn set_inherited(numbers: &[i32], inherited: bool) {
    let flags = if inherited { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    for number in numbers {
        // SAFETY: as above.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*number) };
        let _ = fcntl(fd, FcntlArg::F_SETFD(flags));
    }
}

/// Lets signals in again that were held back through a re-execution.
pub(super) fn let_signals_in() {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}
