//! Looks at the configuration and at releases: slow, so each is a task that reports to the driver.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Shell;
use super::sockets;
use crate::config::AppName;
use crate::plan::{self, AppPlan, Blueprint, Plan, Refusal};
use crate::run::accept_queue;
use crate::run::inbox::{AllDone, Inbound};
use crate::run::inspected::{InspectedApp, InspectedConfig};
use crate::run::prepare;
use crate::run::releases::{self, Releases, ServedRelease};
use crate::supervise::{ConfigFound, ConfigState, Event, GenerationId, Outcome, ReadPurpose, View};

impl Shell {
    pub(super) fn prepare(&self, app: AppName) {
        let (children, file) = (self.children.clone(), self.config_file.clone());
        let inbox = self.outbox.inbox.clone();
        tokio::spawn(async move {
            let looked = Box::new(prepare::one_to_run(&children, &file, &app).await);
            let _ = inbox.send(Inbound::Prepared { app, looked, done: AllDone::new() });
        });
    }

    /// Nobody new is let in; tells when nobody waits any more.
    pub(super) fn stop_accepting(&mut self, app: AppName) {
        let closed = self.apps.get_mut(&app).map(|runtime| runtime.listeners.shut()).unwrap_or_default();
        let facts = self.outbox.facts.clone();
        tokio::spawn(async move {
            // As long as its file is there, a Unix socket takes who comes.
            sockets::files_removed_of(&app, &closed).await;
            accept_queue::emptied(closed).await;
            let _ = facts.send(Event::QueueEmptied { app });
        });
    }

    /// Closes what is not of the blueprint that serves.
    pub(super) fn keep_only(&mut self, app: &AppName, blueprint: Arc<Blueprint>) {
        if let Some(runtime) = self.apps.get_mut(app) {
            runtime.listeners.drop_unwanted(&blueprint.listen);
            runtime.listeners.defer_accept(blueprint.class.answers_one());
            runtime.blueprint = blueprint;
        }
    }

    /// Nobody of the app is there to take connections.
    pub(super) fn refuse_connections(&mut self, name: &AppName) {
        let Some(runtime) = self.apps.get_mut(name) else { return };
        let (refusal, app) = (runtime.listeners.refuse(), name.as_str());
        for error in refusal.errors {
            tracing::error!(app, "{name}: connections wait for an answer that does not come: {error}");
        }
        if refusal.is_new {
            tracing::warn!(app, "{name}: no worker serves: connections are refused until one does");
        }
        if refusal.is_new && refusal.waits {
            tracing::warn!(
                app,
                "{name}: connections at sockets that systemd holds are not refused: they wait until a worker serves"
            );
        }
        self.replace_sockets(name);
    }

    /// Somebody is.
    pub(super) fn accept_connections(&mut self, name: &AppName) {
        let Some(runtime) = self.apps.get_mut(name) else { return };
        let app = name.as_str();
        match runtime.listeners.accept() {
            Ok(false) => {}
            Ok(true) => tracing::info!(app, "{name}: a worker serves: connections are taken again"),
            Err(error) => tracing::error!(app, "{name}: a listener refuses connections still: {error}"),
        }
    }

    /// Keeps the scoreboards as long as their apps need.
    pub fn cut_scoreboards_back(&mut self) {
        for (app, runtime) in &mut self.apps {
            match runtime.scoreboard.cut_back() {
                Ok(false) => {}
                Ok(true) => tracing::warn!(
                    app = app.as_str(),
                    "{app} writes where no worker writes on its scoreboard; that is cut off, from now on without a word"
                ),
                // Tried again with the next look.
                Err(error) => tracing::debug!(app = app.as_str(), %error, "the scoreboard is as it is"),
            }
        }
    }

    /// Reads the configuration and looks at every app; those of `keep` keep their release. The driver gets `Reread`.
    pub(super) fn reread(&self, purpose: ReadPurpose, keep: &Plan) {
        let (children, file) = (self.children.clone(), self.config_file.clone());
        let (inbox, records) = (self.outbox.inbox.clone(), self.inspections.of(keep));
        let apps_run = !self.apps.is_empty();
        tokio::spawn(async move {
            let looked = prepare::all_or_nothing(&children, &file, &records, apps_run).await;
            let _ = inbox.send(Inbound::Reread { purpose, looked, done: AllDone::new() });
        });
    }

