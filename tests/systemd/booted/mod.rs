//! What holds on a booted machine.

mod machines;
mod scopes;
mod sockets;
mod stops;
mod survival;
mod told;
mod unit;
