//! The view, shown to the world.

mod log;
mod status;

pub use log::{announce, init as init_log};
pub use status::{AppFacts, AppStatus, ConfigStatus, Facts, Status, WorkerStatus};
