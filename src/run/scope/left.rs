//! What the workers of a generation have started and left in its scope: it ends with the generation.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::group::ControlGroup;
use crate::run::children::Children;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// So long what ostlerd itself is ending there may take, such as the process of gunicorn's hooks; then it is let alone.
const ENDING: Duration = Duration::from_secs(60);
/// So long the kernel may take to end processes: those that wait for a dead disk do not end.
const LEFTOVERS: Duration = Duration::from_secs(5);
/// How often it is looked whether that has ended.
const LOOK: Duration = Duration::from_millis(200);

/// Ends all that is in a scope, once ostlerd watches nobody there any more.
pub(in crate::run) async fn end_left(group: ControlGroup, children: Children) {
    let until = Instant::now() + ENDING;
    while group.members().iter().any(|pid| children.is_watched(*pid)) {
        if group.wait_empty(Instant::now() + LOOK).await || Instant::now() >= until {
            return;
        }
    }
    let members = group.members();
    if members.is_empty() {
        return;
    }
    let pids: Vec<String> = members.iter().take(20).map(|pid| format!("pid {pid}")).collect();
    tracing::info!("{}: left by its workers, and ended: {}", group.name(), pids.join(", "));
    if group.signal(Signal::TERM).is_err() || !group.wait_empty(Instant::now() + GRACE).await {
        end(&group).await;
    }
}

/// Kills what is in a scope, and says so where it cannot be killed.
pub(in crate::run) async fn end(group: &ControlGroup) {
    match group.kill_all(Instant::now() + LEFTOVERS).await {
        Ok(true) => {}
        Ok(false) => tracing::error!("{}: {:?} cannot be killed", group.name(), group.members()),
        Err(error) => tracing::error!("{}: cannot be killed: {error}", group.name()),
    }
}
