//! What `wait`, `status` and systemd say after every way that an app can come to, and with which exit status: the core is
//! driven through each of them, and once more with an ostlerd that is killed at its end and another that adopts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{status, wait};
use crate::config::AppName;
use crate::observe::{ShellFacts, Status, end_words, failure, notes, status_line};
use crate::plan::{self, AppPlan, Blueprint, Plan, Prepared, Refusal};
use crate::supervise::{
    Action, AppState, Command, Event, Exit, FoundProcess, GenerationId, LastWords, LinkFact, LinkOrder,
    MigrationFact, Moment, Outcome, ProcessFact, ProcessId, RequestId, RunId, SlotStage, Start, Supervisor,
    Trouble,
};

/// What becomes of a worker that is started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum BootOutcome {
    Comes,
    Fails,
    /// The first of its generation comes, the others fail.
    OneComes,
}

/// An app of two workers, its core, and what the shell would answer.
struct SimulatedShop {
    core: Supervisor,
    now: Moment,
    boot: BootOutcome,
    /// What the release looks like to whoever prepares it.
    prepared: Prepared,
    workers: BTreeMap<ProcessId, GenerationId>,
    requests: u64,
    answers: BTreeMap<RequestId, Outcome>,
}

fn shop() -> AppName {
    "shop".parse().expect("a name")
}

fn release(number: u32, more: &str) -> AppPlan {
    let plan = plan::sample(&format!("workers = 2\n{more}"));
    let directory = format!("/srv/shop/releases/{number}").into();
    AppPlan { blueprint: Arc::new(Blueprint { directory, ..Blueprint::clone(&plan.blueprint) }), ..plan }
}

fn refused() -> Prepared {
    Err(Refusal::new("shop: there is no user shop on this machine"))
}

