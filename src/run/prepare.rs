//! From a configured app to what can be run: looks at the release and asks its interpreter. Slow, so it runs as a task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::children::Children;
use super::inspect::Inspection;
use super::inspected::{InspectedApp, InspectedApps, InspectedConfig, InspectionRecord};
use super::inspection_error::InspectionError;
use super::warm::Interpreters;
use super::{files, first_image, identity, log_file, machine, release_files};
use crate::config::{self, AppConfig, AppName, Config, Edge, Problems};
use crate::plan::{self, Account, AppPlan, EnvFile, Facts, Fingerprint, Refusal, ReleasePaths};
use crate::worker::Settings;

/// Reads the configuration and prepares one app of it, from the release that is there now.
pub(super) async fn one(children: &Children, file: &Path, name: &AppName) -> Result<InspectedApp, Refusal> {
    let config = read_apart(file).await?;
    Ok(app_of(&Interpreters::fresh(children), named(&config, name)?, None, &config.edge).await?)
}

/// The same, for an app that is to run: if it has no release yet, its image is pulled.
pub(super) async fn one_to_run(
    children: &Children,
    file: &Path,
    name: &AppName,
) -> Result<InspectedApp, Refusal> {
    let config = read_apart(file).await?;
    let app = named(&config, name)?;
    if apart(app, files::FEW, |app| Ok(first_image::is_missing(app))).await? {
        first_image::pull(children, file, app).await?;
    }
    Ok(app_of(&Interpreters::fresh(children), app, None, &config.edge).await?)
}

fn named<'a>(config: &'a Config, name: &AppName) -> Result<&'a AppConfig, Refusal> {
    config.apps.get(name).ok_or_else(|| {
        Refusal::new(format!("{name} is no longer in the configuration; `ostler reload` removes it"))
    })
}

/// Reads the configuration and prepares every app of it; one that cannot be refuses them all, but where its files hang, or it is
/// in `records` and configured as it was: that is no fault of the configuration, and its user may have brought it about. Apps that
/// are in `records` keep their release. Where apps run, one without any is refused as well: it is likelier that a folder is not mounted.
pub(super) async fn all_or_nothing(
    children: &Children,
    file: &Path,
    records: &BTreeMap<AppName, InspectionRecord>,
    apps_run: bool,
) -> Result<InspectedConfig, Refusal> {
    let config = read_apart(file).await?;
    if config.apps.is_empty() && apps_run {
        return Err(refusal(config::no_app_left(file)));
    }
    let (mut apps, mut held) = (BTreeMap::new(), BTreeMap::new());
    for (name, looked) in all(children, &config, records).await {
        match looked {
            Ok(looked) => drop(apps.insert(name, looked)),
            Err(InspectionError::Held(refusal)) => drop(held.insert(name, refusal)),
            Err(InspectionError::Refused(refusal)) => {
                let as_it_was =
                    records.get(&name).is_some_and(|record| config.apps.get(&name) == Some(&record.app));
                if !as_it_was {
                    return Err(refusal);
                }
                held.insert(name, refusal);
            }
        }
    }
    let (machine, health) = (plan::machine(&config.edge), config.health.clone());
    Ok(InspectedConfig { machine, health, apps, held, config: Arc::new(config) })
}

/// Prepares every app of the configuration, each for itself, a few at a time.
pub(super) async fn all(
    children: &Children,
    config: &Config,
    records: &BTreeMap<AppName, InspectionRecord>,
) -> InspectedApps {
    let is_new = |app: &&AppConfig| records.get(&app.name).is_none_or(|record| record.app != **app);
    let (new, others): (Vec<&AppConfig>, Vec<&AppConfig>) = config.apps.values().partition(is_new);
    let others = others.into_iter().map(|app| (app, Interpreters::fresh(children)));
    let looks = others.chain(Interpreters::among(children, new.into_iter())).map(|(app, interpreters)| {
        let (app, edge) = (app.clone(), config.edge);
        let record = records.get(&app.name).cloned();
        async move { (app.name.clone(), app_of(&interpreters, &app, record.as_ref(), &edge).await) }
    });
    a_few_at_a_time(looks).await.into_iter().collect()
}

/// Runs all of them, as many at once as there are CPUs: each starts an interpreter. In the order in which they end.
pub(super) async fn a_few_at_a_time<T: Send + 'static>(
    mut looks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (mut ended, mut tasks) = (Vec::new(), tokio::task::JoinSet::new());
    let at_once = machine::cpus().max(1) as usize;
    loop {
        while tasks.len() < at_once
            && let Some(look) = looks.next()
        {
            tasks.spawn(look);
        }
        match tasks.join_next().await {
            Some(Ok(found)) => ended.push(found),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => return ended,
        }
    }
}

