//! One run: the core, or a flawed one, in the simulated world of a seed, judged after every step.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ostler::supervise::{
    Action, AppState, Command, Event, Found, Legacy, MigrationOrder, Moment, View, WorkerId,
};

use crate::crew::Crew;
use crate::fall::{Fall, falls, plan_after, put_right};
use crate::flaw::{Flaw, Subject};
use crate::laws::{Code, Law, Step, Verdict, Violation, the_load_is_remembered};
use crate::ledger::Ledger;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::trace::{Trace, line};
use crate::world::World;

/// How long after the last fault the wanted plan must be served, at most.
const BOUND: Duration = Duration::from_secs(400);
/// How long the calm is watched when it is reached.
const WATCH: Duration = Duration::from_secs(20);
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
    now: Moment,
    ledger: Ledger,
    world: World,
    subject: Subject,
    options: Options,
    view: View,
    standing: u32,
    steps: u64,
    /// Since when everything is as it should be.
    good_since: Option<Moment>,
    said_good_bye: Option<Moment>,
    /// The next comes last.
    falls: Vec<Fall>,
    trace: Trace,
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
        let falls = falls(&scenario, &rng);
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
            falls,
            trace,
        }
    }

    fn go(&mut self) -> Result<(), Violation> {
        self.step(Event::TimePassed)?;
        while !self.ledger.exited && !self.has_been_good() && self.is_in_bounds().is_ok() {
            if self.world.is_calm() {
                self.falls.clear();
            }
            if self.falls.last().is_some_and(|fall| !fall.half_done && fall.at <= self.now) {
                let legacy = self.subject.core.legacy();
                self.fall(&legacy)?;
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
        let (steps, standing, workers) = (self.steps, self.standing, self.ledger.hands.len());
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
        self.ledger.hear(now, &fact);
        let before = self.ledger.counts();
        let actions = self.subject.handle(now, &fact, &self.ledger);
        self.trace.say(|| line(now, &fact, &actions));
        let due = self.falls.last().is_some_and(|fall| fall.half_done && fall.at <= now);
        let half_done = due
            && !self.world.is_calm()
            && actions.iter().any(|it| {
                matches!(
                    it,
                    Action::SpawnWorker { .. } | Action::StartZygote { .. } | Action::SignalWorker { .. }
                )
            });
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
        self.ledger.see(now, &self.view);
        if half_done && !self.ledger.exited {
            let legacy = self.subject.core.legacy();
            self.fall(&legacy)?;
        }
        Ok(())
    }

    /// ostlerd falls; after a while another takes over, and reads the configuration.
    fn fall(&mut self, legacy: &Legacy) -> Result<(), Violation> {
        let Some(fall) = self.falls.pop() else { return Ok(()) };
        self.trace.say(|| format!("{:>9}  ostlerd falls: {fall:?}", self.now));
        self.world.ostlerd_falls();
        let until = self.now + fall.downtime;
        while self.world.next_at().is_some_and(|next| next <= until) {
            self.world.advance();
        }
        self.pass(until);
        self.world.ostlerd_rises();
        let now = self.now;
        let found: BTreeMap<WorkerId, Found> =
            legacy.workers().map(|(_, id, _)| (id, self.world.found(id))).collect();
        put_right(&mut self.ledger, now, legacy, &found);
        self.subject.rise(legacy, &found, now, self.steps);
        let before = std::mem::replace(&mut self.view, self.subject.view(now));
        let code = self.options.code;
        code.holds(Law::TheLoadIsRemembered, || the_load_is_remembered(&before, &self.view))?;
        self.ledger.see(now, &self.view);
        let plan = plan_after(&self.subject.core, self.world.disk.plan());
        let id = self.world.disk.next_request();
        let delay = self.world.rng.millis(5, 400);
        self.world.tell_after(delay, Event::PlanMade { id, plan });
        self.step(Event::TimePassed)
    }

    fn has_been_good(&self) -> bool {
        let long_enough = self.good_since.is_some_and(|since| self.now.since(since) > WATCH);
        // Somebody may have asked for something meanwhile.
        long_enough && self.said_good_bye.is_none() && all_answered(&self.ledger).is_ok()
    }

    /// Once faults have stopped: everything comes to be as it should, and stays so.
    fn judge_progress(&mut self) -> Result<(), Violation> {
        if !self.world.is_calm() {
            return Ok(());
        }
        let calm_from = Moment::at(self.world.scenario.calm_from);
        let (verdict, linked) = (self.all_is_well(), self.links_lead_to_the_proven());
        let well = verdict.is_ok() && linked.is_ok();
        if self.now.since(self.said_good_bye.unwrap_or(calm_from)) > BOUND && !self.ledger.exited {
            self.options.code.holds(Law::LinksLeadToTheProven, || linked)?;
            let law = if well { Law::AnswersComeInTime } else { Law::TheWantedPlanIsServed };
            self.options.code.holds(law, || verdict)?;
            self.options.code.holds(Law::AnswersComeInTime, || all_answered(&self.ledger))?;
            if self.options.code.only.is_some() {
                self.ledger.exited = true;
            }
        }
        if !well {
            self.good_since = None;
        } else if self.good_since.is_none() && all_answered(&self.ledger).is_ok() {
            self.good_since = Some(self.now);
            self.say_good_bye();
        }
        Ok(())
    }

    /// Half of the runs end with a shutdown.
    fn say_good_bye(&mut self) {
        if !self.ledger.machine.shutdown && self.said_good_bye.is_none() && self.world.rng.chance(0.5) {
            self.said_good_bye = Some(self.now);
            let request = if self.world.rng.chance(0.8) { Command::Shutdown } else { Command::ShutdownNow };
            self.world.ask_after(Duration::from_secs(1), request);
        }
    }

    /// No link leads to a release that was named and does not serve.
    fn links_lead_to_the_proven(&self) -> Verdict {
        let planned = |app| self.ledger.crews.get(app).is_some_and(|crew| crew.planned);
        // One that somebody has moved elsewhere is theirs, whatever is written down.
        let there = |app, version| self.world.disk.app(app).is_some_and(|disk| disk.version == version);
        let mut unproven = self.world.links.unproven();
        let left = |app| self.ledger.left_links.contains(app);
        match unproven.find(|(app, version)| planned(app) && there(app, *version) && !left(app)) {
            Some((app, version)) => {
                Err(format!("the link of {app} leads to v{version}, which is not proven"))
            }
            None => Ok(()),
        }
    }

    fn all_is_well(&self) -> Verdict {
        if self.ledger.machine.shutdown || self.said_good_bye.is_some() {
            return Err("the shutdown has not ended".to_owned());
        }
        for (app, crew) in &self.ledger.crews {
            let view = self.view.apps.iter().find(|view| view.name == *app);
            let workers = self.ledger.of(app).count();
            match view {
                None if crew.planned => return Err(format!("{app} is planned and not shown")),
                None if workers > 0 => return Err(format!("{app} is removed and has {workers} workers")),
                Some(_) if !crew.planned => return Err(format!("{app} is removed and still shown")),
                None => {}
                Some(view) if view.state == AppState::Stopped && crew.was_stopped => {}
                Some(_) if !crew.startable => {}
                Some(view) => self.serves(crew, view)?,
            }
        }
        Ok(())
    }

    fn serves(&self, crew: &Crew, view: &ostler::supervise::AppView) -> Verdict {
        let app = &view.name;
        if view.migration.is_some() {
            return Err(format!("{app}: the migration has not ended: {:?}", view.migration));
        }
        if crew.not_started && view.generation.is_none() && !crew.stopped {
            return Ok(());
        }
        if crew.stopped {
            return Err(format!("{app} should be stopped and is {:?}", view.state));
        }
        if view.rollout.is_some() {
            return Err(format!("{app}: the rollout has not ended: {:?}", view.rollout));
        }
        let Some(generation) = view.generation else { return Err(format!("{app} has no generation")) };
        let ready = self.ledger.ready_of(app, generation);
        if ready < view.wanted || view.wanted == 0 {
            return Err(format!("{app}: {ready} of {} workers of {generation} are ready", view.wanted));
        }
        let strangers = self.ledger.of(app).filter(|(_, hand)| hand.generation != generation);
        match strangers.filter(|(_, hand)| hand.is_live()).count() {
            0 => Ok(()),
            count => Err(format!("{app}: {count} workers of other generations than {generation} live")),
        }
    }
}

fn all_answered(ledger: &Ledger) -> Verdict {
    match ledger.asked.iter().find(|(_, asked)| asked.answers == 0) {
        Some((id, asked)) => Err(format!("{id:?} ({:?}) has no answer", asked.request)),
        None => Ok(()),
    }
}
