//! When ostlerd, an app and the machine are well. Pure: a picture in, a verdict out.

use std::time::Duration;

use super::pressure::{self, Pressure};
use super::vitals::Vitals;
use crate::config::{Saturation, counted, visible_line};
use crate::observe::{AppStatus, Status};
use crate::supervise::{AppState, WorkerState};

/// The loop comes round at least once a second; after so long without it nothing that ostlerd says is true any more.
const LOOP_LIMIT: Duration = Duration::from_secs(10);

/// How something is, with the reason where it is not simply well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Pass,
    /// Well, but look at it.
    Warn(String),
    /// Not well.
    Fail(String),
}

impl Verdict {
    /// Whether it counts as well.
    pub fn is_ok(&self) -> bool {
        !matches!(self, Verdict::Fail(_))
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Pass => None,
            Verdict::Warn(reason) | Verdict::Fail(reason) => Some(reason),
        }
    }
}

/// Who sees everything that a verdict is made from.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The picture.
    pub status: &'a Status,
    /// What was measured over time.
    pub vitals: &'a Vitals,
    /// Since the loop that makes the picture came round.
    pub loop_age: Duration,
    /// What lasting saturation does.
    pub saturation: Saturation,
}

impl Judge<'_> {
    /// ostlerd's own loop, and nothing else.
    pub fn live(&self) -> Verdict {
        if self.loop_age <= LOOP_LIMIT {
            return Verdict::Pass;
        }
        Verdict::Fail(format!("ostlerd's loop has stood still for {} s", self.loop_age.as_secs()))
    }

    /// What ends the readiness of every app at once.
    pub fn common(&self) -> Verdict {
        match self.live() {
            Verdict::Pass if self.status.draining => Verdict::Fail("draining".to_owned()),
            verdict => verdict,
        }
    }

    /// One app, the machine's own state left out.
    pub fn app(&self, app: &AppStatus) -> Verdict {
        let ready = app.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count();
        // Whoever scales an app below its minimum means that many to serve.
        let needed = app.health.min_ready.min(app.workers_wanted).max(1) as usize;
        if matches!(app.state, AppState::Stopping | AppState::Stopped) {
            return Verdict::Fail("stopped".to_owned());
        }
        if ready < needed {
            return Verdict::Fail(format!("{ready} of {} ready", counted(needed, "worker")));
        }
        match (self.vitals.pressure(&app.name), self.saturation) {
            (Pressure::None, _) => Verdict::Pass,
            (Pressure::Lasting, Saturation::Fail) => {
                Verdict::Fail(format!("saturated: {}", pressure::words(app)))
            }
            (Pressure::Now | Pressure::Lasting, _) => Verdict::Warn(pressure::words(app)),
        }
    }

    /// What is to be said of the app's migrations: the one under way, or how the last one ended badly.
    pub fn migration(&self, app: &AppStatus) -> Option<(Verdict, String)> {
        if let Some(migration) = &app.migration {
            let words = migration.summary.clone();
            let verdict = if migration.is_troubled() { Verdict::Warn(words.clone()) } else { Verdict::Pass };
            return Some((verdict, words));
        }
        let last = app.last_migration.as_ref().filter(|last| !last.verdict.kind.is_good())?;
        let words =
            format!("the last one of {}: {}: {}", last.database, last.verdict.kind, last.verdict.reason);
        let words = visible_line(&words).into_owned();
        Some((Verdict::Warn(words.clone()), words))
    }

    /// The app of that name.
    pub fn find(&self, name: &str) -> Option<&AppStatus> {
        self.status.apps.iter().find(|app| app.name.as_str() == name)
    }

    /// The whole machine, apps whose names `excluded` has left out. The reason names every app that fails.
    pub fn machine(&self, excluded: impl Fn(&str) -> bool) -> Verdict {
        let common = self.common();
        if !common.is_ok() {
            return common;
        }
        if self.status.apps.is_empty() {
            return Verdict::Fail("no app is configured".to_owned());
        }
        let (mut failing, mut warning) = (String::new(), String::new());
        for app in self.status.apps.iter().filter(|app| !excluded(app.name.as_str())) {
            let (list, reason) = match self.app(app) {
                Verdict::Pass => match self.migration(app) {
                    Some((Verdict::Warn(reason), _)) => (&mut warning, format!("migration: {reason}")),
                    _ => continue,
                },
                Verdict::Fail(reason) if !app.health.optional => (&mut failing, reason),
                Verdict::Warn(reason) | Verdict::Fail(reason) => (&mut warning, reason),
            };
            let separator = if list.is_empty() { "" } else { "; " };
            list.push_str(&format!("{separator}{}: {reason}", app.name));
        }
        match (failing.is_empty(), warning.is_empty()) {
            (false, _) => Verdict::Fail(failing),
            (true, false) => Verdict::Warn(warning),
            (true, true) => Verdict::Pass,
        }
    }

    /// How much more the machine can take, in per cent, never under 10: what an agent tells its balancer to send.
    pub fn weight(&self) -> u32 {
        let busiest = self.status.apps.iter().filter_map(pressure::busy_percent).max();
        100 - busiest.unwrap_or(0).min(90)
    }
}