/// Reads the configuration's files.
pub(super) fn read(file: &Path) -> Result<Config, Problems> {
    config::load(file, identity::own_account().uid == 0)
}

/// The same where the loop goes on: a folder of it may be on a network file system.
async fn read_apart(file: &Path) -> Result<Config, Refusal> {
    let file = file.to_owned();
    let look = move || {
        files::at(&file);
        read(&file).map_err(refusal)
    };
    files::within("the configuration".to_owned(), files::FEW, look).await?
}

fn refusal(problems: Problems) -> Refusal {
    Refusal { detail: problems.to_string(), ..Refusal::new(problems.summary()) }
}

/// Looks at one app from nothing, and keeps nothing of what it finds.
pub(super) async fn all_of(by: &Interpreters, app: &AppConfig, edge: &Edge) -> Result<AppPlan, Refusal> {
    Ok(app_of(by, app, None, edge).await?.plan)
}

/// What is known not to run is not tried: its interpreter would say less.
pub(super) fn may_run(app: &AppConfig) -> Result<(), Refusal> {
    config::cannot_run(app).map_or(Ok(()), |why| Err(Refusal::new(why)))
}

async fn app_of(
    by: &Interpreters,
    app: &AppConfig,
    record: Option<&InspectionRecord>,
    edge: &Edge,
) -> Result<InspectedApp, InspectionError> {
    // Some name it themselves.
    let named = |refusal: Refusal| {
        let own = format!("{}: ", app.name);
        let reason = match refusal.reason.strip_prefix(&own) {
            Some(_) => refusal.reason,
            None => own + &refusal.reason,
        };
        Refusal { reason, ..refusal }
    };
    may_run(app).map_err(named)?;
    let looked = look(by, app, record).await.map_err(|why| why.map(named))?;
    if !app.no_new_privileges && nix::sys::prctl::get_no_new_privs().unwrap_or(false) {
        let app = app.name.as_str();
        tracing::warn!(
            app,
            "no_new_privileges = false has no effect: ostlerd itself was started without the right to gain privileges"
        );
    }
    if let Some(finding) = plan::keepalive_finding(edge, &looked.plan) {
        tracing::warn!(app = app.name.as_str(), "{finding}");
    }
    Ok(looked)
}

/// What belongs to the app may hang.
async fn apart<T: Send + 'static>(
    app: &AppConfig,
    limit: Duration,
    look: impl FnOnce(&AppConfig) -> Result<T, InspectionError> + Send + 'static,
) -> Result<T, InspectionError> {
    let (purpose, app) = (app.name.to_string(), app.clone());
    let looked = files::within(purpose, limit, move || look(&app)).await;
    looked.map_err(|held| InspectionError::Held(held.into()))?
}

fn resolve(app: &AppConfig) -> Result<ReleasePaths, InspectionError> {
    if first_image::is_missing(app) {
        return Err(InspectionError::Held(first_image::awaited(app)));
    }
    Ok(release_files::resolve(app)?)
}

async fn look(
    by: &Interpreters,
    app: &AppConfig,
    record: Option<&InspectionRecord>,
) -> Result<InspectedApp, InspectionError> {
    let again = record.cloned();
    let kept = apart(app, files::FEW, move |app| Ok(again.and_then(|record| record.paths(app)))).await?;
    let Some(kept) = kept else {
        let paths = apart(app, files::FEW, resolve).await?;
        return look_in(by, app, None, paths).await;
    };
    let serving = kept.directory.clone();
    match look_in(by, app, record, kept).await {
        Ok(looked) => Ok(looked),
        Err(InspectionError::Held(refusal)) => Err(InspectionError::Held(refusal)),
        Err(InspectionError::Refused(refusal)) => Err(for_another_release(by, app, &serving, refusal).await),
    }
}

/// What does not fit the release that serves may have been written for the one that the link leads to now.
async fn for_another_release(
    by: &Interpreters,
    app: &AppConfig,
    serving: &Path,
    refusal: Refusal,
) -> InspectionError {
    let now = match apart(app, files::FEW, resolve).await {
        Ok(paths) if paths.directory != serving => paths,
        _ => return refusal.into(),
    };
    let (name, serving, directory) = (&app.name, serving.display(), now.directory.clone());
    match look_in(by, app, None, now).await {
        Ok(_) => InspectionError::Refused(Refusal::new(format!(
            "the files fit the release that is there now, {}, and not the one that serves, {serving}; \
             `ostler restart {name}` brings in both",
            directory.display()
        ))),
        // Neither fits: what is to be mended is in the newer one.
        Err(refusal) => refusal,
    }
}

