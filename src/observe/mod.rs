//! The view, shown to the world.

pub mod background;
mod board;
mod counters;
mod drain;
mod facts;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod health;
mod log;
mod metrics;
mod migration;
mod notes;
mod outcome;
mod output;
mod page;
mod status;
mod systemd;
#[cfg(test)]
mod testing;
pub mod traceback;
mod trend;
pub mod words;
mod zygote;

pub use background::{BackgroundState, BackgroundStatus};
pub use board::{AppRow, Board, Cell, WorkerRow, heights};
pub use counters::{Counters, CountersRecord};
pub use drain::{DrainStatus, drain_words};
pub use facts::{AppFacts, ConfigStatus, QueueStatus, ReleaseChange, ShellFacts};
pub use log::{announce, init as init_log, stderr_is_the_journal};
pub use migration::{AbortStatus, MigrationStatus, MigrationStep, OperationStatus, backend, next_step, time};
pub use notes::{Note, Topic, notes};
pub use outcome::{answering, end_words, failure};
pub use output::Output;
pub use page::host;
pub use status::{AppHealth, AppStatus, Status, WorkerStatus};
pub use systemd::line as status_line;
pub use trend::Trend;
pub use zygote::{ZygoteStatus, zygote_words};
