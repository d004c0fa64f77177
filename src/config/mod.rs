//! Text to types: what the files say, with every problem of every file reported at once.
//!
//! Read in this order: `key` (what a row of a table of keys is), the tables themselves (`app`, `probe`, `rollout`, `limits`, `migrate`,
//! `budgets`; `edge` and `health` of the machine), `kinds` (what a key may be), `values` and `names` (one value), `check` (walks a tree and
//! collects problems), `load` (finds the files), `assemble` (puts their apps together), `belongs` and `meant` (a key that is none),
//! `error`.

mod address;
mod app;
mod assemble;
mod belongs;
mod breaking;
mod budgets;
mod check;
mod database_url;
mod edge;
mod env_file;
mod error;
mod foreign;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod fuzzing;
mod health;
mod images;
mod key;
mod keys;
mod kinds;
mod limits;
mod load;
mod meant;
mod migrate;
mod names;
mod plural;
mod probe;
mod processes;
mod reference;
mod rollout;
mod source;
mod static_files;
mod types;
mod values;
mod visible;
mod whole;
mod workers;

#[cfg(test)]
pub(crate) mod tests;

pub use app::AppConfig;
pub use assemble::parse_app;
pub use breaking::Breaking;
pub use budgets::{Budgets, Override};
pub use database_url::{DatabaseUrl, is_database_url};
pub use edge::{Edge, Idle, Preset};
pub use env_file::parse_env_file;
pub use error::{Fault, Place, Problem, Problems, Spot};
pub use health::{HEALTH_DEFAULT, HealthConfig, Saturation};
pub use images::Volume;
pub use key::{Change, Key, Shape};
pub use keys::SHAPES;
pub use limits::{Limits, ProcessLimits, Resources};
pub use load::{load, no_app_left, no_apps_yet};
pub use migrate::MigrateConfig;
pub use probe::ProbeConfig;
pub use reference::{Digest, Reference};
pub use rollout::{RolloutPolicy, Surge};
pub use types::{Address, AppName, Listen, Origin};
pub use whole::Config;
pub use workers::{WorkerRange, Workers};

pub use foreign::{cannot_run, instead_of_class, own_program};
pub use load::open_regular;
pub use names::env_name_fault;
pub use plural::{agreed, counted, size_words};
pub use values::{parse_duration, parse_size, words};
pub use visible::{is_hidden, shortened, visible, visible_line};
pub use workers::WORKERS_MOST;
