//! The control socket and the command, against a desk whose owner is played by the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command;
mod drain;
mod fake;
mod migrate;
mod people;
mod socket;
