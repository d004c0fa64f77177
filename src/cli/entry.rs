//! What the command does with its arguments.

use std::ffi::OsString;

use clap::Parser;

use super::arguments::{Cli, Common, NAMES, Verb, default_socket};
use super::screen::{How, complain};
use super::verbs;
use crate::control::protocol::exit;

/// Parses the arguments and does what they say; gives the exit status. Prints to standard output and error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let asks_for_names = arguments.get(1).is_some_and(|it| it == NAMES);
    let cli = match Cli::try_parse_from(super::help::helped(arguments)) {
        Err(_) if asks_for_names => Cli { socket: None, json: false, verbose: false, verb: Verb::Events },
        Ok(cli) => cli,
        Err(error) => {
            // A reader that is gone wants no help.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { 0 };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("ostler: failed to start: {error}"));
            return exit::FAILED;
        }
    };
    let common = Common {
        socket: cli.socket.unwrap_or_else(default_socket),
        how: How { json: cli.json, verbose: cli.verbose },
    };
    let status = match asks_for_names {
        true => runtime.block_on(verbs::names(&common)),
        false => runtime.block_on(verbs::run(cli.verb, common)),
    };
    // A thread that still waits for something must not keep the command from ending.
    runtime.shutdown_background();
    status
}
