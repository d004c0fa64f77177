//! From a configured app to what can be run: looks at the release and asks its interpreter. Slow, so it runs as a task.

use std::path::Path;

use super::inspect::{Inspection, inspect};
use super::process::Children;
use super::{identity, world};
use crate::config::{self, App, AppName, Config, Edge, Problems};
use crate::plan::{self, Facts, Plan, Prepared, Refusal};

/// Reads the configuration and prepares one app of it.
pub(super) async fn one(children: &Children, file: &Path, name: &AppName) -> Prepared {
    let config = read(file).map_err(refusal)?;
    let Some(app) = config.apps.get(name) else {
        let reason = format!("{name} is no longer in the configuration; `ostler reload` removes it");
        return Err(Refusal { reason, detail: String::new() });
    };
    app_of(children, app, &config.edge).await
}

/// Reads the configuration and prepares every app of it; one that cannot be refuses them all.
pub(super) async fn all_or_nothing(children: &Children, file: &Path) -> Result<Plan, Refusal> {
    let config = read(file).map_err(refusal)?;
    let plan = all(children, &config).await;
    match plan.apps.values().find_map(|prepared| prepared.as_ref().err()) {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(plan),
    }
}

/// Prepares every app of the configuration, each for itself, a few at a time.
pub(super) async fn all(children: &Children, config: &Config) -> Plan {
    let mut plan = Plan { machine: plan::machine(&config.edge), ..Plan::default() };
    let mut apps = config.apps.values();
    let mut tasks = tokio::task::JoinSet::new();
    let at_once = world::cpus().max(1) as usize;
    loop {
        while tasks.len() < at_once
            && let Some(app) = apps.next()
        {
            let (children, app, edge) = (children.clone(), app.clone(), config.edge);
            tasks.spawn(async move { (app.name.clone(), app_of(&children, &app, &edge).await) });
        }
        match tasks.join_next().await {
            Some(Ok((name, prepared))) => plan.apps.insert(name, prepared),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => return plan,
        };
    }
}

/// Reads the configuration's files.
pub(super) fn read(file: &Path) -> Result<Config, Problems> {
    config::load(file, identity::own_account().uid == 0)
}

fn refusal(problems: Problems) -> Refusal {
    Refusal { reason: problems.summary(), detail: problems.to_string() }
}

async fn app_of(children: &Children, app: &App, edge: &Edge) -> Prepared {
    let named = |refusal: Refusal| Refusal { reason: format!("{}: {}", app.name, refusal.reason), ..refusal };
    look(children, app, edge).await.map_err(named)
}

async fn look(children: &Children, app: &App, edge: &Edge) -> Prepared {
    let paths = world::resolve(app)?;
    let own = identity::own_account();
    let account = identity::account_of(app, &own)?;
    let env_files = world::read_env_files(&paths.env_files, account.as_ref())?;
    let env = plan::environment(app, &paths.python, account.as_ref().unwrap_or(&own), &env_files)?;
    let directory = paths.directory.clone();
    let release = tokio::task::spawn_blocking(move || world::fingerprint(&directory));
    let inspection = Inspection {
        app: app.name.clone(),
        python: paths.python.clone(),
        directory: paths.directory.clone(),
        entry: app.entry.clone(),
        args: app.args.clone(),
        env,
        account: account.clone(),
        umask: app.umask.unwrap_or(0o022),
    };
    let settings = inspect(children, &inspection).await?;
    let release = release.await.expect("looking at files does not panic");
    let facts = Facts { settings, paths, account, own, cpus: world::cpus(), env_files, release };
    let (prepared, notes) = plan::prepare(app, &facts);
    for note in notes {
        tracing::info!(app = app.name.as_str(), "{note}");
    }
    if let Some(finding) = prepared.as_ref().ok().and_then(|plan| plan::keepalive_finding(edge, plan)) {
        tracing::warn!(app = app.name.as_str(), "{finding}");
    }
    prepared
}
