//! A program that is run to its end, with what it says.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::time::timeout;

use super::children::Children;
use super::launch_spec::LaunchSpec;
use crate::plan::ProcessLimits;
use crate::supervise::Exit;

/// More of what it says is not looked at.
const MOST: usize = 64 * 1024;

/// Runs a program as ourselves, with our environment; one that takes longer than `limit` is killed. Returns how it
/// ended, and what it wrote to both outputs.
pub(super) async fn captured(
    children: &Children,
    program: &Path,
    argv: Vec<String>,
    limit: Duration,
) -> io::Result<(Exit, String)> {
    let output = File::from(memfd_create("ostler-output", MFdFlags::MFD_CLOEXEC)?);
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let spec = LaunchSpec {
        program: program.to_owned(),
        argv,
        env: std::env::vars_os().filter_map(text).filter(|(name, _)| name != "NOTIFY_SOCKET").collect(),
        directory: PathBuf::from("/"),
        umask: 0o022,
        limits: ProcessLimits::default(),
        account: None,
        log_file: None,
        no_new_privs: false,
        image: None,
        scope: None,
    };
    let process = children.spawn(&spec, &[(output.as_fd(), 1), (output.as_fd(), 2)])?;
    let exit = match timeout(limit, process.wait()).await {
        Ok(exit) => exit,
        Err(_) => {
            process.kill_group()?;
            process.wait().await;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")));
        }
    };
    let mut text = vec![0; MOST];
    let length = output.read_at(&mut text, 0)?;
    Ok((exit, String::from_utf8_lossy(&text[..length]).into_owned()))
}
