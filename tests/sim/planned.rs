//! What each app is to be, by the configuration and by its release.

use ostler::config::AppName;
use ostler::plan::{Plan, Prepared};
use ostler::supervise::{ConfigFound, Moment};

use crate::entry::AppEntry;
use crate::ledger::Ledger;

impl Ledger {
    /// A configuration is in force; what is held is refused where nothing of it runs.
    pub(crate) fn found(&mut self, now: Moment, found: &ConfigFound) {
        self.planned(now, &plan_of(found.clone()));
    }

    pub(crate) fn prepared(&mut self, now: Moment, app: &AppName, prepared: &Prepared) {
        let Some(entry) = self.apps.get_mut(app) else { return };
        if let Ok(plan) = prepared {
            entry.goes_by(&plan.policy);
            // An answer that comes too late is none: the app was taken away and brought back meanwhile.
            entry.startable |= entry.view.as_ref().is_some_and(|view| view.rollout.is_some());
        }
        entry.allow_a_change(now);
    }

    pub(crate) fn planned(&mut self, now: Moment, plan: &Plan) {
        for (app, prepared) in &plan.apps {
            let entry = self.apps.entry(app.clone()).or_insert_with(AppEntry::unknown);
            if !entry.planned {
                // What is left of it lives by the policy that it had, whatever the new plan says.
                let (generations, newest) = (entry.generations.clone(), entry.newest);
                let policy = entry.policy.clone();
                *entry = AppEntry { generations, newest, policy, planned: true, ..AppEntry::unknown() };
                // It begins anew, whatever is answered to those who asked for it before.
                self.asked.values_mut().filter(|it| it.starts(app)).for_each(|it| it.was_stopped = false);
            }
            if let Ok(plan) = prepared {
                entry.goes_by(&plan.policy);
                entry.migrates = plan.migrate.is_some();
                entry.startable = true;
            } else if !entry.runs() || entry.has_nothing() {
                entry.startable = false;
            }
            entry.allow_a_change(now);
        }
        for (app, entry) in &mut self.apps {
            if !plan.apps.contains_key(app) {
                entry.planned = false;
            }
        }
    }
}

/// A plan of it, in which what is held is refused.
fn plan_of(found: ConfigFound) -> Plan {
    let held = found.held.into_iter().map(|(name, refusal)| (name, Err(refusal)));
    let apps = found.apps.into_iter().map(|(name, plan)| (name, Ok(plan))).chain(held);
    Plan { apps: apps.collect(), machine: found.machine, ..Plan::default() }
}
