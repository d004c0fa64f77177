//! The command's arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::commands::CommandVerb;
use super::edge::{Cdn, Host, Peer, Program, Special};
use super::images::Images;
use super::import::Import;
use super::logs::Logs;
use super::screen::How;

/// Where ostlerd listens when nothing says otherwise.
const SOCKET: &str = "/run/ostler/control.sock";

/// What completions say to get the apps' names: no verb, and for nobody else.
pub(super) const NAMES: &str = "__apps";

const EXIT_STATUSES: &str = "\
Exit status:
  0   done
  1   failed: rolled back, not migrated, or (status) something is wrong
  64  usage: no such verb, app, release or number
  69  ostlerd is not reachable
  75  refused for now: try again
  77  not allowed
  78  the configuration cannot be used";

/// Runs and watches the workers of Python web applications, through ostlerd.
#[derive(Clone, Debug, Parser)]
#[command(name = "ostler", version, after_help = EXIT_STATUSES, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// ostlerd's control socket [default: $OSTLER_SOCKET, $RUNTIME_DIRECTORY/control.sock or
    /// /run/ostler/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,

    /// Print JSON: for programs
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Show tracebacks whole, with the frames of libraries
    #[arg(long, global = true)]
    pub(super) verbose: bool,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the apps and their workers
    ///
    /// Exits 1 where an app is failed or degraded, where an app's last rollout was rolled back or its last
    /// migration did not succeed, or where the configuration's files were refused; 0 otherwise. With APP, only that app counts, and the configuration.
    Status {
        /// Only this app
        app: Option<String>,
    },
    /// Show the same live: rates, the listen queue, what is under way; with keys for restart, scale and drain
    ///
    /// Needs a terminal. `?` shows the keys; everything that changes something asks first. It stays through a restart of
    /// ostlerd, and shows what was last seen meanwhile. Quitting it does not interrupt what is under way.
    Top,
    #[command(flatten)]
    Command(CommandVerb),
    /// List the image releases of the apps: what was pulled when, what serves, what was before
    ///
    /// `ostler restart APP --image REF` pulls an image and rolls it out. Everything is done with the rights of the app's user,
    /// whom root becomes; others get exit status 77. Needs skopeo and umoci.
    Images(Images),
    /// Wait for the rollouts that are under way, and tell how they, or the last ones, ended
    ///
    /// Exits 0 where everything that was rolled out serves, 1 where a rollout was rolled back or refused, or an app
    /// is failed. With APP, only that app counts. A restart of ostlerd meanwhile is waited for.
    Wait {
        /// Only this app
        app: Option<String>,
    },
    /// Check the configuration's files, and what they name: users, folders, interpreters, gunicorn's settings
    ///
    /// Nothing is started, and no ostlerd has to run. Root sees everything; anybody else is told what was not checked.
    Check {
        /// The main file
        #[arg(default_value = super::config_file::MAIN)]
        file: PathBuf,
    },
    /// Turn a gunicorn.service, Procfile, section of supervisord's, start script, Dockerfile or compose file into an app's file
    ///
    /// Prints the file, with comments on everything that is not in it, why, and what to do. Nothing is run, and gunicorn.conf.py
    /// stays what it is. What no file says is asked for: exit 1 names the options to give. Needs no ostlerd.
    Import(Import),
    /// Show what an app's processes have written, from the journal or from its log file
    ///
    /// From the journal it is shown by journalctl: workers, what they start, both outputs. From a `log_file` it is shown by
    /// tail. What ostlerd itself reports of the app, and what its migrations print, is under `journalctl OSTLER_APP=APP`. Works
    /// without a running ostlerd. Who may read the journal, or the file, may use it. Exits 0 also if nothing was written yet.
    Logs(Logs),
    /// Show what happens, as it happens; ends only with ostlerd
    Events,
    /// Print the configuration of what stands in front, for the apps that run here
    ///
    /// A whole file with comments, on standard output; what does not fit is said on standard error too. It is made from
    /// what ostlerd knows: listeners, worker classes, keep-alive, time limits, where health is answered, `static`.
    #[command(after_help = super::edge::examples())]
    Edge(Box<EdgeArguments>),
    /// Make a small Django project, run it in the foreground, and say what to try
    Demo(Demo),
}

