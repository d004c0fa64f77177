//! What is heard of processes, and what follows for the process and its generation.

use super::failures::Lost;
use super::process::{Life, Process};
use super::process_event::{ProcessChange, ProcessEvent};
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::ids::{GenerationId, ProcessId};
use crate::supervise::process_fact::{Exit, LastWords, Observation, ProcessFact, Stand};
use crate::supervise::state::App;

impl App {
    /// Takes a fact about one of its processes.
    pub(in crate::supervise) fn process_heard(
        &mut self,
        context: &mut Context<'_>,
        id: ProcessId,
        fact: ProcessFact,
    ) {
        match fact {
            ProcessFact::NotStarted(reason) => self.not_started(context, id, reason),
            ProcessFact::Forked => self.forked(context, id),
            ProcessFact::Proved(proof) => self.proved(context, id, proof),
            ProcessFact::Loaded => self.loaded(context, id),
            ProcessFact::Ready => self.is_up(context, id),
            ProcessFact::Failed(words) => self.failed(context, id, words),
            ProcessFact::Ran { hook, error } => self.hook_has_run(context, id, hook, error),
            ProcessFact::Stands(stand) => self.stands(context, id, stand),
            ProcessFact::Exited(exit) => self.exited(context, id, exit),
        }
    }

    /// Says what has happened to a process.
    pub(super) fn tell(&self, context: &mut Context<'_>, process: &Process, change: ProcessChange) {
        let Process { id, ref role, generation, .. } = *process;
        let event = ProcessEvent { process: id, role: role.clone(), generation, change };
        self.announce(context, AppEventKind::Process(event));
    }

    /// There is a process of it.
    pub(super) fn started(&mut self, context: &mut Context<'_>, id: ProcessId) {
        let Some(process) = self.processes.get(&id) else { return };
        let (generation, serves) = (process.generation, process.role.serves());
        self.tell(context, process, ProcessChange::Started {});
        if serves {
            self.hooks_of_started(context, id, generation);
        }
    }

    /// A zygote has made it.
    fn forked(&mut self, context: &mut Context<'_>, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.forking) else { return };
        process.forking = false;
        self.started(context, id);
    }

    fn loaded(&mut self, context: &mut Context<'_>, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let generation = process.generation;
        let held = matches!(process.life, Life::Booting { hold: true, .. });
        let rolling = self.rollout.as_ref().map(|rollout| &rollout.generation);
        let Some(settle) = rolling.filter(|it| it.id == generation).map(|it| it.policy.rollout.settle) else {
            return;
        };
        if held {
            process.life = Life::Held { until: context.now + settle };
            self.tell(context, &self.processes[&id], ProcessChange::Held { settle });
        }
    }

    /// It does what it is for.
    pub(in crate::supervise) fn is_up(&mut self, context: &mut Context<'_>, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        if !matches!(process.life, Life::Booting { .. }) {
            return;
        }
        process.life = Life::Ready;
        let (generation, took) = (process.generation, context.now.since(process.started));
        let strength = process.role.serves().then(|| self.serves_more(generation));
        let (ready, wanted) = strength.unzip();
        self.tell(context, &self.processes[&id], ProcessChange::Ready { ready, wanted, took });
    }

    /// One more worker of this generation serves: how many do, and how many should.
    fn serves_more(&mut self, id: GenerationId) -> (u32, u32) {
        if let Some(generation) = self.generation_mut(id) {
            generation.backoff.succeeded();
            generation.served = true;
        }
        if let Some(rollout) = self.rollout.as_mut().filter(|it| it.generation.id == id) {
            rollout.canary_ready = true;
        }
        let ready = self.count(|it| it.generation == id && it.is_ready()) as u32;
        (ready, self.policy(id).map_or(0, |policy| self.wanted(policy)))
    }

    /// Its own words are the reason, whatever becomes of the process.
    fn failed(&mut self, context: &mut Context<'_>, id: ProcessId, words: LastWords) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        if !process.failed(context.now) {
            process.words = words;
            return;
        }
        let process = process.clone();
        let last_words = words.clone();
        let change = match process.role.serves() {
            true => ProcessChange::Failed { last_words },
            false => ProcessChange::Died { exit: None, ready: false, last_words },
        };
        self.tell(context, &process, change);
        self.lost(context, Lost::of(&process, false, words));
    }

    /// Where one stands that is not ready yet.
    fn stands(&mut self, context: &mut Context<'_>, id: ProcessId, stand: Stand) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        if !matches!(process.life, Life::Booting { .. }) {
            return;
        }
        let age = context.now.since(process.started);
        let (at, stacks) = (stand.at.clone(), stand.stacks.clone());
        if process.boot.stands(stand) {
            self.tell(context, &self.processes[&id], ProcessChange::Waits { at, age, stacks });
        }
    }

    pub(in crate::supervise) fn exited(&mut self, context: &mut Context<'_>, id: ProcessId, exit: Exit) {
        let Some(process) = self.processes.remove(&id) else { return };
        let ready = process.is_ready();
        if !process.is_live() {
            self.tell(context, &process, ProcessChange::Exited { exit });
            return self.hooks_of_ended(context, &process);
        }
        let mut words = process.words.clone();
        let died = ProcessChange::Died { exit: Some(exit), ready, last_words: words.clone() };
        self.tell(context, &process, died);
        self.hooks_of_ended(context, &process);
        if words.message.is_empty() {
            let when = if ready { "died".to_owned() } else { process.role.work().not_booted };
            words.message = format!("{} {id} {when}: {exit}", process.role.noun());
        }
        self.lost(context, Lost::of(&process, ready, words));
    }

    fn not_started(&mut self, context: &mut Context<'_>, id: ProcessId, reason: String) {
        let Some(process) = self.processes.remove(&id) else { return };
        let ready = process.is_ready();
        let change = match process.role.serves() {
            true => ProcessChange::NotStarted { reason: reason.clone() },
            false if !process.is_live() => ProcessChange::Exited { exit: Exit::Unknown },
            false => {
                let last_words = LastWords { message: reason.clone(), traceback: String::new() };
                ProcessChange::Died { exit: None, ready, last_words }
            }
        };
        self.tell(context, &process, change);
        if process.is_live() {
            let role = &process.role;
            let message = format!("{} {id} {}: {reason}", role.noun(), role.work().not_started);
            let words = LastWords { message, traceback: String::new() };
            self.lost(context, Lost::of(&process, ready && !role.serves(), words));
        }
    }

    /// What was seen of processes, all of it at the same moment: each is judged by what is known of all.
    pub(in crate::supervise) fn observed(
        &mut self,
        context: &mut Context<'_>,
        seen: Vec<(ProcessId, Observation)>,
    ) {
        let mut hung = Vec::new();
        for (id, seen) in seen {
            let Some(generation) = self.processes.get(&id).map(|process| process.generation) else {
                continue;
            };
            let Some(policy) = self.policy(generation).cloned() else { continue };
            let Some(process) = self.processes.get_mut(&id) else { continue };
            process.observe(context.now, seen, &policy);
            let Some((cause, age)) = process.hang(&policy) else { continue };
            // One that drains was to go anyway: nothing is lost with it.
            hung.extend(process.is_live().then(|| (process.clone(), cause)));
            self.tell(context, &self.processes[&id], ProcessChange::Hung { cause, age });
            self.end(context, id, cause);
        }
        for (process, cause) in hung {
            let message = format!("{} {} hung: {cause}", process.role.noun(), process.id);
            self.lost(context, Lost::of(&process, true, LastWords { message, traceback: String::new() }));
        }
    }
}
