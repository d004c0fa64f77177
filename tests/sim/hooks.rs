//! Processes that run hooks of gunicorn's master: in the simulated machine, and what is known of them, apart from the core.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ostler::config::AppName;
use ostler::plan::Hook;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Event, Exit, FoundProcess, GenerationId, Moment, ProcessFact, ProcessId,
    Role, SlotStage, Start, StopSignal,
};

use crate::ledger::Ledger;
use crate::process::{Process, Release};
use crate::rng::Rng;
use crate::world::{Due, World};

/// The processes of the simulated machine. What is drawn for them is drawn aside, so that what a seed stands for otherwise
/// stays as it was.
pub(crate) struct Hosts {
    rng: Rng,
    hosts: BTreeMap<ProcessId, Host>,
}

#[derive(Debug, Default)]
struct Host {
    /// What it was told and has not run.
    due: VecDeque<Hook>,
    /// Whether its zygote has still to make it.
    forking: Option<ProcessId>,
    /// Whether it has read that nothing more comes.
    is_told_all: bool,
    runs: bool,
    hangs: bool,
    /// Whether another ostlerd cannot tell it anything.
    lost: bool,
}

impl Hosts {
    pub(crate) fn drawn(rng: &Rng) -> Hosts {
        let mut rng = rng.clone();
        // The generator's first numbers are spoken for.
        (0..71).for_each(|_| _ = rng.below(2));
        Hosts { rng, hosts: BTreeMap::new() }
    }

    /// Only what each has begun with is known to it.
    pub(crate) fn ostlerd_crashes(&mut self) {
        self.hosts.retain(|_, host| host.forking.is_none());
        for host in self.hosts.values_mut() {
            host.due.truncate(usize::from(host.runs));
            host.lost |= self.rng.chance(0.1);
        }
    }

    /// What is found of one of them.
    pub(crate) fn found(&self, id: ProcessId) -> Option<FoundProcess> {
        let host = self.hosts.get(&id)?;
        Some(FoundProcess { alive: true, stage: (!host.lost).then_some(SlotStage::Ready) })
    }
}

impl World {
    fn tell_of_hooks(&mut self, event: Event) {
        let delay = self.hooks.rng.millis(0, 15);
        match (self.deaf, &event) {
            (true, Event::Process { process, fact: ProcessFact::Exited(_) }) => self.gone.push(*process),
            (true, _) => {}
            (false, _) => self.after(delay, Due::Fact(Box::new(event))),
        }
    }

    /// Starts a process, or has it forked.
    pub(crate) fn start_hooks(&mut self, id: ProcessId, first: Option<Hook>, zygote: Option<ProcessId>) {
        let fails = self.faults().spawn_fails;
        if zygote.is_some_and(|zygote| !self.processes.contains_key(&zygote)) {
            return self.tell_of_hooks(ProcessFact::NotStarted("its zygote is not there".to_owned()).of(id));
        }
        if self.hooks.rng.chance(fails) {
            return self.tell_of_hooks(ProcessFact::NotStarted("fork: no memory".to_owned()).of(id));
        }
        let due = first.into_iter().collect();
        self.hooks.hosts.insert(id, Host { due, forking: zygote, ..Host::default() });
        if zygote.is_none() {
            self.host_begins(id);
        } else if !self.hooks.rng.chance(self.faults().hangs * 0.2) {
            let delay = self.hooks.rng.millis(2, 60);
            self.after(delay, Due::Hook(id));
        }
    }

    fn host_begins(&mut self, id: ProcessId) {
        let (faults, now) = (self.faults(), self.now);
        let process = Process::drawn(&mut self.hooks.rng, &faults, Release::Good, now, id, false).command();
        if let Some(delay) = process.crashes_after {
            self.after(delay, Due::HostExits(id, Exit::Code(1)));
        }
        self.begun.insert(id);
        self.processes.insert(id, process);
        self.next_hook(id);
    }

    /// It is forked, or has run a hook.
    pub(crate) fn hook(&mut self, id: ProcessId) {
        let Some(host) = self.hooks.hosts.get_mut(&id) else { return };
        if host.forking.take().is_some() {
            self.tell_of_hooks(ProcessFact::Forked.of(id));
            return self.host_begins(id);
        }
        host.runs = false;
        if let Some(hook) = host.due.pop_front() {
            let error = self.hooks.rng.chance(0.1).then(|| "ValueError: no".to_owned());
            self.tell_of_hooks(ProcessFact::Ran { hook, error }.of(id));
        }
        self.next_hook(id);
    }

    fn next_hook(&mut self, id: ProcessId) {
        let hangs = self.hooks.rng.chance(self.faults().hangs * 0.2);
        let Some(host) = self.hooks.hosts.get_mut(&id) else { return };
        if host.runs || host.forking.is_some() {
            return;
        }
        if host.due.is_empty() {
            if host.is_told_all {
                let delay = self.hooks.rng.millis(1, 60);
                self.after(delay, Due::HostExits(id, Exit::Code(0)));
            }
            return;
        }
        (host.runs, host.hangs) = (true, host.hangs || hangs);
        if !host.hangs {
            let delay = self.hooks.rng.millis(1, 400);
            self.after(delay, Due::Hook(id));
        }
    }

