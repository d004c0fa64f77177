//! The core: facts in, actions out. No clock, no file, no process, no log.
//!
//! Read in this order: `time`, `event`, `request`, `action`, `news`, `view`, then the state machine.

mod action;
mod event;
mod news;
mod request;
mod time;
mod view;

pub use action::{Action, Rung};
pub use event::{Event, Exit, GenerationId, LastWords, Observation, WorkerId};
pub use news::{Cause, Happening, Level, News};
pub use request::{Outcome, Request, RequestId};
pub use time::Moment;
pub use view::{AppState, AppView, LastRollout, PhaseView, RolloutView, View, WorkerState, WorkerView};
