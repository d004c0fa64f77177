//! What systemd is told: how far ostlerd is, and one line for `systemctl status`. Pure.

use super::outcome::{failed_rollout_words, nameless};
use super::{AppStatus, Status};
use crate::config::{agreed, counted, visible_line};
use crate::supervise::{AppState, PhaseView, RolloutView};

/// More apps than these are counted, not named.
const NAMED: usize = 3;
/// Longer reasons are cut: the whole of them is in `ostler status`.
const LONGEST: usize = 120;

/// The line, `2 of 3 apps serve; shop: rolling out g4, 1 of 4 workers ready`.
pub fn line(status: &Status) -> String {
    let mut parts = vec![summary(status)];
    if !status.config.valid {
        parts.push("the configuration's files are refused, see `ostler status`".to_owned());
    }
    if !status.config.unanswered.is_empty() {
        parts.push("health is not answered, see `ostler status`".to_owned());
    }
    let told: Vec<String> =
        status.apps.iter().filter_map(|app| Some(format!("{}: {}", app.name, words(app)?))).collect();
    let left = told.len().saturating_sub(NAMED);
    parts.extend(told.into_iter().take(NAMED));
    if left > 0 {
        parts.push(format!("and {left} more, see `ostler status`"));
    }
    parts.join("; ")
}

fn summary(status: &Status) -> String {
    let serving = status.apps.iter().filter(|app| serves(app)).count();
    let apps = match (serving, status.apps.len()) {
        (_, 0) => "no apps yet: put one into apps.d".to_owned(),
        (1, 1) => "1 app serves".to_owned(),
        (serving, all) if serving == all => format!("{all} apps serve"),
        (serving, all) => format!("{serving} of {} {}", counted(all, "app"), agreed(all, "serves", "serve")),
    };
    match status.drain {
        Some(drain) if drain.stopping => format!("stopping: {apps}"),
        Some(_) => format!("draining: {apps}"),
        None => apps,
    }
}

fn serves(app: &AppStatus) -> bool {
    use AppState::{Degraded, RollingBack, RollingOut, Serving};
    matches!(app.state, Serving | RollingOut | RollingBack | Degraded)
}

/// What is to be said of an app; nothing of one that simply serves.
fn words(app: &AppStatus) -> Option<String> {
    let problem = app.problem.as_deref().map(|problem| short(nameless(app, problem)));
    let because = |what: &str| match &problem {
        Some(problem) => format!("{what}: {problem}"),
        None => what.to_owned(),
    };
    Some(match (app.state, &app.rollout) {
        (AppState::Starting, _) => because("starting"),
        (AppState::RollingBack, _) => because("rolling back"),
        (AppState::Failed, _) => because("failed"),
        (AppState::Degraded, _) => because("too few workers"),
        (AppState::Stopping, _) => "stopping".to_owned(),
        (AppState::Stopped, _) => "stopped".to_owned(),
        (_, Some(rollout)) => rolling(rollout),
        (AppState::Serving | AppState::RollingOut, None) => short(&failed_rollout_words(app)?),
    })
}

fn rolling(rollout: &RolloutView) -> String {
    let to = rollout.generation.map(|id| format!(" {id}")).unwrap_or_default();
    let RolloutView { ready, wanted, .. } = rollout;
    match rollout.phase {
        PhaseView::Migrating => "migrating".to_owned(),
        PhaseView::Settling => format!("rolling out{to}, all of {} ready", counted(*wanted, "worker")),
        _ => format!("rolling out{to}, {ready} of {} ready", counted(*wanted, "worker")),
    }
}

/// On one line, and not too long.
fn short(text: &str) -> String {
    let line = visible_line(text);
    let line = line.trim();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::testing::{app, status, worker};
    use super::line;
    use crate::supervise::{AppState, GenerationId, LastRollout, PhaseView, RolloutView, WorkerState};

    fn machine(states: &[AppState]) -> Status {
        let apps = states.iter().zip(["a", "b", "c", "d", "e"]).map(|(state, name)| {
            let mut app = app(name, vec![worker(1, WorkerState::Ready)]);
            app.state = *state;
            app
        });
        status(apps.collect())
    }

    #[test]
    fn the_line_counts_what_serves_and_names_what_does_not() {
        use AppState::{Failed, Serving, Stopped};
        assert_eq!(line(&machine(&[])), "no apps yet: put one into apps.d");
        assert_eq!(line(&machine(&[Serving])), "1 app serves");
        assert_eq!(line(&machine(&[Serving, Serving])), "2 apps serve");
        let mut failed = machine(&[Serving, Failed, Stopped]);
        failed.apps[1].problem = Some("no module\nnamed shop".to_owned());
        assert_eq!(line(&failed), "1 of 3 apps serve; b: failed: no module named shop; c: stopped");
        failed.apps[1].problem = Some("b: the directory is not there".to_owned());
        assert_eq!(line(&failed), "1 of 3 apps serve; b: failed: the directory is not there; c: stopped");
        let many = machine(&[Failed; 5]);
        let more = "0 of 5 apps serve; a: failed; b: failed; c: failed; and 2 more, see `ostler status`";
        assert_eq!(line(&many), more);
    }

    #[test]
    fn the_line_tells_of_a_rollout_and_of_one_that_failed() {
        let mut rolling = machine(&[AppState::RollingOut]);
        let generation = Some(GenerationId(4));
        let phase = PhaseView::Replacing;
        rolling.apps[0].rollout = Some(RolloutView { generation, phase, ready: 1, wanted: 4, failures: 0 });
        assert_eq!(line(&rolling), "1 app serves; a: rolling out g4, 1 of 4 workers ready");
        let mut unprepared = machine(&[AppState::Serving]);
        let reason = Some("a: the directory is not there".to_owned());
        unprepared.apps[0].last_rollout = Some(LastRollout { generation: None, committed: false, reason });
        let words = "1 app serves; a: the last rollout did not begin: the directory is not there";
        assert_eq!(line(&unprepared), words);
        let mut failed = machine(&[AppState::Serving]);
        failed.apps[0].last_rollout =
            Some(LastRollout { generation, committed: false, reason: Some("x".repeat(500)) });
        let told = line(&failed);
        assert!(told.starts_with("1 app serves; a: the last rollout to g4 was rolled back: xxx"), "{told}");
        assert!(told.len() < 200 && told.ends_with('…'), "{told}");
    }
}
