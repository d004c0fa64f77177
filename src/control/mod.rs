//! The server side of the control socket.
//!
//! Read in this order: `desk` is the seam to whoever owns the core; `protocol` is what goes over the wire;
//! `bind`, `access`, `places`, `server`, `routes`, `stream` answer.

mod access;
mod bind;
mod desk;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod places;
pub(crate) mod protocol;
mod routes;
mod server;
mod stream;

pub use bind::{BindError, Bound, bind, is_held, take_over};
pub use desk::{Ask, Desk, DeskEnds, Wish, desk};
pub use protocol::Line;
pub use protocol::{Auto, ScaleTo};
pub use server::serve;
