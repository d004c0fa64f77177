//! What is known of the start of an ostlerd: what it owes, what it has read, and whether it has said that it is ready.

use std::collections::{BTreeMap, BTreeSet};

use ostler::config::AppName;
use ostler::supervise::{
    Action, AppState, Command, ConfigFound, Event, HandoverBy, LinkOrder, Moment, ReadPurpose, Stayed, View,
};

use crate::ledger::Ledger;

/// Since the last ostlerd took over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Startup {
    /// The apps that a restart rolls out and that have not begun to be.
    pub(crate) owed: BTreeSet<AppName>,
    /// Those that are being rolled out for it.
    pub(crate) unproven: BTreeSet<AppName>,
    /// How often somebody has asked for something that an app has to be looked at for.
    pub(crate) asked: BTreeMap<AppName, u32>,
    pub(crate) ready: bool,
    /// The reading that is under way.
    pub(crate) reading: Option<ReadPurpose>,
    /// When the last one began, whatever for.
    pub(crate) read: BTreeMap<&'static str, Moment>,
    /// Whether systemd has said that it starts ostlerd again, and whether the binary on disk can take over.
    pub(crate) restarts: bool,
    pub(crate) checked: bool,
    /// How room is to be made, once that is ordered; nothing is decided from then on.
    pub(crate) left: Option<HandoverBy>,
    /// Apps whose link is being moved.
    moving: BTreeSet<AppName>,
    /// Those whose link was moved while the configuration was read: they may have to be looked at again.
    moved_in_read: BTreeSet<AppName>,
    /// Apps that are looked at.
    pub(crate) looking: BTreeMap<AppName, u32>,
}

pub(crate) fn name(purpose: ReadPurpose) -> &'static str {
    match purpose {
        ReadPurpose::Reload => "reload",
        ReadPurpose::Hangup => "hangup",
        ReadPurpose::DryRun => "dry run",
    }
}

impl Startup {
    /// One has taken over what `view` shows; whether the one before it ended for a restart.
    pub(crate) fn taken_over(view: &View, restart: bool) -> Startup {
        let runs = |state| !matches!(state, AppState::Stopping | AppState::Stopped);
        let running = view.apps.iter().filter(|app| restart && runs(app.state));
        Startup { owed: running.map(|app| app.name.clone()).collect(), ..Startup::default() }
    }

    /// What is in force from now on, by this fact.
    pub(crate) fn in_force<'a>(&self, event: &'a Event) -> Option<&'a ConfigFound> {
        let Event::ConfigRead { found } = event else { return None };
        found.as_ref().as_ref().ok().filter(|_| self.reading != Some(ReadPurpose::DryRun))
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::EndExplained { restart } => self.restarts |= restart,
            Event::SuccessorChecked { checked } => self.checked = checked.is_ok(),
            Event::Stayed { .. } => (self.left, self.restarts, self.checked) = (None, false, false),
            Event::ConfigRead { .. } => {
                let purpose = self.reading.take();
                if purpose != Some(ReadPurpose::DryRun) {
                    let moved = std::mem::take(&mut self.moved_in_read);
                    moved.into_iter().for_each(|app| *self.asked.entry(app).or_default() += 1);
                }
            }
            Event::ReleaseLinkObserved { app, .. } => drop(self.moving.remove(app)),
            Event::AppPrepared { app, .. } => {
                if let Some(count) = self.looking.get_mut(app) {
                    *count -= 1;
                }
                self.looking.retain(|_, count| *count > 0);
            }
            Event::Requested { command, .. } => match command {
                Command::Stop { app } => drop(self.owed.remove(app)),
                Command::Restart { app, .. }
                | Command::Rollback { app, .. }
                | Command::Start { app }
                | Command::Migrate { app, .. } => *self.asked.entry(app.clone()).or_default() += 1,
                // One that was to be looked at may be still, which brings nothing in any more.
                Command::Shutdown | Command::ShutdownNow => {
                    for app in std::mem::take(&mut self.owed) {
                        *self.asked.entry(app).or_default() += 1;
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// `serves` is whether the app of the action does.
    pub(crate) fn act(&mut self, now: Moment, action: &Action, serves: bool) {
        match action {
            Action::TellReady => self.ready = true,
            Action::SwitchRelease { app, order: LinkOrder::Move { .. } } => {
                self.moving.insert(app.clone());
                self.moved_in_read.insert(app.clone());
            }
            Action::Leave(way) => self.left = Some(way.clone()),
            Action::ReadConfig { purpose, .. } => {
                self.reading = Some(*purpose);
                // While one is being moved, none before it is forgotten.
                if self.moving.is_empty() {
                    self.moved_in_read.clear();
                }
                self.moved_in_read.extend(self.moving.iter().cloned());
                self.read.insert(name(*purpose), now);
            }
            Action::Prepare { app } => {
                *self.looking.entry(app.clone()).or_default() += 1;
                let owed = self.owed.remove(app);
                if owed {
                    self.unproven.insert(app.clone());
                }
                // Of one that does not serve, the look may be nobody's: whoever has asked gets another one after it.
                let asked = self.asked.entry(app.clone()).or_default();
                match (serves, owed) {
                    (true, true) | (false, false) => {}
                    (true, false) => *asked = asked.saturating_sub(1),
                    (false, true) => *asked += 1,
                }
            }
            _ => {}
        }
    }

    /// What has stopped, gone or come to an end is owed no more.
    pub(crate) fn see(&mut self, view: &View) {
        let shown = |app: &AppName| view.apps.iter().find(|it| it.name == *app);
        let stops = |state| matches!(state, AppState::Stopping | AppState::Stopped);
        self.owed.retain(|app| shown(app).is_some_and(|it| !stops(it.state)));
        self.unproven.retain(|app| shown(app).is_some_and(|it| it.rollout.is_some()));
    }
}

impl Ledger {
    /// It was to make room and has not: after a restart that cannot be it stops, for nobody would know of the workers.
    pub(crate) fn stayed(&mut self, now: Moment, why: &Stayed) {
        match (&self.start.left, why) {
            (Some(HandoverBy::Restart), _) => self.machine.requested(now, &Command::Shutdown),
            (Some(HandoverBy::Reexec { id, .. }), Stayed::NotExecuted) => {
                self.asked.entry(*id).and_modify(|asked| asked.answers += 1);
            }
            _ => {}
        }
    }
}
