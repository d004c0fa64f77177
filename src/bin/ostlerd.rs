//! The daemon: arguments → configuration → runtime → run → exit status.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ostler::run::{Places, aftermath, check, handover, launch, run};

/// Runs the gunicorn workers of this machine's Python web apps.
///
/// Stays in the foreground; managed with `systemctl` where it is installed as a service, and with `ostler`.
#[derive(Debug, Parser)]
#[command(
    name = "ostlerd",
    version,
    after_help = "\
Signals: TERM, INT stop gracefully (a second INT at once); HUP rereads the configuration and restarts what changed;\n\
USR1 reopens the apps' log files; USR2 runs the binary on disk in place of this one, workers going on; TTIN, TTOU add and take a worker of the only app.\n\
Exit status: 0 stopped as asked, 1 failed, 64 usage, 75 another ostlerd runs, 78 configuration."
)]
struct Arguments {
    /// The main configuration file; apps are in `apps.d` beside it [default: $CONFIGURATION_DIRECTORY/ostler.toml or
    /// /etc/ostler/ostler.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sockets and scoreboards [default: $RUNTIME_DIRECTORY or /run/ostler]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// What outlives a reboot [default: $STATE_DIRECTORY or /var/lib/ostler]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Check the configuration and every app's interpreter, start nothing
    #[arg(long)]
    check: bool,
    /// Only say whether this binary can take over what another ostlerd has written down in FILE
    #[arg(long, value_name = "FILE", hide = true)]
    check_handover: Option<PathBuf>,
    /// Only end what an ostlerd has left that died while systemd stopped it: for `ExecStopPost=`
    #[arg(long, hide = true)]
    finish_stop: bool,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == launch::ARGUMENT) {
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
    let (places, only_check) = (places(&arguments), arguments.check);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start the event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    ostler::observe::init_log(std::env::var("OSTLER_LOG").ok().as_deref());
    if arguments.finish_stop {
        runtime.block_on(aftermath::finish_stop(&places));
        return ExitCode::SUCCESS;
    }
    let ended = runtime.block_on(async {
        if only_check {
            return check(&places).await.map(|config| {
                println!("{}: {} apps, all can be run", config.file.display(), config.apps.len());
            });
        }
        run(&places).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn places(arguments: &Arguments) -> Places {
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
    Places {
        config: given(&arguments.config, "CONFIGURATION_DIRECTORY", "ostler.toml", "/etc/ostler/ostler.toml"),
        runtime: given(&arguments.runtime_dir, "RUNTIME_DIRECTORY", "", "/run/ostler"),
        state: given(&arguments.state_dir, "STATE_DIRECTORY", "", "/var/lib/ostler"),
    }
}