impl SimulatedShop {
    fn begin(boot: BootOutcome, prepared: Prepared) -> SimulatedShop {
        let plan = Plan { apps: BTreeMap::from([(shop(), prepared.clone())]), ..Plan::default() };
        let core = Supervisor::new(plan, 7);
        let (workers, answers) = Default::default();
        let mut simulated =
            SimulatedShop { core, now: Moment::ZERO, boot, prepared, workers, requests: 0, answers };
        simulated.tell(Event::TimePassed);
        simulated.rest();
        simulated
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            // A boot takes its time, whichever way it fails.
            if let Event::Process { fact: ProcessFact::Exited(_) | ProcessFact::Failed(_), .. } = event {
                self.now = self.now + Duration::from_millis(10);
            }
            for action in self.core.handle(self.now, event) {
                self.perform(action, &mut events);
            }
        }
    }

    fn perform(&mut self, action: Action, events: &mut Vec<Event>) {
        match action {
            Action::StartProcess(Start { process: worker, generation, hold, .. }) => {
                let first = !self.workers.values().any(|it| *it == generation);
                self.workers.insert(worker, generation);
                let comes = self.boot == BootOutcome::Comes || self.boot == BootOutcome::OneComes && first;
                if comes {
                    let loaded = ProcessFact::Loaded.of(worker);
                    return events.push(if hold { loaded } else { ProcessFact::Ready.of(worker) });
                }
                // The last is told first.
                self.workers.remove(&worker);
                let words = LastWords { message: NOPE.into(), ..LastWords::default() };
                events.push(ProcessFact::Exited(Exit::Code(3)).of(worker));
                events.push(ProcessFact::Failed(words).of(worker));
            }
            Action::AdmitWorker { worker } => events.push(ProcessFact::Ready.of(worker)),
            Action::SignalProcess { process: worker, .. } => {
                self.workers.remove(&worker);
                events.push(ProcessFact::Exited(Exit::Code(0)).of(worker));
            }
            Action::Prepare { app } => {
                events.push(Event::AppPrepared { app, prepared: Box::new(self.prepared.clone()) });
            }
            Action::SwitchRelease { app, order } => {
                let (record, link, leads_to) = Default::default();
                let fact = match order {
                    LinkOrder::Read => LinkFact::Read { record, link, leads_to },
                    LinkOrder::Look(_) => LinkFact::NoLink { reason: NOPE.into() },
                    _ => LinkFact::Written,
                };
                events.push(Event::ReleaseLinkObserved { app, fact });
            }
            Action::StopAccepting { app } => events.push(Event::QueueEmptied { app }),
            Action::Migrate { run, .. } => events.push(unmigrated(run)),
            Action::Answer { id, outcome } => drop(self.answers.insert(id, outcome)),
            _ => {}
        }
    }

    /// Lets time pass until nothing is under way, and as long again: what has failed is tried once more.
    fn rest(&mut self) {
        for _ in 0..200 {
            let Some(due) = self.core.next_deadline() else { return };
            if !wait::is_under_way(&self.status().apps[0]) {
                return;
            }
            self.now = self.now.max(due);
            self.tell(Event::TimePassed);
        }
        panic!("it never rests: {:#?}", self.status());
    }

    fn ask(&mut self, command: Command) -> Outcome {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.tell(Event::Requested { id, command });
        self.rest();
        self.answers.remove(&id).unwrap_or_else(|| panic!("no answer: {:#?}", self.status()))
    }

    fn restart(&mut self, boot: BootOutcome, prepared: Prepared) -> &mut SimulatedShop {
        (self.boot, self.prepared) = (boot, prepared);
        self.ask(Command::restart(shop()));
        self
    }

    fn stop_and_start(&mut self, boot: BootOutcome, prepared: Prepared) -> &mut SimulatedShop {
        (self.boot, self.prepared) = (boot, prepared);
        self.ask(Command::Stop { app: shop() });
        self.ask(Command::Start { app: shop() });
        self
    }

    /// A worker that serves dies, and its replacements fail.
    fn worker_dies(&mut self) -> &mut SimulatedShop {
        self.boot = BootOutcome::Fails;
        let worker = *self.workers.keys().next().expect("one serves");
        self.workers.remove(&worker);
        self.tell(ProcessFact::Exited(Exit::Signal(9)).of(worker));
        self.rest();
        self
    }

    /// The same world under the next ostlerd.
    fn adopted(&self) -> SimulatedShop {
        let alive = FoundProcess { alive: true, stage: Some(SlotStage::Ready) };
        let found = self.workers.keys().map(|worker| (*worker, alive)).collect();
        let snapshot = serde_json::to_string(&self.core.snapshot()).expect("it is data");
        let snapshot = serde_json::from_str(&snapshot).expect("it was written by us");
        let core = Supervisor::adopt(snapshot, &found, self.now, 8);
        let (workers, prepared) = (self.workers.clone(), self.prepared.clone());
        let answers = BTreeMap::new();
        let mut simulated = SimulatedShop {
            core,
            now: self.now,
            boot: self.boot,
            prepared,
            workers,
            requests: 1000,
            answers,
        };
        simulated.tell(Event::TimePassed);
        simulated.rest();
        simulated
    }

    fn status(&self) -> Status {
        let mut facts = ShellFacts::default();
        facts.config.valid = true;
        Status::new(&self.core.view(self.now), &facts)
    }
}

fn unmigrated(run: RunId) -> Event {
    let message = "the settings make no sense".to_owned();
    let trouble = Trouble { kind: crate::supervise::TroubleKind::App, message, traceback: String::new() };
    Event::MigrationHeard { run, fact: Box::new(MigrationFact::DatabaseFailed(trouble)) }
}

/// What is said, now and under the next ostlerd: state, `wait`, both exit statuses, systemd's line.
#[track_caller]
fn says(simulated: &SimulatedShop, state: AppState, waits: &str, red: bool, line: &str) {
    for (simulated, when) in [(simulated, "now"), (&simulated.adopted(), "adopted")] {
        let status = simulated.status();
        let app = &status.apps[0];
        assert_eq!(app.state, state, "{when}: {app:#?}");
        assert_eq!(end_words(app), waits, "{when}");
        assert_eq!(failure(app).is_some(), red, "{when}: wait: {app:#?}");
        let degraded = state == AppState::Degraded;
        assert_eq!(!status::is_well(&status), red || degraded, "{when}: status: {app:#?}");
        assert_eq!(status_line(&status), line, "{when}");
        let said: Vec<String> = notes(app).into_iter().map(|note| note.text).collect();
        let told_twice = said.iter().filter(|text| text.contains("No module named 'nope'")).count() > 1;
        assert!(!told_twice, "{when}: {said:#?}");
    }
}

const NOPE: &str = "No module named 'nope'";

