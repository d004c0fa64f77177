//! What is known of a zygote, from outside the core.

use std::sync::Arc;

use ostler::config::AppName;
use ostler::plan::{Blueprint, Preload};
use ostler::supervise::{GenerationId, Moment, Observation, Rung, WorkerId};

use crate::crew::Crew;
use crate::ledger::Ledger;

/// A zygote that was asked for and is not known to be gone.
#[derive(Clone, Debug)]
pub(crate) struct Zygote {
    pub(crate) app: AppName,
    pub(crate) generation: GenerationId,
    pub(crate) loads: Preload,
    pub(crate) ready: bool,
    pub(crate) hung: bool,
    pub(crate) failed: Option<Moment>,
    pub(crate) signals: Vec<(Moment, Rung)>,
}

impl Zygote {
    pub(crate) fn is_live(&self) -> bool {
        self.signals.is_empty() && self.failed.is_none()
    }
}

impl Ledger {
    /// A zygote is started.
    pub(crate) fn hatched(
        &mut self,
        now: Moment,
        id: WorkerId,
        generation: GenerationId,
        blueprint: &Arc<Blueprint>,
    ) {
        let app = blueprint.app.clone();
        let crew = self.crews.entry(app.clone()).or_insert_with(Crew::unknown);
        crew.generations.insert(generation, blueprint.clone());
        crew.newest = crew.newest.max(Some(generation));
        crew.spawns.push_back((now, generation));
        let (ready, hung, failed, signals) = Default::default();
        let loads = blueprint.preload;
        self.zygotes.insert(id, Zygote { app, generation, loads, ready, hung, failed, signals });
    }

    /// It has ended, where it is one.
    pub(crate) fn zygote_gone(&mut self, now: Moment, id: WorkerId) {
        if let Some(zygote) = self.zygotes.remove(&id)
            && zygote.is_live()
            && !zygote.ready
        {
            self.zygote_failed(now, &zygote);
        }
    }

    /// It says that it has failed, where it is one that has not come up.
    pub(crate) fn zygote_said_no(&mut self, now: Moment, id: WorkerId) {
        let Some(zygote) = self.zygotes.get_mut(&id).filter(|it| it.is_live() && !it.ready) else { return };
        zygote.failed = Some(now);
        let zygote = zygote.clone();
        self.zygote_failed(now, &zygote);
    }

    /// It gets a signal, where it is one.
    pub(crate) fn zygote_signalled(&mut self, now: Moment, id: WorkerId, rung: Rung) {
        let Some(zygote) = self.zygotes.get_mut(&id) else { return };
        zygote.signals.push((now, rung));
        let zygote = zygote.clone();
        if rung == Rung::Stacks && !zygote.ready {
            self.zygote_failed(now, &zygote);
        }
    }

    /// It never came up: no worker of its generation does.
    fn zygote_failed(&mut self, now: Moment, zygote: &Zygote) {
        if let Some(crew) = self.crews.get_mut(&zygote.app) {
            crew.crashes.insert(zygote.generation, now);
            crew.boot_failed(zygote.generation);
        }
    }

    /// It was looked at, where it is one.
    pub(crate) fn zygote_observed(&mut self, id: WorkerId, seen: Observation) {
        if let Some(zygote) = self.zygotes.get_mut(&id) {
            let limit = self.crews.get(&zygote.app).and_then(|crew| crew.policy.hang_timeout);
            zygote.hung |= zygote.ready && zygote.is_live() && limit.is_some_and(|it| seen.beat_age > it);
        }
    }
}
