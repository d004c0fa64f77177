//! Times that have to fit between edge and worker: checks, idle connections, answers.

use std::time::Duration;

use crate::config::{Preset, words};
use crate::plan::{Keeps, ServedApp};

/// What a request may take where nothing of the app's ends it.
const USUAL_WAIT: Duration = Duration::from_secs(60);

/// How long idle connections are used where it is what is printed that says so, and the keep-alive safely above.
const USUAL_IDLE: (u64, u64) = (60, 90);

/// So much earlier than the worker the edge lets go of an idle connection.
const MARGIN: Duration = Duration::from_secs(2);

/// Of programs for which one check that fails is enough: how long that takes until it is known.
pub(super) fn noticed_at_once(every: Duration) -> Duration {
    every + check_timeout(every)
}

/// How long a check may take, of programs that have a limit of its own for it.
pub(super) fn check_timeout(every: Duration) -> Duration {
    Duration::from_secs(5).min(every.mul_f64(0.95))
}

/// How long connections to the workers may be used again. The worker must not be the first to let go: the edge would
/// send the next request into a connection that is just being closed.
pub(super) fn reuse(preset: Preset, app: &ServedApp) -> (Option<Duration>, String) {
    let (most, enough) = preset.idle().seconds().unwrap_or(USUAL_IDLE);
    let most = Duration::from_secs(most);
    let kept = match (app.class.map(|class| (class, class.traits().keeps)), app.keepalive) {
        (Some((class, Keeps::Nothing)), _) => {
            let note =
                format!("Workers of class {class} close each connection after its answer, so none is kept.");
            return (None, note);
        }
        (Some((_, Keeps::AnHour)), _) => Duration::from_secs(3600),
        (Some((_, Keeps::AsSet)), Some(kept)) => kept,
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
