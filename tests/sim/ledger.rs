//! What the core was told and what it did, kept apart from the core: the ground on which the laws judge.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::{Hook, Plan};
use ostler::supervise::{
    Action, AppEventKind, AppView, Event, GenerationId, Moment, Observation, ProcessFact, ProcessId,
    ReadPurpose, RequestId, RunId, Start, StopSignal, View,
};

use crate::accepting::Accepting;
use crate::background::Ended;
use crate::book::Book;
use crate::commands::Asked;
use crate::drain::Machine;
use crate::entry::{AppEntry, Count, ProcessEntry};
use crate::hooks::Hooks;
use crate::refused::Refused;
use crate::start::Startup;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) apps: BTreeMap<AppName, AppEntry>,
    pub(crate) processes: BTreeMap<ProcessId, ProcessEntry>,
    pub(crate) ended: Ended,
    pub(crate) names: BTreeSet<ProcessId>,
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    pub(crate) machine: Machine,
    /// What is known of each migration.
    pub(crate) books: BTreeMap<RunId, Book>,
    pub(crate) exited: bool,
    /// Whether it is at the newest look at the load, seen or not.
    pub(crate) memory_is_tight: bool,
    pub(crate) accepting: Accepting,
    pub(crate) hooks: Hooks,
    pub(crate) refused: Refused,
    pub(crate) start: Startup,
    /// Apps whose stop has begun and not ended.
    pub(crate) stopping: BTreeSet<AppName>,
}

impl Ledger {
    pub(crate) fn new(plan: &Plan) -> Self {
        let machine = Machine { delay: plan.machine.edge_delay, ..Machine::default() };
        let mut ledger = Ledger { machine, ..Ledger::default() };
        ledger.planned(Moment::ZERO, plan);
        ledger.refused.begin(plan);
        ledger
    }

