//! Text to types: what the files say, with every problem of every file reported at once.

mod types;

pub use types::{
    Address, App, AppName, Config, Limits, Listen, ProbeConfig, RolloutConfig, SurgeConfig, Workers,
};
