//! The configuration, checked: every value is within its rule, nothing is left to parse.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name of an app: 1 to 64 of `a-z A-Z 0-9 _ . -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

impl AppName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for AppName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if first && rest && text.len() <= 64 {
            Ok(AppName(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is no app name: 1 to 64 of a-z A-Z 0-9 _ . -, beginning with a letter or digit"
            ))
        }
    }
}

impl TryFrom<String> for AppName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> String {
        name.0
    }
}

/// Where an app listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listen {
    /// The address.
    pub address: Address,
    /// Of a Unix socket: its file's mode, default 0o666 so that an edge under another user can connect.
    pub mode: Option<u32>,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// Who has named it.
    #[serde(default)]
    pub origin: Origin,
}

/// Whoever has named it: an address that moves from gunicorn's settings to the app's file is no reason to replace workers.
impl PartialEq for Listen {
    fn eq(&self, other: &Listen) -> bool {
        (&self.address, self.mode, self.backlog) == (&other.address, other.mode, other.backlog)
    }
}

impl Eq for Listen {}

/// Who has named an address: what the app's own code names is done with the rights of the app's user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The app's file, which is root's word.
    #[default]
    File,
    /// gunicorn's settings, which the app's code has a say in.
    Code,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// `127.0.0.1:8000`, `[::1]:8000`.
    Tcp(SocketAddr),
    /// `unix:/run/ostler/shop.sock`.
    Unix(PathBuf),
    /// `systemd:NAME`: every socket that systemd passed under that name.
    Systemd(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// Every app, from the main file and from `apps.d`.
    pub apps: BTreeMap<AppName, App>,
    /// `[edge]`.
    pub edge: crate::config::Edge,
    /// `[health]` of the main file.
    pub health: HealthConfig,
}

/// `[health]`: where load balancers ask, and what they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthConfig {
    /// Where the checks are answered; `None` is [`HEALTH_DEFAULT`] where it is free, empty is nowhere.
    pub listen: Option<Vec<Address>>,
    /// Where HAProxy's agent-check is answered.
    pub agent: Option<Address>,
    /// The file that keepalived tracks.
    pub track_file: Option<PathBuf>,
    /// The file with the token that lets strangers see details.
    pub token_file: Option<PathBuf>,
    /// What lasting saturation does to readiness.
    pub saturation: Saturation,
}

/// Where health is answered unless the file says otherwise.
pub const HEALTH_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);

/// What it means for readiness that an app has more to do than it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Saturation {
    /// Nothing: it is shown as a warning.
    #[default]
    Warn,
    /// After 10 s of it the app is not ready.
    Fail,
}

/// One app as configured; `None` where the file does not say (gunicorn's own settings or a default decide).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// The file that it stands in.
    pub file: PathBuf,
    /// The directory as written, links unresolved.
    pub directory: PathBuf,
    /// The interpreter as written.
    pub python: PathBuf,
    /// `module:attribute`.
    pub entry: String,
    /// Addresses; empty where gunicorn's `bind` decides.
    pub listen: Vec<Address>,
    /// Mode of Unix sockets.
    pub socket_mode: Option<u32>,
    /// Accept queue.
    pub backlog: Option<u32>,
    /// The user to run as.
    pub user: Option<String>,
    /// The primary group, default the user's.
    pub group: Option<String>,
    /// How many workers.
    pub workers: Option<Workers>,
    /// Gunicorn's arguments.
    pub args: Vec<String>,
    /// Environment from the file.
    pub env: BTreeMap<String, String>,
    /// Files with more environment, `NAME=value` lines; `env` wins.
    pub env_files: Vec<PathBuf>,
    /// The mask for the workers' files, default 0o022.
    pub umask: Option<u32>,
    /// Output file; default ostlerd's stderr.
    pub log_file: Option<PathBuf>,
    /// Whether the machine counts as ready without it, default no.
    pub optional: bool,
    /// Ready workers that it takes for the app to be ready, default 1.
    pub min_ready: Option<u32>,
    /// Whether workers are forked from a process that has loaded the app; `None` leaves it to gunicorn's `preload_app`.
    pub preload: Option<bool>,
    /// Whether set-user-id programs (sudo, postdrop) stay without effect for its processes.
    #[serde(default = "on")]
    pub no_new_privileges: bool,
    /// `[probe]`.
    pub probe: ProbeConfig,
    /// `[rollout]`.
    pub rollout: RolloutConfig,
    /// `[limits]`.
    pub limits: Limits,
    /// `[migrate]`.
    pub migrate: crate::config::MigrateConfig,
    /// `static`: folders that the edge serves itself, by the beginning of their paths.
    #[serde(default)]
    pub static_files: BTreeMap<String, PathBuf>,
}

