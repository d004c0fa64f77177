//! Where a process stands that boots: it writes its stacks into its boot report, at a signal.

use std::path::Path;
use std::time::Duration;

use nix::libc;

use super::boot_report::BootReport;
use super::proc;
use super::process::ProcessHandle;
use crate::observe::traceback::stands_in;
use crate::supervise::Stand;

/// How long the stacks may take to be written.
const WRITING: Duration = Duration::from_millis(300);

/// By these the shim has stacks written: those of threads, and what waits in an event loop.
const STACKS: i32 = 5;
const TASKS: i32 = 6;

/// Where it stands; nothing where it cannot say so.
pub(super) async fn of(process: &ProcessHandle, report: &BootReport, directory: &Path) -> Option<Stand> {
    let Some(stacks) = written(process, report, STACKS).await else { return not_begun(process) };
    if let Some(at) = stands_in(&stacks, directory) {
        return Some(Stand { at, stacks });
    }
    // Its own code is on no thread's stack: perhaps it waits in an event loop.
    let tasks = written(process, report, TASKS).await.unwrap_or_default();
    let at = stands_in(&tasks, directory);
    let innermost = || innermost(&stacks).unwrap_or_else(|| "no code of its own".to_owned());
    Some(Stand { at: at.unwrap_or_else(innermost), stacks: format!("{tasks}\n{stacks}") })
}

/// What it writes at this signal. One that does not take the signal would die of it.
async fn written(process: &ProcessHandle, report: &BootReport, signal: i32) -> Option<String> {
    let signal = libc::SIGRTMIN() + signal;
    if !proc::catches(process.pid(), signal) || !report.is_ready_for(process.pid()).ok()? {
        return None;
    }
    process.signal_real_time(signal).ok()?;
    tokio::time::sleep(WRITING).await;
    Some(report.stacks()).filter(|stacks| !stacks.is_empty())
}

/// It runs, and nothing of the shim's does: it is somewhere before that.
fn not_begun(process: &ProcessHandle) -> Option<Stand> {
    let begun = proc::catches(process.pid(), libc::SIGRTMIN() + STACKS);
    let at = "its interpreter's own start, before any code of the app (site, .pth files, sitecustomize)";
    (!begun).then(|| Stand { at: at.to_owned(), stacks: String::new() })
}

/// The innermost frame of all, whoever's it is.
fn innermost(stacks: &str) -> Option<String> {
    let frame = stacks.lines().find(|line| line.trim_start().starts_with("File \""))?;
    Some(frame.trim().to_owned())
}
