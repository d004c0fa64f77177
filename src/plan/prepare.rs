//! An app's configuration and the facts about it, turned into what to run; or the reason why not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{AppConfig, ProbeConfig, shortened};
use crate::worker::{Answers, Hook, Settings, WorkerClass};

use super::environment::environment;
use super::facts::{Facts, ReleasePaths};
use super::types::{Account, AppPlan, Blueprint, ImageRoot, Preload, Prepared, Probe, Refusal};
use super::{migration, policy, sockets, support};

/// Most notes that one app's interpreter may cause in the log.
const NOTES_MOST: usize = 32;

/// More threads in one worker nobody has.
const THREADS_MOST: u32 = 100_000;

/// What to run for `app`, and what its owner should know: one sentence each, beginning with the app's name.
///
/// The configuration's word counts first, then gunicorn's own settings, then a default. The settings come from
/// the app's interpreter and are trusted in nothing: every number is bounded, every text shortened.
pub fn prepare(app: &AppConfig, facts: &Facts) -> (Prepared, Vec<String>) {
    let mut notes = Vec::new();
    let prepared = decide(app, facts, &mut notes);
    (prepared, notes)
}

fn decide(app: &AppConfig, facts: &Facts, notes: &mut Vec<String>) -> Prepared {
    let settings = &facts.settings;
    let account = facts.account.as_ref().unwrap_or(&facts.own);
    let class = support::class(app.name.as_str(), settings, notes)?;
    let listen = sockets::sockets(app, facts, notes)?;
    let env = environment(app, &facts.paths, account, &facts.env_files)?;
    let image = image(app, &facts.paths, facts.account.as_ref())?;
    let migrate = migration::migration(app, facts, &env, notes)?;
    not_followed(app, facts, account, notes);
    let blueprint = Blueprint {
        app: app.name.clone(),
        directory: facts.paths.directory.clone(),
        python: facts.paths.python.clone(),
        entry: app.entry.clone(),
        args: app.args.clone(),
        env,
        account: facts.account.clone(),
        umask: umask(app, settings),
        limits: app.limits.process.clone(),
        listen,
        class,
        capacity: capacity(class, settings),
        gunicorn: shortened(&settings.gunicorn, 40),
        probe: app.probe.enabled.then(|| probe(&app.probe)),
        log_file: facts.paths.log_file.clone(),
        hooks: hooks(settings),
        preload: preload(app, settings),
        processes: commands(app),
        no_new_privileges: app.no_new_privileges,
        image,
        release: facts.release,
    };
    let policy = policy::policy(app, facts, class, notes);
    Ok(AppPlan { blueprint: Arc::new(blueprint), policy, migrate })
}

/// Where the processes of an image run.
///
/// # Errors
///
/// What is configured is for images, and the release is none; or nobody may run one.
pub fn image(
    app: &AppConfig,
    paths: &ReleasePaths,
    account: Option<&Account>,
) -> Result<Option<ImageRoot>, Refusal> {
    let (name, release) = (&app.name, &paths.directory);
    let Some(image) = &paths.image else {
        let of_images = [(!app.volumes.is_empty(), "volumes"), (app.image_writable, "image_writable")];
        return match of_images.iter().find(|(is_set, _)| *is_set) {
            Some((_, key)) => Err(Refusal::new(format!(
                "{name}: `{key}` is for images, and the release {} is none: it has no rootfs and config.json; leave the key \
                 out, or bring in an image: `ostler restart {name} --image REFERENCE`",
                release.display()
            ))),
            None => Ok(None),
        };
    };
    if account.is_none() {
        return Err(Refusal::new(format!(
            "{name}: the release {} is an image, and only ostlerd running as root can run one",
            release.display()
        )));
    }
    Ok(Some(ImageRoot {
        release: release.clone(),
        name: image.name.clone(),
        directory: image.directory.clone(),
        writable: app.image_writable,
        volumes: app.volumes.clone(),
    }))
}

fn commands(app: &AppConfig) -> BTreeMap<String, Vec<String>> {
    app.processes.iter().map(|(name, process)| (name.clone(), process.command.clone())).collect()
}

