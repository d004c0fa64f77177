//! The shell: processes, sockets, time. It holds no decisions.
//!
//! Read in this order: `arguments`, `daemon` (from start to end), `driver` (the loop), `shell` (actions done), `prepare` and `world`
//! (an app looked at, by `files`), `link` (a release switched to), then the mechanisms: `worker_process`, `wire`, `speaker` and `paper` (what is heard of one), `hooks` and `hook_host`, `inspect` and `warm`, `launch`, `journal`, `process`, `reaper`, `scope`, `listeners`,
//! `scoreboard` and `board_file`, `signals`, `notify`. A configuration that changes: `watch` and `watched`, `known`, `releases`.
//! What outlives ostlerd: `state` and `keeper` (written), `own_file`, `adopt`, `strays` and `environ` (found again), `handover`, `aftermath`.

mod adopt;
pub mod aftermath;
mod arguments;
mod background;
mod board_file;
mod captured;
mod check;
pub mod daemon;
mod doors;
pub mod driver;
mod environ;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod handover;
pub mod health;
mod heap;
pub mod holder;
pub mod hook_host;
mod hooks;
pub mod identity;
pub mod inspect;
mod jobs;
pub mod journal;
mod keeper;
pub mod known;
pub mod launch;
pub mod launch_fds;
mod leftovers;
mod limits;
mod lines;
mod link;
pub mod listen_error;
mod listen_queue;
pub mod listeners;
mod log_file;
mod mark;
pub mod memory;
mod memory_file;
mod memory_kills;
pub mod messages;
pub mod migration;
pub mod notify;
mod own_file;
mod paper;
pub mod passed;
mod prepare;
mod proc;
pub mod process;
pub mod reaper;
pub mod releases;
mod rights;
pub mod scope;
pub mod scoreboard;
pub mod shell;
pub mod signals;
mod speaker;
mod stand;
mod state;
mod strays;
mod tables;
mod tcp_socket;
mod threads;
pub mod unix_socket;
mod unlooked;
mod warm;
pub mod watch;
pub mod watched;
mod wire;
pub mod worker_process;
pub mod world;
mod zygote;

pub use arguments::Arguments;
pub use check::{Caller, check};
pub use daemon::{Places, StartError, run};
