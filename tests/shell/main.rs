//! The shell's mechanisms on real processes, with small programs of their own in place of gunicorn.

#![allow(clippy::unwrap_used)]

mod hooks;
mod inspect;
mod launch;
mod listeners;
mod migration;
mod process;
#[path = "../daemon/harness/program.rs"]
#[allow(unreachable_pub, reason = "all of it is for the daemon's tests")]
mod program;
mod real;
mod support;
mod worker;