#[test]
fn a_first_start_is_told_as_it_ended() {
    let serves = SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
    says(&serves, AppState::Serving, "shop: generation g1 serves", false, "1 app serves");

    let fails = SimulatedShop::begin(BootOutcome::Fails, Ok(release(1, "")));
    let line = format!("0 of 1 app serves; shop: failed: {NOPE}");
    says(&fails, AppState::Failed, &format!("shop: {NOPE}; nothing serves"), true, &line);

    let one = SimulatedShop::begin(BootOutcome::OneComes, Ok(release(1, "")));
    let words = format!("shop: {NOPE}; generation g1 serves with 1 of 2 workers");
    says(&one, AppState::Degraded, &words, true, &format!("1 app serves; shop: too few workers: {NOPE}"));

    let refused = SimulatedShop::begin(BootOutcome::Comes, refused());
    let why = "there is no user shop on this machine";
    let line = format!("0 of 1 app serves; shop: failed: {why}");
    says(&refused, AppState::Failed, &format!("shop: {why}; nothing serves"), true, &line);
}

#[test]
fn a_start_that_has_failed_once_is_under_way_until_it_is_given_up() {
    let plan = Plan { apps: BTreeMap::from([(shop(), Ok(release(1, "")))]), ..Plan::default() };
    let mut simulated = SimulatedShop::begin(BootOutcome::Fails, Ok(release(1, "")));
    (simulated.core, simulated.now) = (Supervisor::new(plan, 7), Moment::ZERO);
    simulated.tell(Event::TimePassed);
    let app = simulated.status().apps.remove(0);
    assert_eq!((app.state, app.problem.as_deref()), (AppState::Starting, Some(NOPE)));
    simulated.boot = BootOutcome::Comes;
    simulated.rest();
    says(&simulated, AppState::Serving, "shop: generation g1 serves", false, "1 app serves");
}

#[test]
fn a_failed_start_that_comes_up_later_has_not_failed() {
    let mut simulated = SimulatedShop::begin(BootOutcome::Fails, Ok(release(1, "")));
    simulated.boot = BootOutcome::Comes;
    simulated.now = simulated.now + Duration::from_secs(60);
    simulated.tell(Event::TimePassed);
    says(&simulated, AppState::Serving, "shop: generation g1 serves", false, "1 app serves");
}

#[test]
fn a_rollout_is_told_as_it_ended() {
    let begin = || SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
    let mut good = begin();
    good.restart(BootOutcome::Comes, Ok(release(2, "")));
    says(&good, AppState::Serving, "shop: generation g2 serves", false, "1 app serves");

    let mut bad = begin();
    bad.restart(BootOutcome::Fails, Ok(release(2, "")));
    let words = format!("shop: {NOPE}; generation g1 goes on serving");
    let line = format!("1 app serves; shop: the last rollout to g2 was rolled back: {NOPE}");
    says(&bad, AppState::Serving, &words, true, &line);
    bad.restart(BootOutcome::Comes, Ok(release(3, "")));
    says(&bad, AppState::Serving, "shop: generation g3 serves", false, "1 app serves");

    let mut never = begin();
    never.restart(BootOutcome::Comes, refused());
    let why = "there is no user shop on this machine";
    let words = format!("shop: {why}; generation g1 goes on serving");
    says(
        &never,
        AppState::Serving,
        &words,
        true,
        &format!("1 app serves; shop: the last rollout did not begin: {why}"),
    );

    let mut over_a_failed_start = SimulatedShop::begin(BootOutcome::Fails, Ok(release(1, "")));
    over_a_failed_start.restart(BootOutcome::Fails, Ok(release(2, "")));
    let line = format!("0 of 1 app serves; shop: failed: {NOPE}");
    says(&over_a_failed_start, AppState::Failed, &format!("shop: {NOPE}; nothing serves"), true, &line);
    over_a_failed_start.restart(BootOutcome::Comes, Ok(release(3, "")));
    says(&over_a_failed_start, AppState::Serving, "shop: generation g3 serves", false, "1 app serves");
}

