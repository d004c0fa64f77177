//! The control socket and the command, against a driver that is played by the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command;
mod drain;
mod fake;
mod migrate;
mod people;
#[path = "../daemon/harness/program.rs"]
#[allow(dead_code, unreachable_pub, reason = "all of it is for the daemon's tests")]
mod program;
mod socket;
