//! Reading the configuration anew, and looking at single apps: what is read later is in force later.
//!
//! ```text
//! Reload, Hangup, DryRun ─┐
//! Prepare of an app ──────┴─► due, in order ─┬─► a look at one app; several at a time ─► AppPrepared
//!                                            └─► ReadConfig, alone ─► ConfigRead ─┬─► refused: nothing is changed
//!                                                                                 ├─► told what it would change
//!                                                                                 └─► in force, app by app ─► answered
//! ```
//!
//! Requests for the same that come before their reading has begun share it, so nobody is answered from files that were read
//! before he asked, and a storm of requests costs one reading more.

use std::collections::BTreeMap;

use crate::config::AppName;
use crate::plan::{Plan, Refusal};

use super::action::Action;
use super::config_found::{ConfigFound, ConfigState, ReadPurpose};
use super::request::{Outcome, RequestId};
use super::state::{App, DueLook, Effects, Reading, Reload, Supervisor, Then};

impl Supervisor {
    /// Somebody wants the configuration's files in force, or to know what that would change.
    pub(super) fn reload(&mut self, id: RequestId, purpose: ReadPurpose) {
        self.looks.read(id, purpose);
    }

    /// An app has been looked at. Where the files were refused and it can be run now, they are read again: what refused them
    /// may have been the release before.
    pub(super) fn looked_at(&mut self, app: &AppName, is_good: bool) {
        self.looks.looked_at(app);
        if is_good && self.looks.refused && self.shutdown.is_none() {
            let id = self.own_request();
            self.looks.read(id, ReadPurpose::Reload);
        }
    }

    /// Holds looks back until it is their turn, and begins those whose turn it is. Comes after all other decisions.
    pub(super) fn begin_looks(&mut self, effects: &mut Effects) {
        effects.actions.retain(|action| match action {
            Action::Prepare { app } => {
                self.looks.look_at(app.clone());
                false
            }
            _ => true,
        });
        // An app that was stopped or removed meanwhile has no use for its look.
        let apps = &self.apps;
        self.looks.due.retain(|look| match look {
            DueLook::App(app) => apps.get(app).is_some_and(|it| it.preparing.is_some()),
            DueLook::Config(_) => true,
        });
        while let Some(look) = self.looks.next() {
            effects.actions.push(match look {
                DueLook::App(app) => Action::Prepare { app },
                DueLook::Config(Reading { purpose, .. }) => {
                    if !self.apps.values().any(|app| app.release.moves_back() || app.returns()) {
                        self.links.read_anew();
                    }
                    let keep = match purpose {
                        ReadPurpose::Reload | ReadPurpose::DryRun => self.plan(),
                        ReadPurpose::Hangup => Plan::default(),
                    };
                    Action::ReadConfig { purpose, keep: Box::new(keep) }
                }
            });
        }
    }

    /// The configuration has been read.
    pub(super) fn config_read(&mut self, found: Result<ConfigFound, Refusal>, effects: &mut Effects) {
        let Some(reading) = self.looks.reading.take() else { return };
        match (reading.purpose, found) {
            (ReadPurpose::DryRun, found) => self.tell_changes(reading.waiters, found, effects),
            (_, found) => {
                // Its listeners are bound, whatever becomes of it.
                self.apps.values_mut().for_each(App::doubt_accepting);
                let first = reading.first;
                match found {
                    Ok(found) => self.bring_in_config(reading, found, effects),
                    Err(refusal) => self.refuse_config(reading.waiters, refusal, effects),
                }
                if first {
                    self.deploy(effects);
                }
            }
        }
    }

    fn tell_changes(
        &mut self,
        waiters: Vec<RequestId>,
        found: Result<ConfigFound, Refusal>,
        effects: &mut Effects,
    ) {
        let outcome = match found {
            Ok(found) if !found.held.is_empty() => in_part(&found.held),
            Ok(found) => {
                let plan = self.plan_of(found);
                Outcome::Planned { changes: self.changes(&plan), needs_restart: plan.needs_restart }
            }
            Err(Refusal { reason, detail, .. }) => Outcome::Misconfigured { reason, detail },
        };
        answer_all(waiters, &outcome, &mut effects.actions);
    }

    fn refuse_config(&mut self, waiters: Vec<RequestId>, refusal: Refusal, effects: &mut Effects) {
        self.looks.refused = true;
        let Refusal { reason, detail, .. } = refusal;
        effects.actions.push(Action::TellConfig(ConfigState::Refused(reason.clone())));
        answer_all(waiters, &Outcome::Misconfigured { reason, detail }, &mut effects.actions);
    }

