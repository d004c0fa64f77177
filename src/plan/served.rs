//! What this machine serves, as somebody has to know it who configures the edge in front, or brings an app a release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Address, AppConfig, AppName, Config, HEALTH_DEFAULT, HealthConfig, Preset};
use crate::worker::{Settings, WorkerClass};

use super::edge::machine;
use super::types::AppPlan;

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// Every app, by name.
    pub apps: Vec<ServedApp>,
    /// Where health is answered.
    pub health: Vec<Address>,
    /// Where HAProxy's agent-check is answered.
    pub agent: Option<Address>,
    /// The file that keepalived tracks.
    pub track_file: Option<PathBuf>,
    /// What stands in front, as the main file says.
    pub preset: Preset,
    /// How long a machine that drains goes on serving for the edge's sake.
    pub delay: Duration,
}

/// One app. What only the app's interpreter can tell is `None` where it was not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServedApp {
    /// Its name.
    pub name: AppName,
    /// Its folder, as the file says it: the link is not resolved.
    pub directory: PathBuf,
    /// Whether processes of an image may write into it.
    #[serde(default)]
    pub image_writable: bool,
    /// Whom it runs as; `None` is whoever ostlerd runs as.
    pub user: Option<String>,
    /// Where it listens.
    pub listen: Vec<Address>,
    /// What its workers are.
    pub class: Option<WorkerClass>,
    /// gunicorn's version.
    pub gunicorn: Option<String>,
    /// How long a worker keeps an idle connection.
    pub keepalive: Option<Duration>,
    /// How long a request may take before its worker is replaced; `None` where nothing ends it.
    pub request_limit: Option<Duration>,
    /// Whom gunicorn believes what the edge says of the client: its `forwarded_allow_ips`.
    pub trusts: Option<Vec<String>>,
    /// The name under which clients ask for it, as far as the probe says so.
    pub host: Option<String>,
    /// Folders for the edge to serve, by the beginning of their paths.
    pub static_files: BTreeMap<String, PathBuf>,
}

/// What is known of an app that was looked at.
#[derive(Clone, Debug)]
pub struct SeenApp {
    /// What runs.
    pub plan: AppPlan,
    /// What its interpreter says.
    pub settings: Option<Settings>,
    /// Where it listens in fact.
    pub listeners: Vec<Address>,
}

/// What `config` and a look at its apps come to.
pub fn served(config: &Config, health: &HealthConfig, seen: &BTreeMap<AppName, SeenApp>) -> Served {
    let checks = health.listen.clone().unwrap_or_else(|| vec![Address::Tcp(HEALTH_DEFAULT)]);
    Served {
        apps: config.apps.values().map(|app| served_app(app, seen.get(&app.name))).collect(),
        health: checks,
        agent: health.agent.clone(),
        track_file: health.track_file.clone(),
        preset: config.edge.preset,
        delay: machine(&config.edge).edge_delay,
    }
}

fn served_app(app: &AppConfig, seen: Option<&SeenApp>) -> ServedApp {
    let blueprint = seen.map(|seen| &seen.plan.blueprint);
    let policy = seen.map(|seen| &seen.plan.policy);
    let listen = match (seen, blueprint) {
        (Some(seen), _) if !seen.listeners.is_empty() => seen.listeners.clone(),
        (_, Some(blueprint)) => blueprint.listen.iter().map(|it| it.address.clone()).collect(),
        _ => app.listen.clone(),
    };
    let class = blueprint.map(|it| it.class);
    // One request at a time: what ends a silent worker ends its request.
    let silence =
        policy.filter(|_| class.is_some_and(WorkerClass::answers_one)).and_then(|it| it.hang_timeout);
    let limits = match policy {
        Some(policy) => [policy.request_timeout, silence],
        None => [app.limits.request_timeout.filter(|limit| !limit.is_zero()), None],
    };
    ServedApp {
        name: app.name.clone(),
        directory: app.directory.clone(),
        image_writable: app.image_writable,
        user: app.user.clone(),
        listen,
        class,
        gunicorn: blueprint.map(|it| it.gunicorn.clone()),
        keepalive: policy.map(|it| it.keepalive),
        request_limit: limits.into_iter().flatten().min(),
        trusts: seen.and_then(|seen| seen.settings.as_ref()?.forwarded_allow_ips.clone()),
        host: app.probe.host.clone().filter(|host| host != "localhost"),
        static_files: app
            .static_files
            .iter()
            .map(|(prefix, folder)| (prefix.clone(), on_the_machine(app, folder)))
            .collect(),
    }
}

/// Where the machine has a folder of the app. An absolute one of an image is in there, or in a volume.
fn on_the_machine(app: &AppConfig, folder: &Path) -> PathBuf {
    let (Some(_), Ok(inside)) = (&app.image, folder.strip_prefix("/")) else {
        return app.directory.join(folder);
    };
    // The innermost volume last.
    let volumes = app.volumes.iter().rev();
    let mut rests = volumes.filter_map(|(at, volume)| Some((volume, folder.strip_prefix(at).ok()?)));
    match rests.next() {
        Some((volume, rest)) => volume.host.join(rest),
        None => app.directory.join("rootfs").join(inside),
    }
}
