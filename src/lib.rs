//! ostler runs gunicorn's workers without gunicorn's master.
//!
//! Data flows one way; read the modules in this order. The first four are a crate of their own, `core.rs`, with nothing to
//! touch the world by:
//!
//! 1. [`config`]: text to types.
//! 2. [`plan`]: types to decisions.
//! 3. [`supervise`]: the core, facts in and actions out, pure.
//! 4. [`worker`]: the Python side and its contract.
//! 5. [`migrate`]: the database side of migrations, in Python too.
//! 6. [`observe`]: the view, shown to the world.
//! 7. [`control`]: the server side of the control socket.
//! 8. [`run`]: the shell: processes, sockets, time.
//! 9. [`cli`]: the command, which asks over that socket.
//!
//! Where is it decided… (names after a colon are files of that folder)
//!
//! | what | where |
//! | --- | --- |
//! | which keys there are, and what a change of one causes | `config`: the tables that `keys` lists; `plan`: `diff` |
//! | what is said of a key that there is not | `config`: `belongs`, with `meant` for the nearest |
//! | who may give which command | `supervise`: `commands`; `control`: `access` |
//! | what the core remembers, and what of it outlives ostlerd | `supervise::state`; `supervise`: `snapshot` |
//! | when a process is started, and when a failure is one too many | `supervise::pool`: `converge`, `failures` |
//! | when a worker hangs, is too slow or worn out | `supervise::pool`: `process`, asked by `facts` |
//! | which signal a process gets next | `supervise::pool`: `ladder` |
//! | where a rollout goes, and which generation serves if it fails | `supervise`: `rollout` |
//! | where the release link leads, and which release a rollback goes back to | `supervise::release`: `settle`, `record` |
//! | when a migration is given up | `supervise::migration`: `attempt`; carried out by `watchdog` |
//! | what is said of how a migration ended | `supervise::migration`: `judge` |
//! | how many workers the load takes | `supervise`: `scaling` |
//! | whether a start of ostlerd is a deployment | `run`: `jobs` asks systemd; `supervise`: `leaving`, `adopt`, `deploy` |
//! | whether health is good | `observe::health`: `judge` |

pub use ostler_core::{config, plan, supervise, worker};

pub mod cli;
pub mod control;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod migrate;
pub mod observe;
pub mod run;
