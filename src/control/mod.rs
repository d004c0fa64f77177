//! The server side of the control socket.
//!
//! Read in this order: `channels` leads to whoever owns the core; `protocol` is what goes over the wire, `commands`
//! what a command is on it;
//! `bind`, `access`, `places`, `server`, `routes`, `stream` answer.

mod access;
mod bind;
mod channels;
pub(crate) mod commands;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod places;
pub(crate) mod protocol;
mod routes;
mod server;
mod stream;

pub use bind::{BindError, ControlSocket, bind, is_held, take_over};
pub use channels::{ChannelEnds, Channels, GivenCommand, channels};
pub use protocol::StreamLine;
pub use server::serve;