#[test]
fn a_migration_that_fails_is_told_with_what_serves() {
    let mut simulated = SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
    simulated.restart(BootOutcome::Comes, Ok(release(2, "[migrate]\nenabled = true\ncommand = [\"x\"]\n")));
    let app = simulated.status().apps.remove(0);
    let words = end_words(&app);
    assert!(
        words.starts_with("shop: migration ") && words.ends_with("; generation g1 goes on serving"),
        "{words}"
    );
    assert!(failure(&app).is_some());
    // Of a start without a migration, it is no failure any more.
    simulated.stop_and_start(BootOutcome::Comes, Ok(release(3, "")));
    assert_eq!(end_words(&simulated.status().apps[0]), "shop: generation g2 serves");
    assert!(status::is_well(&simulated.status()), "{:#?}", simulated.status());
}

#[test]
fn a_stop_and_a_start_leave_nothing_of_what_failed_before() {
    let mut bad = SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
    bad.restart(BootOutcome::Fails, Ok(release(2, "")));
    bad.ask(Command::Stop { app: shop() });
    says(&bad, AppState::Stopped, "shop: stopped", false, "0 of 1 app serves; shop: stopped");
    bad.boot = BootOutcome::Comes;
    bad.prepared = Ok(release(1, ""));
    bad.ask(Command::Start { app: shop() });
    says(&bad, AppState::Serving, "shop: generation g3 serves", false, "1 app serves");

    let mut never = SimulatedShop::begin(BootOutcome::Fails, Ok(release(1, "")));
    never.stop_and_start(BootOutcome::Comes, Ok(release(2, "")));
    says(&never, AppState::Serving, "shop: generation g2 serves", false, "1 app serves");
    never.stop_and_start(BootOutcome::Fails, Ok(release(3, "")));
    let line = format!("0 of 1 app serves; shop: failed: {NOPE}");
    says(&never, AppState::Failed, &format!("shop: {NOPE}; nothing serves"), true, &line);

    let mut refused_start = SimulatedShop::begin(BootOutcome::Comes, refused());
    refused_start.stop_and_start(BootOutcome::Comes, Ok(release(1, "")));
    says(&refused_start, AppState::Serving, "shop: generation g1 serves", false, "1 app serves");
    refused_start.stop_and_start(BootOutcome::Comes, refused());
    let why = "there is no user shop on this machine";
    let line = "0 of 1 app serves; shop: stopped";
    says(&refused_start, AppState::Stopped, &format!("shop: {why}; nothing serves"), true, line);
}

#[test]
fn what_dies_later_is_told_beside_how_the_rollout_ended() {
    let mut few = SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
    few.worker_dies();
    let words = format!("shop: generation g1 serves with 1 of 2 workers: {NOPE}");
    says(&few, AppState::Degraded, &words, false, &format!("1 app serves; shop: too few workers: {NOPE}"));
    few.worker_dies();
    let died = "worker w2 died: killed by signal 9 (KILL)";
    let line = format!("0 of 1 app serves; shop: failed: {died}");
    says(&few, AppState::Failed, &format!("shop: {died}; nothing serves"), true, &line);
}

#[test]
fn a_command_that_waits_is_told_the_same() {
    let told = |boot, prepared| {
        let mut simulated = SimulatedShop::begin(BootOutcome::Comes, Ok(release(1, "")));
        (simulated.boot, simulated.prepared) = (boot, prepared);
        let restarted = simulated.ask(Command::restart(shop()));
        simulated.ask(Command::Stop { app: shop() });
        let started = simulated.ask(Command::Start { app: shop() });
        [restarted, started].map(|outcome| (outcome.to_string(), outcome.exit_status()))
    };
    let [restarted, started] = told(BootOutcome::Comes, Ok(release(2, "")));
    assert_eq!(restarted, ("shop: generation g2 serves".to_owned(), 0));
    assert_eq!(started, ("shop: started; 2 workers of generation g3 serve".to_owned(), 0));
    let [restarted, started] = told(BootOutcome::Fails, Ok(release(2, "")));
    assert_eq!(restarted, (format!("rolled back: {NOPE}; generation g1 goes on serving"), 1));
    assert_eq!(started, (format!("failed: {NOPE}; no earlier generation serves"), 1));
    let [restarted, started] = told(BootOutcome::OneComes, Ok(release(2, "")));
    assert_eq!(restarted.1, 1);
    assert_eq!(started, (format!("failed: {NOPE}; 1 of 2 workers serve; no earlier generation serves"), 1));
    let [restarted, started] = told(BootOutcome::Comes, refused());
    assert_eq!((restarted.1, started.1), (78, 78));
}
