//! What an app's workers have started and not ended, where no scope of systemd's holds it together: it ends with the app.
//!
//! Each is known by a variable in its environment, which children inherit. One that has taken that off, or whose
//! environment is not to be read, is known as long as it is an orphan that has fallen to ostlerd, by its user, where
//! that is no other app's.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::time::timeout;

use super::children::Children;
use super::mark::Mark;
use super::migration::containment::{Member, all_ended};
use super::migration::scan;
use super::proc;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// After so many looks, what starts ever new processes is left alone.
const LOOKS: usize = 20;

/// What an app that has been stopped by now left behind.
#[derive(Debug)]
pub(super) struct Leftovers {
    mark: Mark,
    owner: u32,
    /// The same, if it is of the app alone.
    user: Option<u32>,
    until: u64,
    /// Those of what was found: what is started there later belongs to it.
    sessions: BTreeSet<i32>,
}

impl Leftovers {
    /// Of what was started until now: the app may be started again. Its user owns nothing else if `is_alone`.
    pub(super) fn of(mark: Mark, owner: u32, is_alone: bool) -> Leftovers {
        let user = Some(owner).filter(|_| is_alone);
        Leftovers { mark, owner, user, until: proc::now(), sessions: BTreeSet::new() }
    }

    /// Ends all of it.
    pub(super) async fn end(mut self, children: Children) {
        let mut signal = Signal::TERM;
        for _ in 0..LOOKS {
            let members = self.members(&children).await;
            if members.is_empty() {
                return;
            }
            if signal == Signal::TERM {
                let names: Vec<&str> = members.iter().take(20).map(|member| member.words.as_str()).collect();
                tracing::info!("{}: left by its workers, and ended: {}", self.mark.app(), names.join(", "));
            }
            for member in &members {
                let _ = pidfd_send_signal(&member.pidfd, signal);
                // What is stopped hears of it too.
                let _ = pidfd_send_signal(&member.pidfd, Signal::CONT);
            }
            let _ = timeout(GRACE, all_ended(members)).await;
            signal = Signal::KILL;
        }
        tracing::error!(
            "{}: what its workers have left starts new processes faster than they end",
            self.mark.app()
        );
    }

    async fn members(&mut self, children: &Children) -> Vec<Member> {
        let (mark, owner) = (self.mark.entry(), self.owner);
        let (user, until) = (self.user, self.until);
        let (watching, sessions) = (children.clone(), self.sessions.clone());
        let look = move || {
            let is_orphan =
                |pid: i32| !watching.is_watched(pid) && user.is_some() && proc::owner_of(pid) == user;
            let mut found = scan::left_behind((owner, &mark), until, &sessions, is_orphan);
            found.retain(|found| !watching.is_watched(found.pid));
            found
        };
        let found = tokio::task::spawn_blocking(look).await.expect("looking at /proc does not panic");
        self.sessions.extend(found.iter().map(|found| found.session));
        found.into_iter().filter_map(Member::of).collect()
    }
}