#[derive(Clone, Debug, Args)]
pub(super) struct EdgeArguments {
    /// The program in front
    #[arg(value_enum)]
    pub(super) program: &'static Program,
    /// Only this app [default: all]
    pub(super) app: Option<String>,
    /// Another server that runs the same apps, as the edge reaches it; once for each. Without a port, each app's own
    #[arg(long = "peer", value_name = "HOST[:PORT]", value_parser = super::edge::peer)]
    pub(super) peers: Vec<Peer>,
    /// How the edge reaches this server, where it runs on another machine [default: it runs on this one]
    #[arg(long = "self", value_name = "HOST[:PORT]", value_parser = super::edge::peer)]
    pub(super) own: Option<Peer>,
    /// A name of the site, or APP=NAME where there are several apps [default: `host` of the app's probe]
    #[arg(long = "host", value_name = "NAME", value_parser = super::edge::host)]
    pub(super) hosts: Vec<Host>,
    #[arg(long, help = super::edge::about_no_tls(), conflicts_with_all = ["cert", "key", "email"])]
    pub(super) no_tls: bool,
    /// A certificate of your own, with its chain
    #[arg(long, value_name = "FILE", conflicts_with = "email")]
    pub(super) cert: Option<PathBuf>,
    /// Its key [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Whom the issuer of certificates warns
    #[arg(long, value_name = "ADDRESS", value_parser = super::edge::email)]
    pub(super) email: Option<String>,
    /// What stands in front of the edge, and tells it who the client is
    #[arg(long)]
    pub(super) cdn: Option<Cdn>,
    /// The largest body of a request
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = size)]
    pub(super) max_body: u64,
    /// The address at which the edge listens [default: every one]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<std::net::IpAddr>,
    /// Its port for plain HTTP
    #[arg(long, value_name = "PORT", default_value = "80", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) http_port: u16,
    /// Its port for TLS
    #[arg(long, value_name = "PORT", default_value = "443", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) https_port: u16,
    #[arg(long, help = super::edge::about_check_every(), value_name = "DURATION", value_parser = period)]
    pub(super) check_every: Option<Duration>,
    #[command(flatten)]
    pub(super) special: Special,
    /// Ask no ostlerd: go by this main file and its apps.d, which know neither worker class nor keep-alive
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Demo {
    /// Show it all by itself: load, a deployment, a release that does not import; exit 0 if no request was lost
    #[arg(long)]
    pub(super) once: bool,
    /// Make it in this folder and keep it [default: a temporary folder, removed at the end]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// The Python to make the virtual environment with [default: /usr/bin/python3, or python3 in PATH]
    #[arg(long, value_name = "PATH")]
    pub(super) python: Option<PathBuf>,
}

/// What every verb works with.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) socket: PathBuf,
    pub(super) how: How,
}

/// `200ms`, `30s`.
fn period(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(50)..=Duration::from_secs(3600);
    match crate::config::parse_duration(text) {
        Some(period) if range.contains(&period) => Ok(period),
        Some(_) => Err("must be 50ms at least and 1h at most".to_owned()),
        None => Err("write for example 500ms, 2s or 30s".to_owned()),
    }
}

/// `10MiB`.
fn size(text: &str) -> Result<u64, String> {
    match crate::config::parse_size(text) {
        Some(size) if (1..=1 << 40).contains(&size) => Ok(size),
        Some(_) => Err("must be 1 byte at least and 1 TiB at most".to_owned()),
        None => Err("write for example 512KiB, 10MiB or 2GB".to_owned()),
    }
}

pub(super) fn default_socket() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(socket) = set("OSTLER_SOCKET") {
        return socket.into();
    }
    match set("RUNTIME_DIRECTORY") {
        Some(directory) => PathBuf::from(directory).join("control.sock"),
        None => SOCKET.into(),
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