async fn look_in(
    by: &Interpreters,
    app: &AppConfig,
    record: Option<&InspectionRecord>,
    paths: ReleasePaths,
) -> Result<InspectedApp, InspectionError> {
    let asked = apart(app, files::FEW, move |app| InspectionFacts::about(app, paths)).await?;
    if let Some(record) = record
        && asked.inspection == record.inspection
    {
        let as_it_is = record.blueprint.release;
        let (same, _) = asked.clone().decide(app, record.settings.clone(), as_it_is)?;
        if same.plan.blueprint == record.blueprint {
            return Ok(same);
        }
    }
    // New workers read the release as it is now, so it is looked at anew for them.
    let pinned = asked.paths.python.clone();
    let (is_image, written) = (asked.paths.image.is_some(), app.python.clone().unwrap_or_default());
    let interpreter = move |_: &AppConfig| {
        // That of an image was looked for in there.
        let found = if is_image { Ok(()) } else { release_files::interpreter(&pinned) };
        Ok(found.map_err(|refusal| release_files::as_written(refusal, &written, &pinned))?)
    };
    apart(app, files::FEW, interpreter).await?;
    let directory = asked.paths.directory.clone();
    let release = apart(app, files::WHOLE, move |_| Ok(release_files::fingerprint(&directory)));
    let (settings, release) = tokio::join!(by.inspect(&asked.inspection), release);
    let (settings, release) = (settings?, release?);
    let (looked, notes) = asked.decide(app, settings, release)?;
    for note in notes {
        tracing::info!(app = app.name.as_str(), "{note}");
    }
    Ok(looked)
}

/// All that is found without the interpreter.
#[derive(Clone)]
struct InspectionFacts {
    paths: ReleasePaths,
    own: Account,
    account: Option<Account>,
    env_files: Vec<EnvFile>,
    inspection: Inspection,
    manage_py: bool,
}

impl InspectionFacts {
    fn about(app: &AppConfig, paths: ReleasePaths) -> Result<InspectionFacts, InspectionError> {
        let own = identity::own_account();
        let account = identity::account_of(app, &own)?;
        let as_written = |refusal: Refusal| {
            let pairs = app.env_files.iter().zip(&paths.env_files);
            let named = |(_, pinned): &(_, &PathBuf)| refusal.reason.contains(&*pinned.to_string_lossy());
            match pairs.into_iter().find(named) {
                Some((written, pinned)) => release_files::as_written(refusal, written, pinned),
                None => refusal,
            }
        };
        let env_files = release_files::read_env_files(&paths.env_files, account.as_ref());
        let env_files = env_files.map_err(|why| why.map(as_written))?;
        log_file::fits(app, &paths)?;
        let env = plan::environment(app, &paths, account.as_ref().unwrap_or(&own), &env_files)?;
        let inspection = Inspection {
            app: app.name.clone(),
            python: paths.python.clone(),
            directory: paths.code().to_owned(),
            entry: app.entry.clone(),
            args: app.args.clone(),
            env,
            account: account.clone(),
            umask: app.umask.unwrap_or(0o022),
            image: plan::image(app, &paths, account.as_ref())?,
        };
        let manage_py = release_files::has_manage_py(&paths);
        Ok(InspectionFacts { paths, own, account, env_files, inspection, manage_py })
    }

    fn decide(
        self,
        app: &AppConfig,
        settings: Settings,
        release: Fingerprint,
    ) -> Result<(InspectedApp, Vec<String>), Refusal> {
        let InspectionFacts { paths, own, account, env_files, inspection, manage_py } = self;
        let cpus = machine::cpus();
        let unprivileged_port = machine::unprivileged_port();
        let facts =
            Facts { settings, paths, account, own, cpus, env_files, release, unprivileged_port, manage_py };
        let (prepared, notes) = plan::prepare(app, &facts);
        let plan = prepared?;
        let Facts { settings, paths, .. } = facts;
        let blueprint = plan.blueprint.clone();
        let record = InspectionRecord { app: app.clone(), paths, inspection, settings, blueprint };
        Ok((InspectedApp { plan, record }, notes))
    }
}
