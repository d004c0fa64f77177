//! The command: see `ostler --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ostler::cli::run(std::env::args_os()))
}