    /// What a reading has found, to be told and no more.
    pub(in crate::run) fn found_dry(
        &self,
        InspectedConfig { machine, health, apps, held, .. }: InspectedConfig,
    ) -> ConfigFound {
        let apps = apps.into_iter().map(|(name, looked)| (name, looked.plan)).collect();
        ConfigFound { apps, held, machine, needs_restart: plan::needs_restart(&self.health, &health) }
    }

    /// What a reading has found: learnt, and its sockets bound with what was `done` for them.
    pub(in crate::run) fn found(
        &mut self,
        InspectedConfig { machine, health, apps, held, config }: InspectedConfig,
        done: AllDone,
    ) -> Result<ConfigFound, Refusal> {
        let needs_restart = plan::needs_restart(&self.health, &health);
        let apps = apps.into_iter().map(|(name, looked)| (name, self.learn(looked))).collect();
        let apps = self.bind_all(apps, done)?;
        self.config = config;
        self.learn_owners();
        Ok(ConfigFound { apps, held, machine, needs_restart })
    }

    /// Where health is not answered, for the picture.
    pub fn health_unanswered<'a>(&mut self, words: impl Iterator<Item = &'a String>) {
        self.config_status.unanswered.clear();
        self.config_status.unanswered.extend(words.cloned());
    }

    /// How the files stand to what runs, for the log and the picture.
    pub(super) fn config_is(&mut self, state: ConfigState) {
        let status = &mut self.config_status;
        let (keys, problem) = match state {
            ConfigState::InForce(keys) => (Some(keys), None),
            ConfigState::InPart(keys, reason) => (Some(keys), Some(reason)),
            ConfigState::Refused(reason) => (None, Some(reason)),
        };
        if let Some(keys) = &keys {
            status.needs_restart = keys.clone();
            if !keys.is_empty() {
                tracing::warn!("in force after a restart of ostlerd only: {}", keys.join(", "));
            }
        }
        match &problem {
            Some(reason) if keys.is_some() => {
                tracing::error!("the configuration is in force in part: {reason}")
            }
            Some(reason) => tracing::error!("the configuration is refused, nothing is changed: {reason}"),
            None => {}
        }
        (status.valid, status.problem) = (problem.is_none(), problem);
    }

    /// Looks what a migration of the app would apply.
    pub fn tell_pending(&self, app: AppName, view: &View, answer: oneshot::Sender<Outcome>) {
        let serving = view.apps.iter().find(|it| it.name == app).and_then(|it| it.generation);
        let look = self.migrations.look(&self.config_file, &app, serving);
        tokio::spawn(async move {
            // Whoever asked may have gone. Nothing of what is read here is put in force: it takes no turn.
            let _ = answer.send(look.pending(&app).await);
        });
    }

    /// What a generation uses of the database is kept: no other worker of it is asked.
    pub fn tables_kept(&mut self, app: AppName, generation: GenerationId) {
        if self.apps.contains_key(&app) {
            self.tables.kept(app, generation);
        }
    }

    /// Reads the history of the app's migrations.
    pub fn tell_history(&self, app: &AppName, answer: oneshot::Sender<Outcome>) {
        let is_known = self.readiness.contains_key(app);
        self.migrations.tell_history(app, is_known, answer);
    }

    /// Remembers how an app's plan was found.
    pub fn learn(&mut self, InspectedApp { plan, record }: InspectedApp) -> AppPlan {
        let last = self.apps.get(&record.app.name).map(|runtime| runtime.blueprint.clone());
        let running = self.workers.values().map(|running| running.blueprint.clone());
        let runs: Vec<Arc<Blueprint>> = running.chain(last).collect();
        self.inspections.learn(record, |blueprint| runs.iter().any(|it| **it == *blueprint));
        plan
    }

    /// Somebody wants to know whether releases have changed since what serves was made. Where a rollout is on, that is
    /// said when it has ended.
    pub fn look_at_releases(&mut self, view: &View, asked: oneshot::Sender<()>) {
        let rest = view.apps.iter().filter(|app| app.rollout.is_none());
        let served = rest.filter_map(|app| {
            let blueprint = app.blueprint.clone()?;
            let record = self.inspections.get(&app.name, &blueprint)?;
            Some((record.app.directory.clone(), blueprint))
        });
        let served: Vec<ServedRelease> = served.collect();
        if self.releases.asked(&served, asked) {
            Releases::look(served, self.outbox.inbox.clone());
        }
    }

    /// They were looked at.
    pub fn releases_looked(&mut self, found: releases::ReleaseChanges) {
        self.releases.looked(found);
    }

    /// The picture is set.
    pub fn published(&mut self) {
        self.releases.published();
    }
}
