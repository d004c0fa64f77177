//! Looks at the configuration and at releases: slow, so each is a task that reports to the driver.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockWriteGuard, oneshot};

use super::Shell;
use super::sockets::{self, AllDone};
use crate::config::{AppName, Config};
use crate::plan::{AppPlan, Blueprint, Plan, Refusal, WorkerClass};
use crate::run::doors;
use crate::run::driver::{Inbound, Purpose};
use crate::run::known::Looked;
use crate::run::prepare;
use crate::run::releases::{self, Releases, Served};
use crate::supervise::{Event, GenerationId, Outcome, RequestId, View};

impl Shell {
    pub(super) fn prepare(&self, app: AppName) {
        let (children, file) = (self.children.clone(), self.config_file.clone());
        let (inbox, turns) = (self.outbox.inbox.clone(), self.turns.clone());
        tokio::spawn(async move {
            let turn = turns.read_owned().await;
            let looked = Box::new(prepare::one(&children, &file, &app).await);
            let _ = inbox.send(Inbound::Prepared { app, looked, turn, done: AllDone::new() });
        });
    }

    /// Nobody new is let in; tells when nobody waits any more.
    pub(super) fn shut_doors(&mut self, app: AppName) {
        let doors = self.apps.get_mut(&app).map(|home| home.listeners.shut()).unwrap_or_default();
        let facts = self.outbox.facts.clone();
        tokio::spawn(async move {
            // As long as its file is there, a Unix socket takes who comes.
            sockets::files_removed_of(&app, &doors).await;
            doors::emptied(doors).await;
            let _ = facts.send(Event::QueueEmptied { app });
        });
    }

    /// Closes what is not of the blueprint that serves.
    pub(super) fn keep_only(&mut self, app: &AppName, blueprint: Arc<Blueprint>) {
        if let Some(home) = self.apps.get_mut(app) {
            home.listeners.drop_unwanted(&blueprint.listen);
            home.listeners.defer_accept(blueprint.class == WorkerClass::Sync);
            home.blueprint = blueprint;
        }
    }

    /// Nobody of the app is there to take connections.
    pub(super) fn refuse_connections(&mut self, name: &AppName) {
        let Some(home) = self.apps.get_mut(name) else { return };
        let (refusal, app) = (home.listeners.refuse(), name.as_str());
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
        let Some(home) = self.apps.get_mut(name) else { return };
        let app = name.as_str();
        match home.listeners.accept() {
            Ok(false) => {}
            Ok(true) => tracing::info!(app, "{name}: a worker serves: connections are taken again"),
            Err(error) => tracing::error!(app, "{name}: a listener refuses connections still: {error}"),
        }
    }

    /// Waits for the turn to read the configuration; the driver gets `MayReread`.
    pub fn reread(&self, id: RequestId, purpose: Purpose) {
        let (inbox, turns) = (self.outbox.inbox.clone(), self.turns.clone());
        tokio::spawn(async move {
            let turn = turns.write_owned().await;
            let _ = inbox.send(Inbound::MayReread { id, purpose, turn });
        });
    }

    /// Keeps the scoreboards as long as their apps need.
    pub fn cut_scoreboards_back(&mut self) {
        for (app, home) in &mut self.apps {
            match home.scoreboard.cut_back() {
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

    /// Whether a request has no answer yet.
    pub fn awaits(&self, id: RequestId) -> bool {
        self.answers.contains_key(&id)
    }

    /// Reads the configuration and looks at every app; those of `running` keep their release. The driver gets `Reread`.
    pub fn reread_now(
        &self,
        id: RequestId,
        purpose: Purpose,
        running: &Plan,
        turn: OwnedRwLockWriteGuard<()>,
    ) {
        let (children, file) = (self.children.clone(), self.config_file.clone());
        let (inbox, known) = (self.outbox.inbox.clone(), self.known.of(running));
        let apps_run = !self.apps.is_empty();
        tokio::spawn(async move {
            let looked = prepare::all_or_nothing(&children, &file, &known, apps_run).await;
            let _ = inbox.send(Inbound::Reread { id, purpose, looked, turn, done: AllDone::new() });
        });
    }

    /// Where health is not answered, for the picture.
    pub fn health_unanswered<'a>(&mut self, words: impl Iterator<Item = &'a String>) {
        self.config_status.unanswered.clear();
        self.config_status.unanswered.extend(words.cloned());
    }

    /// The files were refused; what runs stays.
    pub fn config_refused(&mut self, refusal: &Refusal) {
        self.config_status.valid = false;
        self.config_status.problem = Some(refusal.reason.clone());
        tracing::error!("the configuration is refused, nothing is changed: {}", refusal.reason);
    }

    /// The files are in force but for some apps.
    pub fn config_in_part(&mut self, reason: &str) {
        self.config_status.valid = false;
        self.config_status.problem = Some(reason.to_owned());
        tracing::error!("the configuration is in force in part: {reason}");
    }

    /// The files are in force.
    pub fn config_accepted(&mut self, plan: &Plan, config: Arc<Config>) {
        self.config = config;
        self.learn_owners();
        self.config_status.valid = true;
        self.config_status.problem = None;
        self.config_status.needs_restart = plan.needs_restart.clone();
        if !plan.needs_restart.is_empty() {
            tracing::warn!("in force after a restart of ostlerd only: {}", plan.needs_restart.join(", "));
        }
    }

    /// Whether the files, when last read, were refused.
    pub fn config_is_refused(&self) -> bool {
        !self.config_status.valid
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
    pub fn learn(&mut self, Looked { plan, known }: Looked) -> AppPlan {
        let home = self.apps.get(&known.app.name).map(|home| home.blueprint.clone());
        let running = self.workers.values().map(|running| running.blueprint.clone());
        let runs: Vec<Arc<Blueprint>> = running.chain(home).collect();
        self.known.learn(known, |blueprint| runs.iter().any(|it| **it == *blueprint));
        plan
    }

    /// Somebody wants to know whether releases have changed since what serves was made. Where a rollout is on, that is
    /// said when it has ended.
    pub fn look_at_releases(&mut self, view: &View, asked: oneshot::Sender<()>) {
        let rest = view.apps.iter().filter(|app| app.rollout.is_none());
        let served = rest.filter_map(|app| {
            let blueprint = app.blueprint.clone()?;
            let known = self.known.get(&app.name, &blueprint)?;
            Some((known.app.directory.clone(), blueprint))
        });
        let served: Vec<Served> = served.collect();
        if self.releases.asked(&served, asked) {
            Releases::look(served, self.outbox.inbox.clone());
        }
    }

    /// They were looked at.
    pub fn releases_looked(&mut self, found: releases::Found) {
        self.releases.looked(found);
    }

    /// The picture is set.
    pub fn published(&mut self) {
        self.releases.published();
    }
}
