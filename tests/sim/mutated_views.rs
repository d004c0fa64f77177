//! Planted bugs of scaling by load.

use ostler::supervise::{Action, AppEvent, AppEventKind, Event, View};
use serde_json::Value;

use crate::flaw::Flaw;
use crate::laws::Law;
use crate::ledger::Ledger;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadFlaw {
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
    (Flaw::Load(LoadFlaw::OverlooksTheLoad), Law::TheLoadIsFollowed),
    (Flaw::Load(LoadFlaw::OverlooksMemory), Law::NothingGrowsWithoutMemory),
    (Flaw::Load(LoadFlaw::TakesBackAtOnce), Law::ScalingIsSteady),
    (Flaw::Load(LoadFlaw::TakesTheBusy), Law::TheBusyAreLeftAlone),
    (Flaw::Load(LoadFlaw::GrowsInLeaps), Law::StepsAreBounded),
    (Flaw::Load(LoadFlaw::KnowsNoBounds), Law::WantedIsWithinTheRange),
    (Flaw::Load(LoadFlaw::ForgetsTheLoad), Law::TheLoadIsRemembered),
];

impl LoadFlaw {
    /// The event as it is taken.
    pub(crate) fn hears(self, event: &mut Event) {
        let Event::LoadObserved { apps, memory } = event else { return };
        match self {
            LoadFlaw::OverlooksMemory => *memory = None,
            LoadFlaw::OverlooksTheLoad => {
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
                LoadFlaw::GrowsInLeaps => *to += 2 * *from,
                LoadFlaw::TakesBackAtOnce if to > from => {
                    let kind = AppEventKind::ScaledByLoad { from: *to, to: *to - 1, reason: reason.clone() };
                    more.push(Action::Announce(AppEvent { app: app.clone(), kind }));
                }
                _ => {}
            }
        }
        if let (LoadFlaw::TakesTheBusy, Event::LoadObserved { .. }) = (self, event) {
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
        if self == LoadFlaw::KnowsNoBounds {
            view.apps.iter_mut().filter(|app| app.scaling.is_some()).for_each(|app| app.wanted += 100);
        }
    }

    /// What is left for the next ostlerd.
    pub(crate) fn leaves(self, file: &mut Value) {
        if self == LoadFlaw::ForgetsTheLoad {
            let apps = file["apps"].as_object_mut().into_iter().flatten();
            apps.for_each(|(_, app)| app["scaling"]["wanted"] = Value::Null);
        }
    }
}
