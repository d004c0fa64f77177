//! Commands over the control socket: protocol, server, client, and the verbs of `ostler`.
//!
//! Read in this order: `desk` is the seam to whoever owns the core; `protocol` is what goes over the wire;
//! `bind`, `access`, `places`, `server`, `routes`, `stream` answer; `client` asks; `cli` and `verbs` are the command, `edge` what one of them prints.

mod access;
mod bind;
pub mod cli;
mod client;
mod config_file;
mod demo;
mod desk;
mod difference;
mod edge;
mod follow;
mod help;
mod history;
mod import;
mod live;
mod pending;
mod places;
mod progress;
mod protocol;
mod routes;
mod screen;
mod server;
mod stream;
mod table;
mod top;
mod verbs;
mod verdict;

pub use bind::{BindError, Bound, bind, is_held, take_over};
pub use client::{Client, ClientError, Feed};
pub use desk::{Ask, Desk, DeskEnds, Wish, desk};
pub use protocol::Line;
pub use protocol::{Auto, ScaleTo};
pub use server::serve;
