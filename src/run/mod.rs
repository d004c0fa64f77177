//! The shell: processes, sockets, time. What follows from what happens is decided in `supervise`; here it is only found out and
//! carried out. Left here: whether systemd ends or restarts ostlerd (`jobs`).
//!
//! Read in this order: `arguments`, `daemon` (from start to end), `driver` (the loop), `shell` (actions done), `prepare`,
//! `first_image`, `release_files` and `image` (an app looked at, by `files`), `link` (release links). Then the mechanisms: `worker_process`, `wire`, `credentials`
//! and `boot_report` (what is received from one), `hook_host`, `inspect` and `warm`; `children` (how a process is started, by
//! `launch_spec` and `launch`), `process`, `reaper`, `scope`; `journal`, `listeners`, `scoreboard` and `board_file`, `signals`, `jobs`,
//! `notify`. A configuration that changes: `watch` and `watched`, `inspected`, `releases`.
//! What outlives ostlerd: `state` and `state_writer` (written), `own_file`, `adopt`, `orphans` and `environ` (found again), `handover`, `exec_stop_post`.

mod accept_queue;
mod adopt;
mod arguments;
mod background;
mod board_file;
mod boot_report;
mod captured;
mod check;
pub mod children;
mod credentials;
pub mod daemon;
mod daemon_paths;
pub mod driver;
mod environ;
pub mod exec_stop_post;
mod files;
mod first_image;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod handover;
pub mod health;
mod heap;
pub mod holder;
pub mod hook_host;
pub mod identity;
mod image;
pub mod inbox;
pub mod inspect;
pub mod inspected;
mod inspection_error;
mod jobs;
pub mod journal;
pub mod launch;
pub mod launch_fds;
pub mod launch_spec;
mod leftovers;
mod limits;
mod lines;
mod link;
pub mod listen_error;
mod listen_queue;
pub mod listeners;
mod log_file;
mod machine;
mod mark;
pub mod memory;
mod memory_file;
mod memory_kills;
pub mod messages;
pub mod migration;
pub mod notify;
mod orphans;
mod own_file;
mod prepare;
mod proc;
pub mod process;
mod reaper;
pub mod release_files;
pub mod releases;
mod rights;
pub mod scope;
pub mod scoreboard;
pub mod shell;
pub mod signals;
pub mod socket_activation;
mod stand;
mod state;
mod state_writer;
mod tables;
mod tcp_socket;
mod threads;
pub mod unix_socket;
mod warm;
pub mod watch;
pub mod watched;
mod wire;
pub mod worker_process;
mod zygote;

pub use arguments::Arguments;
pub use check::{CheckCaller, check};
pub use daemon::{StartError, run};
pub use daemon_paths::DaemonPaths;
