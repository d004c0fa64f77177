//! Somebody asks for restarts on and on: he is answered, and fills no log.

use std::collections::BTreeMap;
use std::time::Duration;

use ostler::plan::Plan;
use ostler::supervise::{
    Action, AppEvent, AppEventKind, Command, Event, LinkFact, Moment, RequestId, Supervisor,
};

use crate::rng::Rng;
use crate::scenario::{app_plan, name, policy};

/// An app whose one worker boots, so that everything that is asked for has to wait.
struct Crowd {
    supervisor: Supervisor,
    now: Moment,
    lines: Vec<String>,
    looks: usize,
    answers: usize,
}

impl Crowd {
    fn new() -> Crowd {
        let plan = app_plan(&name(0), 1, &policy(&mut Rng::seeded(1)));
        let apps = BTreeMap::from([(name(0), Ok(plan))]);
        let supervisor = Supervisor::new(Plan { apps, ..Plan::default() }, 1);
        let mut crowd = Crowd { supervisor, now: Moment::ZERO, lines: Vec::new(), looks: 0, answers: 0 };
        crowd.tell(Event::TimePassed);
        crowd
    }

    fn tell(&mut self, event: Event) {
        for action in self.supervisor.handle(self.now, event) {
            match action {
                Action::SwitchRelease { app, .. } => {
                    let (record, link, leads_to) = Default::default();
                    let fact = LinkFact::Read { record, link, leads_to };
                    self.tell(Event::ReleaseLinkObserved { app, fact });
                }
                Action::Prepare { .. } => self.looks += 1,
                Action::Answer { .. } => self.answers += 1,
                Action::Announce(AppEvent { kind: said @ AppEventKind::RolloutRequested { .. }, .. }) => {
                    self.lines.push(said.to_string());
                }
                _ => {}
            }
        }
    }

    fn restarts(&mut self, ids: std::ops::Range<u64>) {
        for id in ids {
            self.tell(Event::Requested { id: RequestId(id), command: Command::restart(name(0)) });
        }
    }

    fn looked(&mut self) {
        let plan = app_plan(&name(0), 1, &policy(&mut Rng::seeded(1)));
        self.tell(Event::AppPrepared { app: name(0), prepared: Box::new(Ok(plan)) });
    }
}

#[test]
fn a_thousand_restarts_at_once_are_three_lines_and_two_looks_at_the_release() {
    let mut crowd = Crowd::new();
    crowd.restarts(0..1000);
    crowd.looked();
    crowd.looked();
    assert_eq!(crowd.looks, 2, "one was made before most of them asked, one after all of them");
    let due = crowd.supervisor.next_deadline().expect("the rest is to be told");
    assert!(due <= crowd.now + Duration::from_secs(1));
    crowd.now = due;
    crowd.tell(Event::TimePassed);
    let joined = "joined the rollout that is under way";
    let (said, rest) = crowd.lines.split_at(crowd.lines.len() - 1);
    assert_eq!(said, ["preparing a rollout", joined, "preparing a rollout"]);
    assert!(rest[0].starts_with(joined) && rest[0].contains(" more since"), "{rest:?}");
}

#[test]
fn whoever_asks_on_and_on_makes_one_line_a_second() {
    let mut crowd = Crowd::new();
    crowd.restarts(0..1);
    for second in 0..10 {
        crowd.restarts(1 + second * 100..101 + second * 100);
        crowd.now = crowd.now + Duration::from_secs(1);
        crowd.tell(Event::TimePassed);
    }
    assert!((10..=12).contains(&crowd.lines.len()), "{:?}", crowd.lines);
    let counted: u64 = crowd
        .lines
        .iter()
        .filter_map(|line| line.split_once('(')?.1.split_once(' ')?.0.parse::<u64>().ok())
        .sum();
    assert_eq!(counted, 999, "and each is counted: {:?}", crowd.lines);
}

#[test]
fn a_single_one_that_joins_is_said_at_once() {
    let mut crowd = Crowd::new();
    crowd.restarts(0..2);
    assert_eq!(crowd.lines, ["preparing a rollout", "joined the rollout that is under way"]);
    crowd.now = crowd.now + Duration::from_secs(5);
    crowd.tell(Event::TimePassed);
    crowd.restarts(2..3);
    assert_eq!(crowd.lines.len(), 3);
}