/// A number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workers {
    /// So many.
    Count(u32),
    /// 2 × CPUs + 1.
    Auto,
    /// As many as the load needs.
    Range(WorkersRange),
}

/// `workers = { min = 2, max = 16 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkersRange {
    /// Never fewer, 1 to 1000.
    pub min: u32,
    /// Never more, `min` to 1000.
    pub max: u32,
    /// How long there must have been too little to do before there is one less; default 5 min.
    pub idle: Option<Duration>,
}

/// `[probe]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeConfig {
    /// Whether there is a probe at all; default true.
    pub enabled: bool,
    /// Path with query; by default `/`, by a milder rule.
    pub path: Option<String>,
    /// Host header; by default one that the app accepts, as far as that can be known.
    pub host: Option<String>,
    /// `http` or `https` (`X-Forwarded-Proto`); default `http`.
    pub scheme: String,
    /// Default 10 s.
    pub timeout: Duration,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(10);
        ProbeConfig { enabled: true, path: None, host: None, scheme: "http".to_owned(), timeout }
    }
}

impl ProbeConfig {
    /// What proves a new worker, in words.
    pub fn proof(&self) -> String {
        let loads = "each new worker loads the app, its URLs too if it is Django's";
        match &self.path {
            _ if !self.enabled => loads.to_owned(),
            Some(path) => format!("{loads}, and answers {path} below 400"),
            None => format!("{loads}, and answers / below 500, or no worse than what serves"),
        }
    }
}

/// `[rollout]`; `None` is the default of DESIGN section 7.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutConfig {
    /// Extra workers, default 1.
    pub max_surge: Option<crate::config::SurgeConfig>,
    /// Default 60 s.
    pub boot_timeout: Option<Duration>,
    /// Default 2.
    pub max_boot_failures: Option<u32>,
    /// Default 2 s.
    pub settle: Option<Duration>,
}

/// `max_surge = 1` or `"50%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SurgeConfig {
    /// A count of workers.
    Workers(u32),
    /// A percentage of the wanted number.
    Percent(u32),
}

/// `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of resident memory; the worker is recycled after its requests.
    pub max_rss: Option<u64>,
    /// Requests per worker.
    pub max_requests: Option<u64>,
    /// Random extra.
    pub max_requests_jitter: Option<u64>,
    /// Age of a worker.
    pub max_age: Option<Duration>,
    /// Age of a request.
    pub request_timeout: Option<Duration>,
    /// Heartbeat age; gunicorn's `timeout`.
    pub timeout: Option<Duration>,
    /// Gunicorn's `graceful_timeout`.
    pub graceful_timeout: Option<Duration>,
    /// Unexpected deaths made good at once, default 60 or 15 for each worker, whichever is more.
    pub restarts_per_minute: Option<u32>,
    /// RLIMIT_NOFILE.
    pub nofile: Option<u64>,
    /// Bytes of the whole app above which the kernel slows it down and takes memory back.
    pub memory_high: Option<u64>,
    /// Bytes of the whole app above which the kernel kills one of its processes.
    pub memory_max: Option<u64>,
    /// Its share of a busy processor; the kernel's own is 100.
    pub cpu_weight: Option<u64>,
    /// Processes and threads of the whole app.
    pub tasks_max: Option<u64>,
}

impl Config {
    /// `apps.d` beside the main file.
    pub fn apps_dir(file: &Path) -> PathBuf {
        file.parent().unwrap_or(Path::new("/")).join("apps.d")
    }
}

/// What a field is that an earlier ostlerd did not write down.
fn on() -> bool {
    true
}
