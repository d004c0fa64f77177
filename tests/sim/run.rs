//! One run: the core, or a flawed one, in the simulated world of a seed, judged after every step.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ostler::supervise::{Action, Event, FoundProcess, HandoverBy, MigrationOrder, Moment, ProcessId, View};

use crate::crash::{Crash, crashes, put_right};
use crate::flaw::{Flaw, Subject};
use crate::laws::{Code, Law, Step, Verdict, Violation, the_load_is_remembered};
use crate::ledger::Ledger;
use crate::progress::all_answered;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::start::Startup;
use crate::trace::{Trace, line};
use crate::world::World;

/// More steps than any run needs.
const MOST_STEPS: u64 = 50_000;

/// More than any run needs at one moment.
const MOST_STANDING: u32 = 1_000;
/// More than any run needs at once.
const MOST_WORKERS: usize = 300;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) code: Code,
    /// Whether every step is kept in words.
    pub(crate) trace: bool,
}

/// A run that broke a law.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) violation: Violation,
    pub(crate) trace: Trace,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { law, words } = &self.violation;
        writeln!(f, "seed {} breaks the law {law:?}:\n  {words}", self.seed)?;
        for line in self.trace.last(40) {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "replay: OSTLER_SIM_SEED={} cargo test --test sim replay -- --nocapture", self.seed)
    }
}

pub(crate) struct Run {
    pub(crate) now: Moment,
    pub(crate) ledger: Ledger,
    pub(crate) world: World,
    pub(crate) subject: Subject,
    pub(crate) options: Options,
    pub(crate) view: View,
    pub(crate) standing: u32,
    pub(crate) steps: u64,
    /// Since when everything is as it should be.
    pub(crate) good_since: Option<Moment>,
    pub(crate) said_good_bye: Option<Moment>,
    /// The next comes last.
    pub(crate) crashes: Vec<Crash>,
    /// What has happened since room was to be made.
    pub(crate) meanwhile: Vec<Event>,
    pub(crate) trace: Trace,
}

/// Runs a seed to its end; returns the trace.
pub(crate) fn run(seed: u64, options: Options) -> Result<Trace, Box<Failure>> {
    let mut run = Run::new(seed, options);
    match run.go() {
        Ok(()) => Ok(run.trace),
        Err(violation) => Err(Box::new(Failure { seed, violation, trace: run.trace })),
    }
}

impl Run {
    fn new(seed: u64, options: Options) -> Self {
        let mut rng = Rng::seeded(seed);
        let scenario = Scenario::drawn(&mut rng);
        let mut trace = Trace::new(options.trace);
        trace.say(|| {
            format!("{:?}, faults until {:?}: {:?}", scenario.mood, scenario.calm_from, scenario.faults)
        });
        for (app, policy) in &scenario.apps {
            trace.say(|| format!("{app}: {policy:?}"));
        }
        let crashes = crashes(&scenario, &rng);
        let world = World::new(scenario, rng);
        let plan = world.disk.plan();
        Run {
            now: Moment::ZERO,
            ledger: Ledger::new(&plan),
            subject: Subject::new(plan, seed, options.flaw),
            world,
            options,
            view: View::default(),
            standing: 0,
            steps: 0,
            good_since: None,
            said_good_bye: None,
            crashes,
            meanwhile: Vec::new(),
            trace,
        }
    }

    fn go(&mut self) -> Result<(), Violation> {
        self.step(Event::TimePassed)?;
        while !self.ledger.exited && !self.has_been_good() && self.is_in_bounds().is_ok() {
            if self.world.is_calm() {
                self.crashes.clear();
            }
            if self.crashes.last().is_some_and(|crash| !crash.half_done && crash.at <= self.now) {
                self.falls_now()?;
            }
            let deadline = self.subject.next_deadline();
            let wakes = deadline.map(|at| at.max(self.now) + self.lateness());
            if let Some(event) = self.load_is_due(wakes) {
                self.step(event)?;
                self.judge_progress()?;
                continue;
            }
            let event = match (wakes, self.world.next_at()) {
                (Some(wakes), next) if next.is_none_or(|next| wakes <= next) => {
                    self.pass(wakes);
                    Some(Event::TimePassed)
                }
                (_, Some(next)) => {
                    self.pass(next);
                    self.world.advance()
                }
                _ => break,
            };
            if let Some(event) = event {
                self.step(event)?;
            }
            if let Some(way) = self.world.leavings.left.take() {
                let crash = self.world.leavings.crash(self.now, &way);
                self.crash(crash)?;
            }
            self.judge_progress()?;
        }
        self.options.code.holds(Law::DeadlinesAdvance, || self.is_in_bounds())?;
        self.options.code.holds(Law::AnswersComeInTime, || all_answered(&self.ledger))
    }

    /// The look at the load, where it is what happens next.
    fn load_is_due(&mut self, wakes: Option<Moment>) -> Option<Event> {
        let look = self.subject.core.next_load_look()?;
        let at = look.due.max(self.now);
        let others = [wakes, self.world.next_at()];
        if others.into_iter().flatten().any(|other| other < at) {
            return None;
        }
        self.pass(at);
        let (memory_is_tight, event) = self.world.look_at_load(look);
        self.ledger.memory_is_tight = memory_is_tight;
        Some(event)
    }

