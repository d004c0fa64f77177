//! Taking over what an earlier ostlerd left running.
//!
//! The apps go on as they were: a rollout that was under way continues, from where it stood. What is found of each
//! worker is put right before the first decision, so that nothing is decided by what has ceased to be so:
//!
//! | it was | and is now | so |
//! | --- | --- | --- |
//! | any | gone | it has ended, and that is taken as if it had been seen |
//! | held back, or not begun | alive | nobody can admit it any more: it is ended, and nobody is to blame |
//! | held back, or not begun | gone | the same |
//! | booting | serving, by its slot | it is ready |
//! | told to drain | serving, by its slot | the word has not reached it: it serves as it did, and what follows is decided anew |
//! | told to drain before it served | not draining, by its slot | told again |
//! | told to die, or that nothing more is due | alive | told again |
//! | a zygote that can be commanded | alive | it forks on |
//! | any other zygote | alive | it is ended; the next is started when it is needed |
//! | a hook host that can be told something | alive | it runs hooks on |
//! | any other hook host | alive | it is ended; the next is started with the next rollout |
//!
//! A rollout that was being watched is watched anew, for all of `settle`.
//!
//! Then the configuration is read: one that differs by now follows as any other does (`reload`, `deploy`).

use std::collections::BTreeMap;

use super::action::Action;
use super::context::Context;
use super::ids::ProcessId;
use super::inspection::{FoundProcess, SlotStage};
use super::pool::{Cause, Ending, Life, Process, Role, StopSignal};
use super::process_fact::Exit;
use super::random::Random;
use super::snapshot::Snapshot;
use super::state::{
    Accepting, App, Deploy, Effects, HeldLinks, Looks, Mode, RolloutPhase, Supervisor, WantedPlan,
};
use super::time::Moment;

impl Supervisor {
    /// A supervisor that goes on with what an earlier one left. `now` counts from the same origin as under that one.
    pub fn adopt(
        snapshot: Snapshot,
        found: &BTreeMap<ProcessId, FoundProcess>,
        now: Moment,
        seed: u64,
    ) -> Self {
        let owed = if snapshot.deploys { snapshot.running().cloned().collect() } else { Vec::new() };
        let mut supervisor = Supervisor {
            app_of: snapshot.processes().map(|(app, process, ..)| (process, app.clone())).collect(),
            apps: snapshot.apps,
            random: Random::seeded(seed),
            next_process: snapshot.next_process,
            next_run: snapshot.next_run,
            links: HeldLinks::default(),
            now,
            machine: snapshot.machine,
            drain: snapshot.drain,
            shutdown: None,
            looks: Looks::default(),
            reloads: BTreeMap::new(),
            deploy: Deploy::owes(owed),
            leaving: None,
            own_requests: 0,
            first: Vec::new(),
        };
        let mut effects = Effects::default();
        for name in supervisor.apps.keys().cloned().collect::<Vec<_>>() {
            supervisor.with_app(&name, &mut effects, |app, context| app.take_over(context, found));
        }
        supervisor.app_of.retain(|process, app| {
            supervisor.apps.get(app).is_some_and(|app| app.processes.contains_key(process))
        });
        supervisor.first = effects.actions;
        supervisor.looks = Looks::first(supervisor.own_request());
        supervisor
    }
}

impl App {
    fn take_over(&mut self, context: &mut Context<'_>, found: &BTreeMap<ProcessId, FoundProcess>) {
        if let Some(rollout) =
            self.rollout.as_mut().filter(|it| matches!(it.phase, RolloutPhase::Settling { .. }))
        {
            // What nobody has watched does not count.
            rollout.phase = RolloutPhase::Replacing;
        }
        let rolling = self.rollout.as_ref().map(|it| it.generation.id);
        self.hooks.go_on(self.serving.as_ref().map(|it| it.id), rolling);
        self.look_again_later(context);
        // Whether the shell was told before is not known.
        self.settled = false;
        self.accepting = Accepting::Unknown;
        let gone = FoundProcess { alive: false, stage: None };
        let found = |id: ProcessId| found.get(&id).copied().unwrap_or(gone);
        // Who serves first: by that it is judged whether a release is to be given up. And whoever is gone is not
        // there while that is judged of another.
        let left = std::mem::take(&mut self.processes).into_values();
        let (alive, dead): (Vec<Process>, Vec<Process>) = left.partition(|process| found(process.id).alive);
        let ids: Vec<ProcessId> = alive.iter().map(|process| process.id).collect();
        self.processes = alive.into_iter().map(|process| (process.id, process)).collect();
        for id in ids {
            self.find(context, id, found(id));
        }
        for process in dead {
            let id = process.id;
            self.processes.insert(id, process);
            self.find(context, id, found(id));
        }
        let asks = self.databases.unasked.clone().map(|plan| WantedPlan::of(plan, false));
        let wanted = self.databases.queued.take().or(asks);
        self.migrate_anew(context, wanted);
    }

    /// A migration that was under way is begun anew: its first step is to sweep what the old one left behind, and to find
    /// out what it has done.
    fn migrate_anew(&mut self, context: &mut Context<'_>, wanted: Option<WantedPlan>) {
        if let (Some(WantedPlan { plan, rolls_out, .. }), Mode::Running) = (wanted, &self.mode) {
            match rolls_out {
                true => self.roll_out(context, plan, Vec::new()),
                false => self.migrate_only(context, plan, Vec::new()),
            }
        }
    }

    fn find(
        &mut self,
        context: &mut Context<'_>,
        id: ProcessId,
        FoundProcess { alive, stage }: FoundProcess,
    ) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        match &process.life {
            Life::Held { .. } | Life::Booting { hold: true, .. } => self.end_orphan(context, id, alive),
            life @ (Life::Booting { .. } | Life::Ready) => {
                if !process.role.goes_on(*life == Life::Ready, stage) {
                    self.end_orphan(context, id, alive);
                } else if stage == Some(SlotStage::Ready) {
                    self.is_up(context, id);
                }
            }
            Life::Ending { .. } if matches!(process.role, Role::Zygote(_)) => {
                self.end_orphan(context, id, alive)
            }
            Life::Ending { was_ready, ending } if alive && ending.drains() => match stage {
                Some(SlotStage::Ready) if *was_ready => process.life = Life::Ready,
                Some(SlotStage::Ready) => {
                    process.life = Life::Booting { hold: false, until: context.now };
                    self.is_up(context, id);
                }
                Some(SlotStage::Draining) | None => {}
                Some(_) => self.end_orphan(context, id, alive),
            },
            Life::Ending {
                ending: Ending { signal: signal @ (StopSignal::Kill | StopSignal::EndInput), .. },
                ..
            } if alive => {
                context.actions.push(Action::SignalProcess { process: id, signal: *signal });
            }
            Life::Ending { .. } => {}
        }
        if !alive {
            self.exited(context, id, Exit::Unknown);
        }
    }

    /// Ends a process that waits for a word that nobody will say, that was told to go and may not have heard it, or that
    /// is of no use to this ostlerd.
    fn end_orphan(&mut self, context: &mut Context<'_>, id: ProcessId, alive: bool) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        // Whatever it was, its end begins here.
        process.life = Life::Booting { hold: false, until: context.now };
        match alive {
            true => self.end(context, id, Cause::Orphaned),
            false => {
                process.life =
                    Life::Ending { was_ready: false, ending: Ending::killed(context.now, Cause::Orphaned) }
            }
        }
    }
}
