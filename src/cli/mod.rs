//! The command `ostler`: what it takes, asks, shows and prints.
//!
//! Read in this order: `arguments`, `commands`, `entry` and `verbs` are what a person types; `client` asks ostlerd; `follow`, `live` and
//! `progress` show a change as it goes on; `table`, `history`, `pending` and `difference` show what there is, `top` all of
//! it at once; `images` brings a release from a registry; `edge` prints configurations of web servers, `import` reads those of gunicorn and others, `demo` shows ostler
//! to somebody new.

mod arguments;
mod client;
mod commands;
mod config_file;
mod demo;
mod difference;
mod edge;
mod entry;
mod error;
mod follow;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod help;
mod history;
mod images;
mod import;
mod live;
mod logs;
mod pending;
mod progress;
mod screen;
mod sentence;
mod served;
mod table;
mod top;
mod verbs;
mod verdict;

pub use arguments::Cli;
pub use client::{Client, ClientError, Feed};
pub use entry::run;
