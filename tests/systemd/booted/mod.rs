//! What holds on a booted machine.

mod machines;
mod scopes;
mod survival;
mod stops;
mod unit;
