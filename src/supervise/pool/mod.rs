//! The processes of an app, whatever they are for: one life, one ladder, one set of facts and events.
//!
//! Read in this order: `role` (what differs), `ladder`, `process` (one life), `facts` and `time` (what happens to it),
//! `failures` and `budget` (who pays), `hooks` (what gunicorn's hooks are told), `converge`, `single` and `start` (who is wanted, who is there, what follows), `process_event` (what is said).

mod boot;
mod budget;
mod cause;
mod converge;
mod facts;
mod failures;
mod hooks;
mod ladder;
mod process;
mod process_event;
mod role;
mod single;
mod start;
mod time;

pub(super) use budget::{Backoff, Bucket, delay_after};
pub use cause::Cause;
pub use ladder::StopSignal;
pub(super) use ladder::{Climb, Ending, Ladder};
pub(super) use process::{Life, Process};
pub use process_event::{ProcessChange, ProcessEvent};
pub use role::Role;
