//! The view, shown to the world.

mod counters;
pub mod health;
mod log;
mod metrics;
mod status;
mod systemd;
#[cfg(test)]
mod testing;

pub use counters::Counters;
pub use log::{announce, init as init_log};
pub use status::{
    AppFacts, AppHealth, AppStatus, ConfigStatus, DrainStatus, Facts, Release, Status, WorkerStatus,
};
pub use systemd::{Stage, line as status_line};