    /// The processes that serve clients, or are to.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (ProcessId, &ProcessEntry)> {
        self.processes.iter().filter(|(_, known)| known.serves()).map(|(id, known)| (*id, known))
    }

    /// The workers of an app.
    pub(crate) fn of<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = (ProcessId, &'a ProcessEntry)> {
        self.workers().filter(move |(_, known)| known.app == *app)
    }

    pub(crate) fn count(&self, app: &AppName) -> Count {
        let mut count = Count::default();
        for (_, known) in self.of(app) {
            count.live += u32::from(known.is_live());
            count.ready += u32::from(known.is_ready());
        }
        count
    }

    pub(crate) fn ready_of(&self, app: &AppName, generation: GenerationId) -> u32 {
        let processes = self.of(app).filter(|(_, known)| known.generation == generation && known.is_ready());
        processes.count() as u32
    }

    pub(crate) fn counts(&self) -> BTreeMap<AppName, Count> {
        self.apps.keys().map(|app| (app.clone(), self.count(app))).collect()
    }

    /// Writes down what the core is told.
    pub(crate) fn hear(&mut self, now: Moment, event: &Event) {
        if let Event::Stayed { why } = event {
            self.stayed(now, why);
        }
        let in_force = self.start.in_force(event);
        self.machine.hear(now, event, in_force);
        let is_dry = self.start.reading == Some(ReadPurpose::DryRun);
        if !is_dry || !matches!(event, Event::ConfigRead { .. }) {
            self.accepting.hear(event);
        }
        self.hooks.hear(now, event);
        self.refused.hear(now, event, &self.apps, in_force);
        self.start.hear(event);
        // In a shutdown it is refused.
        if let Some(found) = in_force.filter(|_| !self.machine.shutdown) {
            self.found(now, found);
        }
        match event {
            Event::TimePassed
            | Event::Process { fact: ProcessFact::Stands(_) | ProcessFact::Ran { .. }, .. }
            | Event::QueueEmptied { .. } => {}
            Event::ConfigRead { .. } | Event::SuccessorChecked { .. } => {}
            Event::EndExplained { .. } | Event::Stayed { .. } => {}
            Event::Process { process: worker, fact: ProcessFact::Forked } => self.born(*worker),
            Event::MigrationHeard { run, fact } => {
                if let Some(book) = self.books.get_mut(run) {
                    book.hear(fact);
                }
            }
            Event::ReleaseLinkObserved { .. } => {}
            Event::Requested { id, command } => self.requested(now, *id, command),
            Event::AppPrepared { app, prepared } => self.prepared(now, app, prepared),
            Event::Process { process: worker, fact: ProcessFact::Proved(proof) } => {
                if let (Some(known), Some(answer)) = (self.processes.get(worker), &proof.answer)
                    && let Some(entry) = self.apps.get_mut(&known.app)
                {
                    *entry.answers_well.entry(known.generation).or_default() |= answer.good;
                }
            }
            Event::Process { process: worker, fact: ProcessFact::Loaded } => {
                if let Some(known) = self.processes.get_mut(worker) {
                    known.loaded.get_or_insert(now);
                }
            }
            Event::Process { process: worker, fact: ProcessFact::Ready } => self.ready(now, *worker),
            Event::Process { process: worker, fact: ProcessFact::Failed(_) } => {
                self.said_no(now, *worker);
            }
            Event::Process { process: worker, fact: ProcessFact::NotStarted(_) | ProcessFact::Exited(_) } => {
                self.gone(now, *worker)
            }
            Event::LoadObserved { apps, .. } => self.load_seen(now, apps),
            Event::WorkersObserved { seen } => {
                for (worker, observation) in seen {
                    self.observed(*worker, *observation);
                }
            }
        }
    }

    fn ready(&mut self, now: Moment, worker: ProcessId) {
        let Some(known) = self.processes.get_mut(&worker) else { return };
        if known.ready.is_none() {
            known.ready = Some(now);
            known.seen = Observation::default();
            if let Some(entry) = self.apps.get_mut(&known.app)
                && known.is_live()
                && known.serves()
            {
                entry.failed_boots.remove(&known.generation);
                entry.admitted_since_start.insert(known.generation);
            }
        }
    }

    /// There is a process of it.
    fn born(&mut self, worker: ProcessId) {
        if let Some(known) = self.processes.get_mut(&worker) {
            known.born = true;
        }
    }

    /// A worker says that it has failed: its boot is lost from here on.
    fn said_no(&mut self, now: Moment, worker: ProcessId) {
        let Some(known) = self.processes.get_mut(&worker).filter(|it| it.is_live() && it.ready.is_none())
        else {
            return;
        };
        known.failed = Some(now);
        if let Some(entry) = self.apps.get_mut(&known.app) {
            entry.crashes.insert(known.generation, now);
            entry.boot_failed(known.generation);
        }
    }

    fn gone(&mut self, now: Moment, worker: ProcessId) {
        let Some(known) = self.processes.remove(&worker) else { return };
        self.ended.note(now, &known);
        let Some(entry) = self.apps.get_mut(&known.app) else { return };
        if known.is_live() && known.counts() {
            entry.crashes.insert(known.generation, now);
            if known.ready.is_none() {
                entry.boot_failed(known.generation);
            }
        }
    }

    fn observed(&mut self, worker: ProcessId, seen: Observation) {
        let Some(known) = self.processes.get_mut(&worker) else { return };
        let Some(entry) = self.apps.get(&known.app) else { return };
        let silent = entry.policy.hang_timeout.is_some_and(|limit| seen.beat_age > limit);
        let oldest = seen.oldest_request.unwrap_or(Duration::ZERO);
        let stuck = known.serves() && entry.policy.request_timeout.is_some_and(|limit| oldest > limit);
        // Who drains need not beat, but its requests get no older than those of others.
        let hangs = known.is_live() && (silent || stuck) || known.drains() && stuck;
        // One that was told to go before it was known to serve is ended for that, in its time.
        let told = known.signals.first().map(|(at, _)| *at);
        known.hung |= known.ready.is_some_and(|ready| told.is_none_or(|told| ready <= told)) && hangs;
        known.seen = Observation { rss: seen.rss.or(known.seen.rss), ..seen };
    }

    /// Writes down what the core does.
    pub(crate) fn act(&mut self, now: Moment, action: &Action) {
        self.accepting.act(now, action);
        let app = if let Action::Prepare { app } = action { self.apps.get(app) } else { None };
        self.start.act(now, action, app.is_some_and(AppEntry::serves));
        self.hooks.act(now, action);
        if let Action::RunHook { process, due } = action
            && let Some(known) = self.processes.get(process)
        {
            match due.hook {
                Hook::WhenReady => drop(self.hooks.were_ready.insert(known.app.clone())),
                Hook::OnExit => drop(self.hooks.were_ready.remove(&known.app)),
                _ => {}
            }
        }
        self.refused.act(action);
        match action {
            Action::StartProcess(start) => self.started(now, start),
            Action::AskWhere { process: worker } => {
                if let Some(known) = self.processes.get_mut(worker) {
                    known.asked.push(now);
                }
            }
            Action::AdmitWorker { worker } => {
                if let Some(known) = self.processes.get_mut(worker) {
                    known.admitted = true;
                }
            }
            Action::HurryWorker { worker } => {
                if let Some(known) = self.processes.get_mut(worker) {
                    known.hurried = true;
                }
            }
            Action::SignalProcess { process: worker, signal: rung } => self.signalled(now, *worker, *rung),
            Action::Answer { id, outcome } => self.answered(*id, outcome),
            Action::Announce(event) => {
                match event.kind {
                    AppEventKind::Stopping => drop(self.stopping.insert(event.app.clone())),
                    AppEventKind::Stopped | AppEventKind::Removed => drop(self.stopping.remove(&event.app)),
                    // What serves is filled up again, whatever it failed at before.
                    AppEventKind::RollingBack { .. } => {
                        self.apps.get_mut(&event.app).into_iter().for_each(|it| it.allow_a_change(now));
                    }
                    _ => {}
                }
                self.announced(now, &event.app, &event.kind);
            }
            Action::Migrate { app, run, order } => {
                self.books.entry(*run).or_insert_with(|| Book::new(app, now)).act(now, order);
            }
            Action::Exit => self.exited = true,
            _ => {}
        }
    }

    fn started(&mut self, now: Moment, start: &Start) {
        let Start { process, role, generation, blueprint, .. } = start;
        let app = blueprint.app.clone();
        self.names.insert(*process);
        if role.proves() {
            // Whoever had it started has had their way, whatever they are answered in the end.
            self.asked.values_mut().filter(|it| it.starts(&app)).for_each(|it| it.was_stopped = false);
        }
        let entry = self.apps.entry(app).or_insert_with(AppEntry::unknown);
        entry.generations.insert(*generation, blueprint.clone());
        entry.newest = entry.newest.max(Some(*generation));
        if role.proves() {
            entry.spawns.push_back((now, *generation));
        }
        self.processes.insert(*process, ProcessEntry::started(now, start));
    }

    fn signalled(&mut self, now: Moment, worker: ProcessId, rung: StopSignal) {
        let Some(known) = self.processes.get_mut(&worker) else { return };
        let was_to_go = !known.signals.is_empty();
        known.signals.push((now, rung));
        let Some(entry) = self.apps.get_mut(&known.app) else { return };
        if rung == StopSignal::Terminate && known.serves() {
            entry.allowances.push_back((now, 1));
        }
        if rung == StopSignal::Stacks && known.ready.is_none() {
            entry.boot_failed(known.generation);
        }
        if rung == StopSignal::Stacks && !was_to_go && known.counts() {
            entry.crashes.insert(known.generation, now);
        }
    }

    fn announced(&mut self, now: Moment, app: &AppName, kind: &AppEventKind) {
        let Some(entry) = self.apps.get_mut(app) else { return };
        match (kind, self.books.values_mut().rev().find(|it| it.app == *app)) {
            (AppEventKind::MigrationEnded { verdict, .. }, Some(book)) => {
                let well = verdict.kind.is_good();
                book.well = Some(well);
                entry.migrated.extend(book.blueprint.clone().filter(|_| well));
                entry.unasked = None;
                // A rollout may follow.
                entry.allow_a_change(now);
            }
            (AppEventKind::StartedWithoutDatabase { .. }, Some(book)) => {
                entry.migrated.extend(book.blueprint.clone().filter(|_| book.current));
                entry.unasked = Some(now);
            }
            _ => {}
        }
        if let AppEventKind::ScaledByLoad { from, to, .. } = kind {
            entry.scaled_by_load(now, *from, *to);
        }
        match kind {
            AppEventKind::NotRolledOut { serving: None, .. } => entry.not_started = true,
            AppEventKind::RolloutStarted { .. } => entry.not_started = false,
            _ => {}
        }
        if let AppEventKind::RollingBack { generation, to: None, .. } = kind {
            entry.given_up.insert(*generation);
        }
    }

    /// How many workers serve that are not of the generation that is rolled out.
    fn older(&self, app: &AppView) -> u32 {
        let Some(rollout) = &app.rollout else { return 0 };
        let old = self.of(&app.name).filter(|(_, known)| Some(known.generation) != rollout.generation);
        old.filter(|(_, known)| known.is_ready()).count() as u32
    }

    /// Takes over what the view says of rollouts, for the next step.
    pub(crate) fn see(&mut self, now: Moment, view: &View) {
        self.start.see(view);
        let old: BTreeMap<AppName, u32> =
            view.apps.iter().map(|app| (app.name.clone(), self.older(app))).collect();
        for (name, entry) in &mut self.apps {
            if !view.apps.iter().any(|app| app.name == *name) {
                entry.view = None;
                entry.forget();
            }
        }
        for app in &view.apps {
            let Some(entry) = self.apps.get_mut(&app.name) else { continue };
            if app.rollout.as_ref().and_then(|rollout| rollout.generation).is_none() {
                if entry.rollout_on() {
                    entry.changed = now;
                }
                entry.old_count = None;
                entry.peak = app.wanted;
            } else {
                let (ready, wanted) = (old.get(&app.name).copied().unwrap_or(0), entry.wanted());
                entry.old_count.get_or_insert(ready.min(wanted));
                entry.peak = entry.peak.max(app.wanted);
            }
            entry.view = Some(app.clone());
        }
    }
}