    /// A hook is handed in.
    pub(crate) fn run_hook(&mut self, id: ProcessId, hook: Hook) {
        if let Some(host) = self.hooks.hosts.get_mut(&id) {
            host.due.push_back(hook);
            self.next_hook(id);
        }
    }

    /// A signal to one of them; false if it is none.
    pub(crate) fn signal_host(&mut self, id: ProcessId, signal: StopSignal) -> bool {
        let Some(host) = self.hooks.hosts.get_mut(&id) else { return false };
        if host.forking.is_some() {
            self.hooks.hosts.remove(&id);
            self.tell_of_hooks(ProcessFact::Exited(Exit::Unknown).of(id));
            return true;
        }
        match signal {
            StopSignal::EndInput if host.lost => {}
            StopSignal::EndInput => {
                host.is_told_all = true;
                self.next_hook(id);
            }
            StopSignal::Kill => {
                let delay = self.hooks.rng.millis(1, 50);
                self.after(delay, Due::HostExits(id, Exit::Signal(9)));
            }
            _ => {}
        }
        true
    }

    pub(crate) fn host_exits(&mut self, id: ProcessId, exit: Exit) {
        self.hooks.hosts.remove(&id);
        if self.processes.remove(&id).is_some() {
            self.tell_of_hooks(ProcessFact::Exited(exit).of(id));
        }
    }

    /// A zygote that has ended forks none.
    pub(crate) fn hosts_without(&mut self, zygote: ProcessId) {
        let hosts = self.hooks.hosts.iter().filter(|(_, host)| host.forking == Some(zygote));
        for id in hosts.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.hooks.hosts.remove(&id);
            self.tell_of_hooks(ProcessFact::NotStarted("its zygote has ended".to_owned()).of(id));
        }
    }
}

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    /// Workers of which `pre_fork` has been told, and not `child_exit`: in which process.
    pub(crate) told: BTreeMap<ProcessId, ProcessId>,
    /// Apps whose `when_ready` has run.
    pub(crate) were_ready: BTreeSet<AppName>,
    /// What each process was told and has not answered, and since when the first of them runs.
    due: BTreeMap<ProcessId, (Moment, VecDeque<Hook>)>,
}

impl Hooks {
    pub(crate) fn hear(&mut self, now: Moment, event: &Event) {
        let Event::Process { process, fact } = event else { return };
        match fact {
            ProcessFact::Ran { hook, .. } => {
                if let Some((since, due)) = self.due.get_mut(process)
                    && let Some(at) = due.iter().position(|it| it == hook)
                {
                    due.remove(at);
                    *since = now;
                }
            }
            ProcessFact::NotStarted(_) | ProcessFact::Exited(_) => drop(self.due.remove(process)),
            _ => {}
        }
    }

    pub(crate) fn act(&mut self, now: Moment, action: &Action) {
        match action {
            Action::StartProcess(Start { role: Role::Hooks, process, first, .. }) => {
                self.due.insert(*process, (now, first.iter().map(|first| first.hook).collect()));
            }
            Action::RunHook { process, due } => {
                match (due.hook, due.worker) {
                    (Hook::PreFork, Some(worker)) => drop(self.told.insert(worker, *process)),
                    (Hook::ChildExit, Some(worker)) => drop(self.told.remove(&worker)),
                    _ => {}
                }
                if let Some((since, waiting)) = self.due.get_mut(process) {
                    *since = if waiting.is_empty() { now } else { *since };
                    waiting.push_back(due.hook);
                }
            }
            Action::Announce(AppEvent { app, kind: AppEventKind::Stopped | AppEventKind::Removed }) => {
                self.were_ready.remove(app);
            }
            _ => {}
        }
    }

    /// Another ostlerd does not know what of it has been told.
    pub(crate) fn ostlerd_recovers(&mut self, now: Moment) {
        self.due.values_mut().for_each(|due| *due = (now, VecDeque::new()));
    }

    /// For how long the hook that runs in a process has run.
    pub(crate) fn runs_for(&self, process: ProcessId, now: Moment) -> Duration {
        let due = self.due.get(&process).filter(|(_, due)| !due.is_empty());
        due.map_or(Duration::ZERO, |(since, _)| now.since(*since))
    }
}

impl Ledger {
    /// The processes of an app's hooks that have not been told to end, each with its generation.
    pub(crate) fn hosts<'a>(
        &'a self,
        app: &'a AppName,
    ) -> impl Iterator<Item = (ProcessId, GenerationId)> + 'a {
        let its = self.processes.iter().filter(move |(_, it)| it.role == Role::Hooks && it.app == *app);
        its.filter(|(_, it)| it.is_live()).map(|(id, it)| (*id, it.generation))
    }

    pub(crate) fn has_host(&self, app: &AppName, generation: GenerationId) -> bool {
        self.hosts(app).any(|(_, it)| it == generation)
    }
}
