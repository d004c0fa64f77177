//! What an ostlerd before this one left running of an app's migration, where no scope of systemd's holds it together.
//!
//! It is known by the variable that its processes inherit, which names this ostlerd's own runtime directory, and by the app's
//! user: anybody may write such a variable into an environment of his own, and nobody into another user's process. When this
//! is asked, this ostlerd runs nothing for the app's databases, so whoever is found is an orphan.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Signal, pidfd_send_signal};

use super::containment::Member;
use super::name::{MARK, family};
use super::scan;
use crate::config::AppName;
use crate::run::proc;

/// From SIGTERM to SIGKILL, and to the next one.
const GRACE: Duration = Duration::from_secs(2);
/// What is there after so many signals hangs in the kernel.
const SIGNALS: usize = 6;

/// What a run's processes carry; a run of any app's is told by its beginning.
pub(super) fn mark(runtime: &Path, tag: &str) -> String {
    format!("{}:{tag}", runtime.display())
}

/// Ends what is left of `app`, whose processes are run by `user`; blocks. Who was there, in words; the error, who is still.
pub(super) fn end(runtime: &Path, app: &AppName, user: u32) -> Result<Vec<String>, String> {
    let beginning = format!("{MARK}={}", mark(runtime, &family(app.as_str())));
    let (mut ended, mut signal) = (Vec::new(), Signal::TERM);
    for _ in 0..SIGNALS {
        let members = members(&beginning, user);
        if members.is_empty() {
            return Ok(ended);
        }
        for member in &members {
            // One that has ended meanwhile needs none; what is stopped hears of it too.
            let _ = pidfd_send_signal(&member.pidfd, signal);
            let _ = pidfd_send_signal(&member.pidfd, Signal::CONT);
            if !ended.contains(&member.words) {
                ended.push(member.words.clone());
            }
        }
        wait(&members);
        signal = Signal::KILL;
    }
    let left: Vec<String> = members(&beginning, user).into_iter().map(|it| it.words).collect();
    if left.is_empty() { Ok(ended) } else { Err(left.join(", ")) }
}

fn members(beginning: &str, user: u32) -> Vec<Member> {
    let found = scan::marked(user, |variable| variable.starts_with(beginning.as_bytes()));
    found.into_iter().filter(|it| proc::owner_of(it.pid) == Some(user)).filter_map(Member::of).collect()
}

/// Until all of them have ended, or the grace is over.
fn wait(members: &[Member]) {
    let until = Instant::now() + GRACE;
    for member in members {
        let left = until.saturating_duration_since(Instant::now());
        // Whether it has ended shows in the next look.
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [PollFd::new(member.pidfd.as_fd(), PollFlags::POLLIN)], left);
    }
}
