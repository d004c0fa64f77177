//! What is counted and measured over time: the picture alone forgets. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pressure::{Gauge, Pressure, is_pressed};
use crate::config::AppName;
use crate::observe::counters::Counters;
use crate::observe::{Status, Trend};
use crate::supervise::{AppEvent, ProcessId};

/// Counters, the pressure on each app, and how it went in the last minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vitals {
    counters: Counters,
    gauges: BTreeMap<AppName, Gauge>,
    trend: Trend,
}

impl Vitals {
    /// Goes on from what an earlier ostlerd had counted.
    pub fn with(counters: Counters) -> Vitals {
        Vitals { counters, ..Vitals::default() }
    }

    /// Something happened.
    pub fn heard(&mut self, event: &AppEvent) {
        self.counters.heard(event);
    }

    /// The last word of a worker that has ended: how many requests it has served.
    pub fn ended(&mut self, worker: ProcessId, served: u64) {
        self.counters.served(worker, served);
    }

    /// A new picture, at the time `now` counted from anywhere.
    pub fn seen(&mut self, status: &Status, now: Duration) {
        self.counters.seen(status);
        self.trend.seen(status, now);
        for app in &status.apps {
            match self.gauges.get_mut(&app.name) {
                Some(gauge) => gauge.look(is_pressed(app), now),
                None => self.gauges.entry(app.name.clone()).or_default().look(is_pressed(app), now),
            }
        }
        self.gauges.retain(|name, _| status.apps.iter().any(|app| app.name == *name));
    }

    /// How pressed an app is.
    pub fn pressure(&self, app: &AppName) -> Pressure {
        self.gauges.get(app).map(Gauge::pressure).unwrap_or_default()
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Requests per second.
    pub fn trend(&self) -> &Trend {
        &self.trend
    }
}
