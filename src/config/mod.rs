//! Text to types: what the files say, with every problem of every file reported at once.
//!
//! Read in this order: `types`, `load` (finds the files), `assemble` (puts their apps together), `app` (one app, with `migrate`),
//! `check` (walks a tree and collects problems), `values` and `names` (one value), `keys`, `belongs` (a key in the wrong place), `error`.

mod address;
mod app;
mod assemble;
mod belongs;
mod breaking;
mod check;
mod database_url;
mod edge;
mod env_file;
mod error;
mod foreign;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod fuzzing;
mod health;
mod keys;
mod load;
mod migrate;
mod names;
mod plural;
mod source;
mod static_files;
mod types;
mod values;
mod visible;
mod workers;

#[cfg(test)]
mod tests;

pub use assemble::parse_app;
pub use breaking::Breaking;
pub use database_url::DatabaseUrl;
pub use edge::{Edge, Preset};
pub use env_file::parse_env_file;
pub use error::{Fault, Place, Problem, Problems, Spot};
pub use load::{load, no_app_left, no_apps_yet};
pub use migrate::{MigrateConfig, OverrideConfig};
pub use types::{
    Address, App, AppName, Config, HEALTH_DEFAULT, HealthConfig, Limits, Listen, Origin, ProbeConfig,
    RolloutConfig, Saturation, SurgeConfig, Workers, WorkersRange,
};

pub use foreign::{cannot_run, instead_of_class, own_program};
pub use load::open_regular;
pub use migrate::is_database_url;
pub use names::env_name_fault;
pub use plural::{agreed, counted, size_words};
pub use source::shortened;
pub use values::{WORKERS_MOST, parse_duration, parse_size, words};
pub use visible::{is_hidden, visible, visible_line};
