//! `[rollout]`: how a new generation of workers comes in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::error::Fault;
use super::key::{Shape, keys};
use super::kinds::{Number, One, Time};
use super::values::Read;
use super::visible::shortened;
use super::workers::WORKERS_MOST;

const SECOND: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[rollout]`.
pub(super) static ROLLOUT: Shape = Shape { title: "rollout", groups: &[RolloutPolicy::KEYS] };

keys! {
    /// The numbers of a rollout.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct RolloutPolicy {
        /// extra workers while it lasts: a number, or a share such as `"50%"`
        max_surge: Surge = Share, [default Surge::Workers(1)], "\"50%\"", InPlace;
        /// from a worker's start to its readiness
        boot_timeout: Duration = Time::within(SHORTEST..=DAY), [default 60 * SECOND], "\"60s\"", InPlace;
        /// this many failures roll it back
        max_boot_failures: u32 = Number(1..=1000), [default 2], "2", InPlace;
        /// how long the first new worker lives before it takes clients, and all of them before the rollout counts
        settle: Duration = Time::within(Duration::ZERO..=600 * SECOND), [default 2 * SECOND], "\"2s\"", InPlace;
    }
}

/// An extra number of workers: a count, or a share of the wanted number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Surge {
    /// So many, at least 1.
    Workers(u32),
    /// So many per cent of the wanted number, rounded up, at least 1.
    Percent(u32),
}

impl Surge {
    /// The surge in workers where `wanted` of them should serve.
    pub fn of(self, wanted: u32) -> u32 {
        match self {
            Surge::Workers(n) => n.max(1),
            Surge::Percent(p) => (u64::from(wanted) * u64::from(p)).div_ceil(100).max(1) as u32,
        }
    }
}

impl fmt::Display for Surge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Surge::Workers(count) => write!(f, "{count}"),
            Surge::Percent(share) => write!(f, "{share}%"),
        }
    }
}

/// `1` or `"50%"`.
struct Share;

impl One for Share {
    type Value = Surge;

    fn read(&self, value: &DeValue<'_>) -> Read<Surge> {
        let Some(text) = value.as_str() else {
            return Number(1..=WORKERS_MOST).read(value).map(Surge::Workers).map_err(|mut fault| {
                fault.rule.push_str(", or a share such as \"50%\"");
                fault
            });
        };
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u32>().ok());
        match percent {
            Some(percent @ 1..=100) => Ok(Surge::Percent(percent)),
            _ => Err(Fault::new(
                format!("is {:?}", shortened(text, 40)),
                "must be a number of workers, or a share from \"1%\" to \"100%\"",
                "",
            )),
        }
    }

    fn show(&self, value: &Surge) -> String {
        value.to_string()
    }
}
