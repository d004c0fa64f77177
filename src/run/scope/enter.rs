//! Entering a scope: a step of the launcher, while it is still root and one thread.
//!
//! Whoever finds the scope joins it. Whoever does not has systemd make it around a process that only waits, joins, and
//! lets that one go. Two at once, and a name that systemd has not done with yet, are why this is tried again.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::group::{self, ControlGroup};
use super::place::ScopeSpec;

/// Asks systemd for a scope and becomes a program in it.
pub(super) const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";

/// How long a busy systemd may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Puts the calling process into the scope. The error is words.
pub(in crate::run) fn enter(place: &ScopeSpec) -> Result<(), String> {
    let began = Instant::now();
    let failed = |why: String| format!("cannot enter the scope {}: {why}", place.unit);
    loop {
        if group::join(&place.group).map_err(|error| failed(error.to_string()))? {
            return Ok(());
        }
        match open_and_join(place) {
            Ok(()) => return Ok(()),
            Err(why) if began.elapsed() > LIMIT => return Err(failed(why)),
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
}

fn open_and_join(place: &ScopeSpec) -> Result<(), String> {
    let mut command = Command::new(SYSTEMD_RUN);
    command.args(["--scope", "--quiet", "--collect"]);
    command.arg(format!("--unit={}", place.unit)).arg(format!("--slice={}", place.slice));
    command.arg("--property=Delegate=yes").arg(format!("--property=Before={}", place.before));
    if place.oom_policy {
        command.arg("--property=OOMPolicy=continue");
    }
    command.args(["--", "/bin/cat"]).env_clear();
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut first = pipes.map_err(|error| format!("{SYSTEMD_RUN}: {error}"))?;
    let joined = join_beside(&mut first, place);
    // Its end of file, at which it ends.
    drop(first.stdin.take());
    if joined.is_err() {
        let _ = first.kill();
    }
    let _ = first.wait();
    joined
}

/// Waits until `first` is in the scope, and joins it there.
fn join_beside(first: &mut Child, place: &ScopeSpec) -> Result<(), String> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        // The group may be there before its process: it is looked at who is in it, and then nobody takes it away.
        if ControlGroup::new(place.group.clone()).members().contains(&(first.id() as i32)) {
            return match group::join(&place.group) {
                Ok(true) => Ok(()),
                Ok(false) => Err("it was gone at once".to_owned()),
                Err(error) => Err(error.to_string()),
            };
        }
        if first.try_wait().map_err(|error| error.to_string())?.is_some() {
            let mut output = String::new();
            if let Some(mut stderr) = first.stderr.take() {
                let _ = stderr.read_to_string(&mut output);
            }
            return Err(output.trim().to_owned());
        }
        sleep(Duration::from_millis(1));
    }
    Err(format!("systemd has not made it within {LIMIT:?}"))
}
