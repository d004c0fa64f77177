//! A run in words: a line for each step.

use ostler::supervise::{Action, Event, MigrationOrder, Moment, Start};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(kept: bool) -> Self {
        Trace { lines: kept.then(Vec::new) }
    }

    pub(crate) fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(words());
        }
    }

    pub(crate) fn last(&self, count: usize) -> &[String] {
        let lines = self.lines.as_deref().unwrap_or_default();
        &lines[lines.len().saturating_sub(count)..]
    }
}

pub(crate) fn line(now: Moment, fact: &Event, actions: &[Action]) -> String {
    let actions: Vec<String> = actions.iter().map(action).collect();
    format!("{now:>9}  {}\n               -> {}", event(fact), actions.join("; "))
}

fn event(event: &Event) -> String {
    match event {
        Event::ConfigRead { found } => match &**found {
            Ok(found) => {
                let apps = found.apps.iter().map(|(app, plan)| {
                    format!("{app} v{} x{}", plan.blueprint.release.files, plan.policy.workers)
                });
                let held = found.held.iter().map(|(app, why)| format!("{app} held ({})", why.reason));
                format!("ConfigRead: {}", apps.chain(held).collect::<Vec<_>>().join(", "))
            }
            Err(refusal) => format!("ConfigRead: refused ({})", refusal.reason),
        },
        Event::AppPrepared { app, prepared } => match &**prepared {
            Ok(plan) => {
                format!("AppPrepared {app} v{} x{}", plan.blueprint.release.files, plan.policy.workers)
            }
            Err(refusal) => format!("AppPrepared {app}: {}", refusal.reason),
        },
        Event::LoadObserved { apps, memory } => {
            let apps = apps.iter().map(|it| {
                let busy: u32 = it.workers.iter().map(|(_, load)| load.in_flight).sum();
                format!("{} {busy} of {} busy, {:?} wait", it.app, it.workers.len(), it.waiting)
            });
            let free = memory.map_or(0, |memory| memory.available >> 30);
            format!("LoadObserved {free}G: {}", apps.collect::<Vec<_>>().join(", "))
        }
        Event::WorkersObserved { seen } => {
            let seen = seen.iter().map(|(worker, it)| {
                let oldest = it.oldest_request.map_or(0.0, |age| age.as_secs_f64());
                let rss = it.rss.map_or(0, |rss| rss >> 20);
                format!("{worker} {:.1}/{}/{oldest:.1}/{rss}M", it.beat_age.as_secs_f64(), it.requests)
            });
            format!("WorkersObserved beat/requests/oldest/rss: {}", seen.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn action(action: &Action) -> String {
    match action {
        Action::StartProcess(Start { process, role, generation, blueprint, hold, from, .. }) => {
            let held = if *hold { " held" } else { "" };
            let from = from.map_or(String::new(), |zygote| format!(" from {zygote}"));
            let (app, version) = (&blueprint.app, blueprint.release.files);
            format!("Start {role:?} {process} {app}/{generation} v{version}{held}{from}")
        }
        Action::SignalProcess { process: worker, signal: rung } => format!("{rung:?} {worker}"),
        Action::ReadConfig { purpose, .. } => format!("ReadConfig {purpose:?}"),
        Action::AdmitWorker { worker } => format!("AdmitWorker {worker}"),
        Action::Migrate { app, run, order: MigrationOrder::Open(_) } => format!("Open {app} {run:?}"),
        Action::Migrate { app, run, order: MigrationOrder::RecordMigration(it) } => {
            format!("Record {app} {run:?} try {} {:?} {}", it.attempts, it.verdict, it.resolved)
        }
        Action::Migrate { app, run, order } => format!("{app} {run:?} {order:?}"),
        Action::StopAccepting { app } => format!("StopAccepting {app}"),
        Action::KeepOnly { app, .. } => format!("KeepOnly {app}"),
        Action::Answer { id, outcome } => format!("Answer {}: {outcome:?}", id.0),
        Action::Announce(event) => format!("\"{}: {}\"", event.app, event.kind),
        other => format!("{other:?}"),
    }
}
