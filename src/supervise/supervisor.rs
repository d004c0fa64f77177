//! The core as the shell sees it: every app, the requests, and the one way in.

use std::collections::BTreeMap;

use crate::config::AppName;
use crate::plan::{AppChange, Effect, Plan, Refusal, diff};

use super::action::{Action, Start};
use super::app_commands::NOT_FOR_THE_CORE;
use super::command::Command;
use super::config_found::ReadPurpose;
use super::context::Context;
use super::event::Event;
use super::process_fact::ProcessFact;
use super::random::Random;
use super::request::{Outcome, RequestId};
use super::state::{App, Deploy, Effects, HeldLinks, Looks, Mode, Supervisor};
use super::time::Moment;
use super::view::View;

impl Supervisor {
    /// A supervisor that wants `plan` to run and has done nothing for it yet; the first event starts it.
    pub fn new(plan: Plan, seed: u64) -> Self {
        let mut supervisor = Supervisor {
            apps: BTreeMap::new(),
            app_of: BTreeMap::new(),
            random: Random::seeded(seed),
            next_process: 0,
            next_run: 0,
            links: HeldLinks::default(),
            now: Moment::ZERO,
            machine: plan.machine,
            drain: None,
            shutdown: None,
            looks: Looks::default(),
            reloads: BTreeMap::new(),
            deploy: Deploy::default(),
            leaving: None,
            own_requests: 0,
            first: Vec::new(),
        };
        let mut effects = Effects::default();
        for (name, prepared) in plan.apps {
            supervisor.with_new_app(name, &mut effects, |app, context| app.begin(context, prepared, None));
        }
        supervisor.first = effects.actions;
        supervisor
    }