    /// Puts in force what was found; apps that are held go on as they are, and whoever asked is told of them at once.
    fn bring_in_config(&mut self, mut reading: Reading, found: ConfigFound, effects: &mut Effects) {
        if self.shutdown.is_some() {
            let reason = "ostlerd is shutting down".to_owned();
            return answer_all(reading.waiters, &Outcome::Refused { reason }, &mut effects.actions);
        }
        self.looks.refused = !found.held.is_empty();
        let keys = found.needs_restart.clone();
        if found.held.is_empty() {
            effects.actions.push(Action::TellConfig(ConfigState::InForce(keys)));
        } else {
            let outcome = in_part(&found.held);
            effects.actions.push(Action::TellConfig(ConfigState::InPart(keys, outcome.to_string())));
            // What becomes of the rest is told to the log alone.
            let rest = vec![self.own_request()];
            answer_all(std::mem::replace(&mut reading.waiters, rest), &outcome, &mut effects.actions);
        }
        let plan = self.plan_of(found);
        self.bring_in_plan(reading, plan, effects);
    }

    /// The whole plan: what is held runs on as it is, where it runs.
    fn plan_of(&self, found: ConfigFound) -> Plan {
        let ConfigFound { apps, held, machine, needs_restart } = found;
        let mut running = self.plan().apps;
        let mut apps: BTreeMap<AppName, _> = apps.into_iter().map(|(name, plan)| (name, Ok(plan))).collect();
        apps.extend(held.into_iter().map(|(name, refusal)| {
            let runs = running.remove(&name).and_then(Result::ok);
            (name, runs.ok_or(refusal))
        }));
        Plan { apps, machine, needs_restart }
    }

    fn bring_in_plan(&mut self, Reading { waiters, first, .. }: Reading, plan: Plan, effects: &mut Effects) {
        let id = self.own_request();
        self.machine = plan.machine;
        let mut reload = Reload { waiters, first, needs_restart: plan.needs_restart, ..Reload::default() };
        let gone: Vec<AppName> =
            self.apps.keys().filter(|name| !plan.apps.contains_key(name)).cloned().collect();
        for name in gone {
            reload.left.insert(name.clone());
            reload.changed.push(name.clone());
            self.with_app(&name, effects, |app, context| app.stop(context, Some(id), Then::Forget));
        }
        for (name, prepared) in plan.apps {
            let waits = match self.apps.contains_key(&name) {
                false => self.with_new_app(name.clone(), effects, |app, context| {
                    app.begin(context, prepared, Some(id));
                    true
                }),
                true => self.with_app(&name, effects, |app, context| app.replan(context, prepared, id)),
            };
            if waits == Some(true) {
                reload.left.insert(name.clone());
                reload.changed.push(name);
            }
        }
        self.reloads.insert(id, reload);
    }

    /// Passes answers on; those of a reload are gathered until every app has given its own.
    pub(super) fn give_answers(&mut self, effects: &mut Effects) {
        let Effects { actions, answers } = effects;
        for (id, app, outcome) in answers.drain(..) {
            match self.reloads.get_mut(&id) {
                Some(reload) => reload.answered(&app, outcome),
                None => actions.push(Action::Answer { id, outcome }),
            }
        }
        self.reloads.retain(|_, reload| {
            if reload.left.is_empty() {
                answer_all(std::mem::take(&mut reload.waiters), &reload.outcome(), actions);
            }
            !reload.left.is_empty()
        });
    }

    /// Nobody is there any more who could read for those who wait.
    pub(super) fn give_up_readings(&mut self, actions: &mut Vec<Action>) {
        let outcome = Outcome::Refused { reason: "ostlerd is shutting down".to_owned() };
        let waiters = self.looks.readings().flat_map(|reading| reading.waiters.clone());
        answer_all(waiters.collect(), &outcome, actions);
    }

    /// Whether files that somebody wants in force are not, or not known to have come to nothing.
    pub(super) fn is_reloading(&self) -> bool {
        let is_read = |it: &Reading| it.purpose != ReadPurpose::DryRun && !it.first;
        self.looks.readings().any(is_read) || self.reloads.values().any(|it| !it.first)
    }
}

fn answer_all(waiters: Vec<RequestId>, outcome: &Outcome, actions: &mut Vec<Action>) {
    actions.extend(waiters.into_iter().map(|id| Action::Answer { id, outcome: outcome.clone() }));
}

/// What is wrong with the apps that are held; of the others nothing is.
fn in_part(held: &BTreeMap<AppName, Refusal>) -> Outcome {
    let reasons: Vec<&str> = held.values().map(|it| it.reason.as_str()).collect();
    let details: Vec<&str> = held.values().map(|it| it.detail.as_str()).filter(|it| !it.is_empty()).collect();
    let whose = if held.len() == 1 { "this app goes" } else { "these apps go" };
    let reason =
        format!("{} ({whose} on as before; everything else is as the files say)", reasons.join("; "));
    Outcome::Misconfigured { reason, detail: details.join("\n") }
}
