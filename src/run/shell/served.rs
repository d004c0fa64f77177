//! What this machine serves, for who configures the edge in front of it.

use std::collections::BTreeMap;

use super::Shell;
use crate::config::Address;
use crate::plan::{self, Plan, SeenApp};
use crate::supervise::Outcome;

impl Shell {
    /// The apps of `plan` with what is known of them beyond it.
    pub(in crate::run) fn what_is_served(&self, plan: Plan) -> Outcome {
        let mut seen = BTreeMap::new();
        for (name, prepared) in plan.apps {
            let Ok(plan) = prepared else { continue };
            let settings = self.inspections.get(&name, &plan.blueprint).map(|record| record.settings.clone());
            let bound = self.apps.get(&name).map(|runtime| runtime.listeners.all()).unwrap_or_default();
            let listeners = bound.iter().filter_map(|it| it.name.to_string().parse::<Address>().ok());
            seen.insert(name, SeenApp { plan, settings, listeners: listeners.collect() });
        }
        let served = Box::new(plan::served(&self.config, &self.health, &seen));
        Outcome::Served { served }
    }
}
