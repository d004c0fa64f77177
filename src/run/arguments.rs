//! The arguments of ostlerd.

use std::path::PathBuf;

use clap::Parser;

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
pub struct Arguments {
    /// The main configuration file; apps are in `apps.d` beside it [default: $CONFIGURATION_DIRECTORY/ostler.toml or
    /// /etc/ostler/ostler.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sockets and scoreboards [default: $RUNTIME_DIRECTORY or /run/ostler]
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// What outlives a reboot [default: $STATE_DIRECTORY or /var/lib/ostler]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Check the configuration and every app's interpreter, start nothing
    #[arg(long)]
    pub check: bool,
    /// With --check: for whoever calls `ostler check`, as far as he may see
    #[arg(long, hide = true, requires = "check")]
    pub for_caller: bool,
    /// With --check: a line of JSON
    #[arg(long, hide = true, requires = "check")]
    pub json: bool,
    /// Only say whether this binary can take over what another ostlerd has written down in FILE
    #[arg(long, value_name = "FILE", hide = true)]
    pub check_handover: Option<PathBuf>,
    /// Only end what an ostlerd has left that died while systemd stopped it: for `ExecStopPost=`
    #[arg(long, hide = true)]
    pub finish_stop: bool,
}
