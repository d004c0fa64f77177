//! What holds on a booted machine.

mod machines;
mod scopes;
mod survival;
mod unit;
