//! Health: what load balancers ask, answered from the latest picture without waiting for anybody.
//!
//! Read in this order: `pressure` and `judge` (when an app is ready), `answer` (a question and its answer, all pure),
//! `sources` (what answers are made from), then the network: `listener`, `serve` and `reply` (HTTP), `agent` (HAProxy's
//! agent-check) and `track` (keepalived's file).

mod agent;
mod answer;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod judge;
mod listener;
mod named;
mod pressure;
mod pulse;
mod reply;
mod serve;
mod sources;
mod timed;
mod token;
mod track;
mod vitals;

pub use super::page::{Viewers, draw as draw_page};
pub use agent::serve as serve_agent;
pub use answer::{Answer, Form, Method, Question};
#[cfg(any(test, fuzzing))]
pub(super) use fuzzing::hostile_request;
pub use judge::{Judge, Verdict};
pub use listener::Listener;
pub use pressure::Pressure;
pub(super) use pressure::{all_busy, queue_fills};
pub use pulse::Pulse;
pub use serve::serve;
pub use sources::Sources;
pub use token::{Token, TokenError};
pub use track::keep as keep_track_file;
pub use vitals::Vitals;
