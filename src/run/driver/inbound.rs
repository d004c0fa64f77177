//! What the driver does with what comes in, beside signals and what is asked over the control socket.

use std::collections::BTreeMap;

use super::Driver;
use crate::config::AppName;
use crate::plan::Refusal;
use crate::run::inbox::{AllDone, Inbound};
use crate::run::inspected::{InspectedApp, InspectedConfig};
use crate::run::listeners::Done;
use crate::supervise::{Event, ReadPurpose};

impl Driver {
    /// What cannot be put in force before the files of sockets are seen to, apart from the loop: they are, and it comes back.
    pub(super) fn once_bound(&mut self, inbound: Inbound) -> Option<Inbound> {
        let (found, done): (Vec<&InspectedApp>, _) = match &inbound {
            Inbound::Prepared { looked, done, .. } => (looked.iter().collect(), done),
            Inbound::Reread { purpose: ReadPurpose::DryRun, .. } => return Some(inbound),
            Inbound::Reread { looked: Ok(found), done, .. } => (found.apps.values().collect(), done),
            _ => return Some(inbound),
        };
        let orders = found.into_iter().map(|looked| {
            let blueprint = &looked.plan.blueprint;
            (blueprint.app.clone(), self.shell.socket_orders(blueprint, done))
        });
        let orders: BTreeMap<AppName, _> = orders.filter(|(_, orders)| !orders.is_empty()).collect();
        if orders.is_empty() {
            return Some(inbound);
        }
        match inbound {
            Inbound::Prepared { app, looked, done } => {
                self.shell.carry_out(orders, done, |done| Inbound::Prepared { app, looked, done });
            }
            Inbound::Reread { purpose, looked, done } => {
                let then = move |done| Inbound::Reread { purpose, looked, done };
                self.shell.carry_out(orders, done, then);
            }
            _ => {}
        }
        None
    }

    /// The configuration was read: what it needs is had ready, and the core told.
    pub(super) fn reread(
        &mut self,
        purpose: ReadPurpose,
        looked: Result<InspectedConfig, Refusal>,
        done: AllDone,
    ) {
        let found = match purpose {
            ReadPurpose::DryRun => looked.map(|found| self.shell.found_dry(found)),
            _ => looked.and_then(|found| self.shell.found(without_unbound(found, &done), done)),
        };
        self.fact(Event::ConfigRead { found: Box::new(found) });
    }

    /// An app was looked at for a rollout.
    pub(super) fn prepared(
        &mut self,
        app: AppName,
        looked: Result<InspectedApp, Refusal>,
        mut done: AllDone,
    ) {
        let prepared = looked.map(|looked| self.shell.learn(looked));
        let prepared = Box::new(self.shell.bind(&app, prepared, done.remove(&app).unwrap_or_default()));
        self.fact(Event::AppPrepared { app, prepared });
    }
}

/// An app whose Unix sockets cannot be made through its user's doing is held as it is: it costs no other app its change.
fn without_unbound(mut found: InspectedConfig, done: &AllDone) -> InspectedConfig {
    for (name, done) in done {
        let error = done.iter().find(|it| it.is_of_the_app()).and_then(Done::error);
        if let Some(error) = error
            && found.apps.remove(name).is_some()
        {
            found.held.insert(name.clone(), Refusal::new(format!("{name}: {error}")));
        }
    }
    found
}
