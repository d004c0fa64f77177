//! Running skopeo and umoci: with the least of everything, and never longer than this command.
//!
//! A child is in a session of its own, so it has no terminal into which it could type as root; it has nothing of this
//! command's environment that it does not need, the lowest priority for the processor and the disk, and ends with this
//! command, however that ends.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, setsid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::person::Person;
use crate::cli::error::VerbError;
use crate::control::protocol::exit;

/// How often it is looked at while it runs: the disk, and how far it has come.
const LOOK: Duration = Duration::from_millis(250);

/// More than that nobody has to say: manifests may have 4 MiB.
const MOST_OUT: usize = 8 << 20;
const MOST_ERR: usize = 64 << 10;

const NICE: libc::c_int = 10;

/// `ioprio_set`'s words: of one process, best effort, the lowest of eight. Not idle: on a busy disk that is never.
const OF_PROCESS: libc::c_int = 1;
const LOWEST: libc::c_int = (2 << 13) | 7;

/// What is passed on, if it is set.
const KEPT: [&str; 11] = [
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How a child ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) well: bool,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

/// One to be run.
pub(super) struct Program<'a> {
    name: &'static str,
    arguments: Vec<OsString>,
    input: Option<&'a [u8]>,
    person: &'a Person,
}

impl<'a> Program<'a> {
    pub(super) fn new<A: AsRef<OsStr>>(
        name: &'static str,
        person: &'a Person,
        arguments: &[A],
    ) -> Program<'a> {
        let arguments = arguments.iter().map(|it| it.as_ref().to_owned()).collect();
        Program { name, arguments, input: None, person }
    }

    pub(super) fn input(mut self, input: &'a [u8]) -> Program<'a> {
        self.input = Some(input);
        self
    }

    /// Runs it to its end, or to where `look` says that it may not go on.
    pub(super) async fn run(
        self,
        mut look: impl FnMut() -> Result<(), VerbError>,
    ) -> Result<Ended, VerbError> {
        let name = self.name;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => missing(name),
            _ => VerbError::said(exit::FAILED, format!("cannot run {name}: {error}")),
        };
        let mut child = self.command().spawn().map_err(failed)?;
        let group = Group::of(&child);
        let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let write = async {
                if let (Some(mut pipe), Some(text)) = (input, self.input) {
                    // It reads as much as it wants to.
                    let _ = pipe.write_all(text).await;
                }
            };
            let ((), out, err) = tokio::join!(write, read(out, MOST_OUT), read(err, MOST_ERR));
            (out, err, child.wait().await)
        };
        tokio::pin!(talk);
        let mut ticks = tokio::time::interval(LOOK);
        let (out, err, ended) = loop {
            tokio::select! {
                ended = &mut talk => break ended,
                _ = ticks.tick() => look()?,
            }
        };
        group.has_ended();
        let status = ended.map_err(failed)?;
        Ok(Ended { well: status.success(), out, err: String::from_utf8_lossy(&err).into_owned() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.name);
        command.args(&self.arguments).env_clear().envs(self.person.environment()).current_dir("/");
        command.env("PATH", PATH).env("LANG", "C.UTF-8");
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let input = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = std::process::id();
        // SAFETY: nothing but system calls, and no memory is allocated.
        unsafe { command.pre_exec(move || modest(parent)) };
        command
    }
}

/// In the child, before it is the program.
fn modest(parent: u32) -> io::Result<()> {
    setsid()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if Pid::parent().as_raw().cast_unsigned() != parent {
        return Err(io::Error::from(Errno::ESRCH));
    }
    // SAFETY: system calls with numbers alone. That a kernel knows no priorities of disks is no reason not to go on.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, OF_PROCESS, 0, LOWEST);
    }
    Ok(())
}

/// Everything of it, up to `most`; the rest is read and forgotten, so that it can end.
async fn read(pipe: Option<impl AsyncRead + AsFd + Unpin>, most: usize) -> Vec<u8> {
    let (mut text, mut part) = (Vec::new(), [0_u8; 8192]);
    let Some(mut pipe) = pipe else { return text };
    while let Ok(count @ 1..) = pipe.read(&mut part).await {
        let room = most.saturating_sub(text.len());
        text.extend_from_slice(&part[..count.min(room)]);
    }
    text
}

/// A child and what it has started. Dropped before it has ended, it is killed, and has ended then.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        // One that has just ended by itself is as good.
        let _ = killpg(pid, Signal::SIGKILL);
        // Whoever removes what it has written must not do so while it still writes.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    }
}

/// Why not, unless every program is here.
pub(super) fn are_here(names: &[&'static str]) -> Result<(), VerbError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let is_here = |name: &str| folders.iter().any(|it: &PathBuf| Path::new(it).join(name).is_file());
    match names.iter().find(|name| !is_here(name)) {
        Some(name) => Err(missing(name)),
        None => Ok(()),
    }
}

fn missing(name: &str) -> VerbError {
    VerbError::said(
        exit::FAILED,
        format!("there is no {name} here, which images need: apt install skopeo umoci"),
    )
}
