//! Times that have to fit between edge and worker: checks, idle connections, answers.

use std::time::Duration;

use super::Program;
use super::wanted::Wanted;
use crate::config::{Preset, words};
use crate::plan::{ServedApp, WorkerClass};

/// What a request may take where nothing of the app's ends it.
const USUAL_WAIT: Duration = Duration::from_secs(60);

/// So much earlier than the worker the edge lets go of an idle connection.
const MARGIN: Duration = Duration::from_secs(2);

/// From one check to the next, and how long it takes until a server that fails them gets nothing more.
pub(super) fn checks(program: Program, wanted: &Wanted) -> (Duration, Duration) {
    match program {
        Program::Haproxy => {
            let every = wanted.check_every.unwrap_or(Duration::from_secs(2));
            (every, every * 4)
        }
        _ => {
            let every = wanted.check_every.unwrap_or(Duration::from_secs(30));
            (every, every + check_timeout(every))
        }
    }
}

/// How long a check may take, of programs that have a limit of its own for it.
pub(super) fn check_timeout(every: Duration) -> Duration {
    Duration::from_secs(5).min(every.mul_f64(0.95))
}

pub(super) fn preset_of(program: Program) -> Option<Preset> {
    match program {
        Program::Haproxy => Some(Preset::Haproxy),
        Program::Traefik => Some(Preset::Traefik),
        Program::Caddy => Some(Preset::Caddy),
        Program::Nginx | Program::Keepalived => None,
    }
}

/// How long connections to the workers may be used again. The worker must not be the first to let go: the edge would
/// send the next request into a connection that is just being closed.
pub(super) fn reuse(program: Program, app: &ServedApp) -> (Option<Duration>, String) {
    let most = Duration::from_secs(match program {
        Program::Caddy => 120,
        Program::Traefik => 90,
        _ => 60,
    });
    let enough = most.as_secs() + if program == Program::Nginx { 15 } else { 30 };
    let kept = match (app.class, app.keepalive) {
        (Some(WorkerClass::Sync), _) => {
            let note = "Workers of class sync close each connection after its answer, so none is kept.";
            return (None, note.to_owned());
        }
        // Whatever the setting says.
        (Some(WorkerClass::Tornado), _) => Duration::from_secs(3600),
        (Some(_), Some(kept)) => kept,
        _ => {
            let note =
                "How long workers keep idle connections is not known without ostlerd, so none is kept.";
            return (None, note.to_owned());
        }
    };
    if kept < MARGIN * 2 {
        return (
            None,
            format!(
                "Workers close idle connections after {} (gunicorn's keepalive), too soon to use them again: a request would meet one \
             that is just being closed. With \"--keep-alive\", \"{enough}\" in args of the app, and this printed again, they \
             are kept.",
                words(kept)
            ),
        );
    }
    let reuse = most.min(kept - MARGIN);
    let note = format!(
        "Idle connections are used again for {}: workers keep them for {} (gunicorn's keepalive), and must not be the first to \
         let go.",
        words(reuse),
        words(kept)
    );
    (Some(reuse), note)
}

pub(super) fn wait(app: &ServedApp) -> (Duration, String) {
    match app.request_limit {
        Some(limit) => {
            let note = format!(
                "ostlerd ends a request after {} and has its stacks in the log; the edge gives up a little later.",
                words(limit)
            );
            (limit + Duration::from_secs(5), note)
        }
        None => {
            let note =
                "Nothing of the app's ends a long request: request_timeout in [limits] of its file would.";
            (USUAL_WAIT, note.to_owned())
        }
    }
}
