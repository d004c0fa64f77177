//! How it ended with an app, as the command, the page and systemd's line say it. Pure.

use super::AppStatus;
use crate::supervise::{AppState, GenerationId, LastRollout, WorkerState};

/// The generation that answers requests now, where one does: the one that should, or else the newest.
pub fn answering(app: &AppStatus) -> Option<GenerationId> {
    let ready = app.workers.iter().filter(|worker| worker.state == WorkerState::Ready);
    let ready: Vec<GenerationId> = ready.map(|worker| worker.generation).collect();
    app.generation.filter(|serving| ready.contains(serving)).or(ready.into_iter().max())
}

/// The last rollout or start, where it did not end well.
pub(super) fn failed_rollout(app: &AppStatus) -> Option<&LastRollout> {
    app.last_rollout.as_ref().filter(|last| !last.committed)
}

/// Why somebody who waited for the app is told that it did not end well, without the app's name.
pub fn failure(app: &AppStatus) -> Option<&str> {
    let reason = match failed_rollout(app) {
        Some(last) => last.reason.as_deref().unwrap_or("rolled back"),
        None if app.state == AppState::Failed => app.problem.as_deref().unwrap_or("failed"),
        None => return None,
    };
    Some(nameless(app, reason))
}

/// What could not be prepared names its app already.
pub(super) fn nameless<'a>(app: &AppStatus, reason: &'a str) -> &'a str {
    let named = reason.strip_prefix(app.name.as_str()).and_then(|rest| rest.strip_prefix(": "));
    named.unwrap_or(reason)
}

/// `the last rollout to g8 was rolled back: …`, where it did not end well.
pub(super) fn failed_rollout_words(app: &AppStatus) -> Option<String> {
    let last = failed_rollout(app)?;
    let reason = last.reason.as_deref().map_or("no reason was given", |reason| nameless(app, reason));
    Some(match last.generation {
        None => format!("the last rollout did not begin: {reason}"),
        Some(id) if Some(id) == app.generation => format!("generation {id} did not come up: {reason}"),
        Some(id) => format!("the last rollout to {id} was rolled back: {reason}"),
    })
}

/// How it stands with an app of which nothing is under way: `shop: generation g2 serves`.
pub fn end_words(app: &AppStatus) -> String {
    let name = &app.name;
    let ready = |id: GenerationId| {
        app.workers.iter().filter(|it| it.generation == id && it.state == WorkerState::Ready).count()
    };
    let few = |id: GenerationId| {
        format!("generation {id} serves with {} of {} workers", ready(id), app.workers_wanted)
    };
    let is_last = |id: GenerationId| failed_rollout(app).is_some_and(|last| last.generation == Some(id));
    match (failure(app), answering(app)) {
        (Some(why), Some(serving)) if is_last(serving) => format!("{name}: {why}; {}", few(serving)),
        (Some(why), Some(serving)) => format!("{name}: {why}; generation {serving} goes on serving"),
        (Some(why), None) => format!("{name}: {why}; nothing serves"),
        (None, Some(serving)) if app.state == AppState::Degraded => match &app.problem {
            Some(problem) => format!("{name}: {}: {}", few(serving), nameless(app, problem)),
            None => format!("{name}: {}", few(serving)),
        },
        (None, Some(serving)) => format!("{name}: generation {serving} serves"),
        (None, None) if app.state == AppState::Stopped => format!("{name}: stopped"),
        (None, None) => format!("{name}: nothing serves"),
    }
}
