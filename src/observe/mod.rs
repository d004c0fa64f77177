//! The view, shown to the world.

mod status;

pub use status::{AppFacts, AppStatus, ConfigStatus, Facts, Status, WorkerStatus};