    /// Records a fact, lets time pass, and says what to do.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        if self.is_leaving(&event) {
            return Vec::new();
        }
        let mut effects = Effects { actions: std::mem::take(&mut self.first), answers: Vec::new() };
        self.record(event, &mut effects);
        self.expire_drain(&mut effects);
        let names: Vec<AppName> = self.apps.keys().cloned().collect();
        for name in &names {
            self.with_app(name, &mut effects, |app, context| {
                app.expire(context);
                app.converge(context);
                app.settle_link(context);
                app.update_accepting(context);
            });
        }
        if std::mem::take(&mut self.links.freed) {
            // Somebody may wait for that.
            for name in &names {
                self.with_app(name, &mut effects, |app, context| {
                    app.settle_link(context);
                    app.update_accepting(context);
                });
            }
        }
        self.apps.retain(|_, app| app.mode != Mode::Removed);
        self.give_answers(&mut effects);
        self.tell_ready(&mut effects);
        self.begin_looks(&mut effects);
        self.tell_to_leave(&mut effects);
        self.note_apps(&effects.actions);
        self.finish_shutdown(&mut effects.actions);
        effects.actions
    }

    /// When to call again with [`Event::TimePassed`] if nothing else happens.
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.has_left() {
            return None;
        }
        self.apps.values().filter_map(App::deadline).chain(self.drain_deadline()).min()
    }

    /// What runs.
    pub fn view(&self, now: Moment) -> View {
        let now = self.now.max(now);
        View {
            draining: self.drain.is_some(),
            drain: self.drain_view(now),
            reloading: self.is_reloading(),
            apps: self.apps.values().map(|app| app.view(now)).collect(),
        }
    }

    /// What is wanted now: the generations that serve, or are being brought in.
    pub fn plan(&self) -> Plan {
        let nothing = |app: &App| app.refusal.clone().unwrap_or_else(|| Refusal::new("nothing runs"));
        let apps = self.apps.iter();
        Plan {
            apps: apps.map(|(name, app)| (name.clone(), app.plan().ok_or_else(|| nothing(app)))).collect(),
            machine: self.machine,
            needs_restart: Vec::new(),
        }
    }

    /// What this plan would change, app by app.
    pub fn changes(&self, plan: &Plan) -> Vec<AppChange> {
        let mut changes = diff(&self.plan(), plan);
        for change in &mut changes {
            let stopped = self.apps.get(&change.app).is_some_and(|app| app.mode == Mode::Stopped);
            if stopped && change.effect != Effect::Remove {
                change.effect = Effect::Stopped;
            }
        }
        changes
    }

    pub(super) fn record(&mut self, event: Event, effects: &mut Effects) {
        match event {
            Event::TimePassed => {}
            Event::MigrationHeard { run, fact } => {
                for name in self.apps.keys().cloned().collect::<Vec<_>>() {
                    self.with_app(&name, effects, |app, context| {
                        if app.databases.run() == Some(run) {
                            app.migration_heard(context, (*fact).clone());
                        }
                    });
                }
            }
            Event::Requested { id, command } => self.requested(id, command, effects),
            Event::AppPrepared { app, prepared } => {
                self.looked_at(&app, prepared.is_ok());
                if self.with_app(&app, effects, |app, context| app.prepared(context, *prepared)).is_none() {
                    // Removed meanwhile.
                    effects.actions.push(Action::ReleaseApp { app });
                }
            }
            Event::ReleaseLinkObserved { app, fact } => {
                self.with_app(&app, effects, |app, context| app.link_observed(context, fact));
            }
            Event::SuccessorChecked { checked } => self.successor_checked(checked, effects),
            Event::EndExplained { restart } => self.end_explained(restart, effects),
            Event::Stayed { why } => self.stayed(why, effects),
            Event::ConfigRead { found } => self.config_read(*found, effects),
            Event::QueueEmptied { app } => drop(self.with_app(&app, effects, |app, _| app.queue_emptied())),
            Event::WorkersObserved { seen } => {
                let mut by_home: BTreeMap<AppName, Vec<_>> = BTreeMap::new();
                for (worker, seen) in seen {
                    if let Some(home) = self.app_of.get(&worker) {
                        by_home.entry(home.clone()).or_default().push((worker, seen));
                    }
                }
                for (home, seen) in by_home {
                    self.with_app(&home, effects, |app, context| app.observed(context, seen));
                }
            }
            Event::LoadObserved { apps, memory } => self.load_observed(&apps, memory, effects),
            Event::Process { process, fact } => {
                let ends = matches!(fact, ProcessFact::NotStarted(_) | ProcessFact::Exited(_));
                let home =
                    if ends { self.app_of.remove(&process) } else { self.app_of.get(&process).cloned() };
                if let Some(home) = home {
                    self.with_app(&home, effects, |app, context| app.process_heard(context, process, fact));
                }
            }
        }
    }

    fn requested(&mut self, id: RequestId, command: Command, effects: &mut Effects) {
        let leaving = self.shutdown.is_some();
        match &command {
            Command::Shutdown => return self.shut_down(id, false, effects),
            Command::ShutdownNow => return self.shut_down(id, true, effects),
            Command::Reexec => return self.reexec(id, effects),
            // It changes nothing.
            Command::DryRun => return self.reload(id, ReadPurpose::DryRun),
            _ if leaving => {
                let reason = "ostlerd is shutting down".to_owned();
                return effects.actions.push(Action::Answer { id, outcome: Outcome::Refused { reason } });
            }
            Command::Drain { length } => return self.drain(id, *length, effects),
            Command::Undrain => return self.undrain(id, effects),
            Command::Reload => return self.reload(id, ReadPurpose::Reload),
            Command::Hangup => return self.reload(id, ReadPurpose::Hangup),
            _ => {}
        }
        let known = command.app().filter(|app| self.apps.contains_key(app)).cloned();
        let Some(app) = known else {
            let reason = match command.app() {
                Some(app) => format!("no app named `{app}` is configured"),
                None => NOT_FOR_THE_CORE.to_owned(),
            };
            return effects.actions.push(Action::Answer { id, outcome: Outcome::Invalid { reason } });
        };
        let accepts = command.accepts_breakage().then_some(id);
        self.with_app(&app, effects, |app, _| app.databases.accepting.extend(accepts));
        self.with_app(&app, effects, |app, context| app.command(context, id, command));
    }

    fn note_apps(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::StartProcess(Start { process, blueprint, .. }) = action {
                self.app_of.insert(*process, blueprint.app.clone());
            }
        }
    }

    pub(super) fn with_app<T>(
        &mut self,
        name: &AppName,
        effects: &mut Effects,
        then: impl FnOnce(&mut App, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let app = self.apps.get_mut(name)?;
        let mut context = Context {
            now: self.now,
            random: &mut self.random,
            next_process: &mut self.next_process,
            next_run: &mut self.next_run,
            links: &mut self.links,
            reads_config: self.looks.is_reading(),
            actions: &mut effects.actions,
            answers: &mut effects.answers,
        };
        Some(then(app, &mut context))
    }

    pub(super) fn with_new_app<T>(
        &mut self,
        name: AppName,
        effects: &mut Effects,
        then: impl FnOnce(&mut App, &mut Context<'_>) -> T,
    ) -> Option<T> {
        self.apps.insert(name.clone(), App::new(name.clone()));
        self.with_app(&name, effects, then)
    }
}
