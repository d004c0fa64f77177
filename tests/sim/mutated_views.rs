//! Planted bugs of scaling by load.

use ostler::supervise::{Action, AppEvent, AppEventKind, Event, View};
use serde_json::Value;

use crate::flaw::Flaw;
use crate::laws::Law;
use crate::ledger::Ledger;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misjudged {
    OverlooksTheLoad,
    OverlooksMemory,
    TakesBackAtOnce,
    TakesTheBusy,
    GrowsInLeaps,
    KnowsNoBounds,
    ForgetsTheLoad,
}

/// Which law each breaks.
pub(crate) const MUTATED_VIEWS: &[(Flaw, Law)] = &[
    (Flaw::Load(Misjudged::OverlooksTheLoad), Law::TheLoadIsFollowed),
    (Flaw::Load(Misjudged::OverlooksMemory), Law::NothingGrowsWithoutMemory),
    (Flaw::Load(Misjudged::TakesBackAtOnce), Law::ScalingIsSteady),
    (Flaw::Load(Misjudged::TakesTheBusy), Law::TheBusyAreLeftAlone),
    (Flaw::Load(Misjudged::GrowsInLeaps), Law::StepsAreBounded),
    (Flaw::Load(Misjudged::KnowsNoBounds), Law::WantedIsWithinTheRange),
    (Flaw::Load(Misjudged::ForgetsTheLoad), Law::TheLoadIsRemembered),
];

impl Misjudged {
    /// The event as it is taken.
    pub(crate) fn hears(self, event: &mut Event) {
        let Event::LoadObserved { apps, memory } = event else { return };
        match self {
            Misjudged::OverlooksMemory => *memory = None,
            Misjudged::OverlooksTheLoad => {
                for app in apps {
                    (app.workers, app.waiting) = (Vec::new(), None);
                }
            }
            _ => {}
        }
    }

    /// What is done in place of the actions.
    pub(crate) fn instead(self, mut actions: Vec<Action>, event: &Event, ledger: &Ledger) -> Vec<Action> {
        let mut more = Vec::new();
        for action in &mut actions {
            let Action::Announce(AppEvent { app, kind: AppEventKind::ScaledByLoad { from, to, reason } }) =
                action
            else {
                continue;
            };
            match self {
                Misjudged::GrowsInLeaps => *to += 2 * *from,
                Misjudged::TakesBackAtOnce if to > from => {
                    let kind = AppEventKind::ScaledByLoad { from: *to, to: *to - 1, reason: reason.clone() };
                    more.push(Action::Announce(AppEvent { app: app.clone(), kind }));
                }
                _ => {}
            }
        }
        if let (Misjudged::TakesTheBusy, Event::LoadObserved { .. }) = (self, event) {
            let busy = ledger.apps.iter().find(|(_, entry)| entry.load.long_pressed.is_some());
            more.extend(busy.map(|(app, _)| {
                let kind = AppEventKind::ScaledByLoad { from: 2, to: 1, reason: String::new() };
                Action::Announce(AppEvent { app: app.clone(), kind })
            }));
        }
        actions.extend(more);
        actions
    }

    /// The picture as it is shown.
    pub(crate) fn shows(self, view: &mut View) {
        if self == Misjudged::KnowsNoBounds {
            view.apps.iter_mut().filter(|app| app.scaling.is_some()).for_each(|app| app.wanted += 100);
        }
    }

    /// What is left for the next ostlerd.
    pub(crate) fn leaves(self, file: &mut Value) {
        if self == Misjudged::ForgetsTheLoad {
            let apps = file["apps"].as_object_mut().into_iter().flatten();
            apps.for_each(|(_, app)| app["load"] = Value::Null);
        }
    }
}