/// The request that proves a worker: the one that the configuration names, else the first that any client would make.
fn probe(config: &ProbeConfig) -> Probe {
    Probe {
        path: config.path.clone().unwrap_or_else(|| "/".to_owned()),
        host: config.host.clone(),
        scheme: config.scheme.clone(),
        timeout: config.timeout,
        asked: config.path.is_some(),
    }
}

/// How many requests a worker answers at once, where that says when it is busy.
fn capacity(class: WorkerClass, settings: &Settings) -> Option<u32> {
    match class.traits().answers {
        Answers::One => Some(1),
        Answers::Threads => Some(settings.threads.clamp(1, THREADS_MOST)),
        Answers::Many => None,
    }
}

fn preload(app: &AppConfig, settings: &Settings) -> Preload {
    match app.preload.unwrap_or(settings.preload_app) {
        true => Preload::App,
        false if settings.conf.is_some() => Preload::Settings,
        false => Preload::Nothing,
    }
}

fn umask(app: &AppConfig, settings: &Settings) -> u32 {
    app.umask.unwrap_or(if settings.umask_set { settings.umask & 0o777 } else { 0o022 })
}

fn hooks(settings: &Settings) -> Vec<Hook> {
    Hook::ALL
        .into_iter()
        .filter(|hook| settings.master_hooks.iter().any(|name| name == hook.name()))
        .collect()
}

/// A note for each of gunicorn's settings that has no effect here, or another one than its writer may expect.
fn not_followed(app: &AppConfig, facts: &Facts, account: &Account, notes: &mut Vec<String>) {
    let name = &app.name;
    let settings = &facts.settings;
    for setting in settings.ignored.iter().take(NOTES_MOST) {
        let (setting, why) = (shortened(setting, 60), why_ignored(setting));
        notes.push(format!("{name}: gunicorn's {setting} is not followed: {why}"));
    }
    if settings.user_set && (settings.uid, settings.gid) != (account.uid, account.gid) {
        notes.push(format!(
            "{name}: gunicorn's user and group (uid {}, gid {}) are ignored: the workers run as {} (uid {}, gid {}), \
             as `user` and `group` of {} say",
            settings.uid,
            settings.gid,
            account.name,
            account.uid,
            account.gid,
            app.file.display()
        ));
    }
    if let Some(chdir) = &settings.chdir
        && Path::new(chdir) != facts.paths.code()
        && Path::new(chdir) != app.directory
    {
        let chdir = shortened(chdir, 200);
        notes.push(format!(
            "{name}: the workers run in {chdir}, as gunicorn's chdir says, not in `directory`"
        ));
    }
    if settings.master_hooks.iter().any(|name| name == "pre_fork") {
        notes.push(format!(
            "{name}: the hook pre_fork runs in a process beside the workers, while its worker starts and not \
             strictly before; what the worker itself needs belongs into post_fork"
        ));
    }
    if settings.master_hooks.iter().any(|name| name == "pre_exec") {
        notes.push(format!(
            "{name}: the hook pre_exec does not run: it is about gunicorn's master replacing itself on SIGUSR2"
        ));
    }
}

/// Why one of gunicorn's settings has no effect here.
pub fn why_ignored(setting: &str) -> &'static str {
    match setting {
        "daemon" => "ostlerd runs the workers and watches them",
        "pidfile" => "there is no master whose pid it could hold; see `ostler status`",
        name if name.starts_with("control_socket") => "the workers are controlled with `ostler`",
        "reload" | "reload_engine" | "reload_extra_files" => {
            "a half-copied release must not deploy itself; use `ostler restart`"
        }
        "reuse_port" => "ostlerd holds the sockets and shares them among the workers",
        "user" | "group" | "initgroups" => "`user` and `group` of the app's file decide",
        "worker_tmp_dir" => "heartbeats go over shared memory, not over files",
        "bind" | "workers" => "the app's file decides",
        _ => "it is about gunicorn's master, which does not run here",
    }
}
