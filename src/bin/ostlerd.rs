//! The daemon: arguments → configuration → runtime → run → exit status.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ostler::run::{
    Arguments, CheckCaller, DaemonPaths, check, exec_stop_post, handover, launch, launch_spec, run,
};

/// So long the end waits for what is being read or written still.
const HANGING: Duration = Duration::from_secs(2);

/// No more threads than this do what may block; more work than that waits.
const THREADS_MOST: usize = 64;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == launch_spec::ARGUMENT) {
        return launch::main();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to tell whom where stderr is closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    if let Some(file) = &arguments.check_handover {
        return match handover::check_state(file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let paths = paths(&arguments);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // Threads stay: where no process can be made any more, since some app takes them all, one that is there does the work. tokio
    // panics only if there is none.
    runtime.enable_all().thread_keep_alive(Duration::MAX).max_blocking_threads(THREADS_MOST);
    let runtime = runtime.build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start the event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    ostler::observe::init_log(std::env::var("OSTLER_LOG").ok().as_deref());
    if arguments.finish_stop {
        runtime.block_on(exec_stop_post::finish_stop(&paths));
        return ExitCode::SUCCESS;
    }
    if arguments.check {
        let caller = if arguments.for_caller { CheckCaller::Person } else { CheckCaller::Ostlerd };
        return ExitCode::from(runtime.block_on(check(&paths, caller)).tell(arguments.json));
    }
    let ended = runtime.block_on(run(&paths));
    // What still hangs then, on a file system that is dead, is left behind.
    runtime.shutdown_timeout(HANGING);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn paths(arguments: &Arguments) -> DaemonPaths {
    let given = |argument: &Option<PathBuf>, variable: &str, file: &str, default: &str| {
        argument.clone().unwrap_or_else(|| match std::env::var_os(variable) {
            // systemd gives a list where the unit names several; the first is ours.
            Some(list) if !list.is_empty() => {
                let first = list.to_string_lossy().split(':').next().map(PathBuf::from).unwrap_or_default();
                if file.is_empty() { first } else { first.join(file) }
            }
            _ => PathBuf::from(default),
        })
    };
    DaemonPaths {
        config: given(&arguments.config, "CONFIGURATION_DIRECTORY", "ostler.toml", "/etc/ostler/ostler.toml"),
        runtime: given(&arguments.runtime_dir, "RUNTIME_DIRECTORY", "", "/run/ostler"),
        state: given(&arguments.state_dir, "STATE_DIRECTORY", "", "/var/lib/ostler"),
    }
}