    /// A flawed core may go on for ever, where another law is judged than the one that would say so.
    fn is_in_bounds(&self) -> Verdict {
        let (steps, standing, workers) = (self.steps, self.standing, self.ledger.processes.len());
        match steps < MOST_STEPS && standing < MOST_STANDING && workers < MOST_WORKERS {
            true => Ok(()),
            false => {
                Err(format!("it has come to {steps} steps, {standing} at one moment, and {workers} workers"))
            }
        }
    }

    /// How late the shell wakes for a deadline.
    fn lateness(&mut self) -> Duration {
        let late = self.world.faults().shell_late;
        if self.world.rng.chance(late) { self.world.rng.millis(1, 600) } else { Duration::ZERO }
    }

    fn pass(&mut self, to: Moment) {
        self.standing = if to > self.now { 0 } else { self.standing + 1 };
        self.now = self.now.max(to);
        self.world.wait_until(self.now);
    }

    /// Tells the core a fact, judges what it does, and does it.
    fn step(&mut self, fact: Event) -> Result<(), Violation> {
        self.steps += 1;
        let (now, code) = (self.now, self.options.code);
        let was_due = self.subject.next_deadline();
        let stays = matches!(fact, Event::Stayed { .. });
        if self.ledger.start.left.is_some() && !stays {
            return self.unheard(fact);
        }
        self.ledger.hear(now, &fact);
        for fact in std::mem::take(&mut self.meanwhile) {
            self.ledger.hear(now, &fact);
        }
        let before = self.ledger.counts();
        let actions = self.subject.handle(now, &fact, &self.ledger);
        self.trace.say(|| line(now, &fact, &actions));
        let due = self.crashes.last().is_some_and(|crash| crash.half_done && crash.at <= now);
        let half_done = due
            && !self.world.is_calm()
            && actions.iter().any(|it| matches!(it, Action::StartProcess(_) | Action::SignalProcess { .. }));
        for action in &actions {
            code.judge_action(&self.ledger, now, action)?;
            if let Action::Migrate { app, run, order: MigrationOrder::RecordMigration(record) } = action {
                self.world.databases.now = now;
                code.holds(Law::VerdictsAreTrue, || self.world.databases.agrees(app, *run, record))?;
            }
            self.ledger.act(now, action);
            if !half_done {
                self.world.perform(now, action);
            }
        }
        self.view = self.subject.view(now);
        let (due, standing) = (self.subject.next_deadline(), self.standing);
        let (ledger, view) = (&self.ledger, &self.view);
        let step = Step {
            now,
            fact: &fact,
            actions: &actions,
            before: &before,
            ledger,
            view,
            due,
            was_due,
            standing,
        };
        code.judge_step(&step)?;
        if !half_done {
            self.judge_links(&actions)?;
        }
        self.ledger.see(now, &self.view);
        if half_done && !self.ledger.exited {
            self.falls_now()?;
        }
        Ok(())
    }

    /// Something happens while room is to be made.
    fn unheard(&mut self, fact: Event) -> Result<(), Violation> {
        let actions = self.subject.handle(self.now, &fact, &self.ledger);
        self.trace.say(|| line(self.now, &fact, &actions));
        self.meanwhile.push(fact);
        let judged = |action| self.options.code.judge_action(&self.ledger, self.now, action);
        actions.iter().try_for_each(judged)
    }

    /// The next crash is due: systemd says so before a restart.
    fn falls_now(&mut self) -> Result<(), Violation> {
        match self.crashes.pop() {
            Some(Crash { restart: true, .. }) => self.step(Event::EndExplained { restart: true }),
            Some(crash) => self.crash(crash),
            None => Ok(()),
        }
    }

    /// ostlerd crashes; after a while another takes over, and reads the configuration.
    fn crash(&mut self, crash: Crash) -> Result<(), Violation> {
        let snapshot = &self.subject.core.snapshot();
        self.meanwhile.clear();
        // It was written down before it was to make room, and holds whatever ends this one.
        let restart = crash.restart || self.ledger.start.left == Some(HandoverBy::Restart);
        self.trace.say(|| format!("{:>9}  ostlerd crashes: {crash:?}", self.now));
        self.world.ostlerd_crashes();
        let until = self.now + crash.downtime;
        while self.world.next_at().is_some_and(|next| next <= until) {
            self.world.advance();
        }
        self.pass(until);
        self.world.ostlerd_rises();
        let now = self.now;
        let found: BTreeMap<ProcessId, FoundProcess> =
            snapshot.processes().map(|(_, id, ..)| (id, self.world.found(id))).collect();
        put_right(&mut self.ledger, now, snapshot, &found);
        self.subject.recover(snapshot, &found, now, self.steps);
        let before = std::mem::replace(&mut self.view, self.subject.view(now));
        let code = self.options.code;
        code.holds(Law::TheLoadIsRemembered, || the_load_is_remembered(&before, &self.view))?;
        self.ledger.see(now, &self.view);
        self.ledger.start = Startup::taken_over(&self.view, restart);
        self.step(Event::TimePassed)
    }
}
