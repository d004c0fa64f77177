//! Migrations under their watchdog, with real PostgreSQL, MariaDB and SQLite, real Django, and clients meanwhile.
//!
//! Each test has a server of its own in a folder of its own, and after every abort asks that server itself whether
//! anything is left. The servers come from `bash tests/setup.sh`, the drivers from `bash tests/venvs.sh`.

#![allow(unreachable_pub, dead_code, unused_imports, reason = "shares the harness of the daemon's tests")]

#[path = "../daemon/harness/mod.rs"]
mod harness;
#[path = "../daemon/load/mod.rs"]
mod load;

mod breaking;
mod crash;
mod long;
mod mariadb;
mod no_manage;
mod odd;
mod other_tools;
mod owed;
mod queue;
mod real;
mod server;
mod shop;
mod stubborn;
mod two;
