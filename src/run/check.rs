//! `ostlerd --check`: all that can be said of the configuration without starting anything.
//!
//! `ostler check` runs it for whoever called. Root sees everything. Anybody else sees what he may, becomes nobody else, runs
//! no other user's interpreter, and is told what was not seen.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::children::Children;
use super::daemon_paths::DaemonPaths;
use super::warm::Interpreters;
use super::{health, identity, log_file, prepare, release_files};
use crate::config::{self, AppConfig, AppName, Config, Edge};
use crate::observe::words::plain;
use crate::plan::{self, Account, Refusal};

/// Exit statuses: something is wrong, and it may not be seen at all.
const CONFIGURATION: u8 = 78;
const NOT_ALLOWED: u8 = 77;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckCaller {
    /// For the ostlerd that would run as this user: what it could not do is wrong.
    Ostlerd,
    /// For this user, while ostlerd is root's: what he may not see is said to be unseen.
    Person,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct CheckReport<'a> {
    /// Whether nothing is wrong, as far as was seen.
    valid: bool,
    file: &'a Path,
    apps: Vec<AppName>,
    /// What proves a new worker of each app, in words.
    proofs: BTreeMap<AppName, String>,
    /// Which migrations run before each app's rollouts, or why none, as far as that is known without loading it.
    migrations: BTreeMap<AppName, String>,
    /// Where health would not be answered now, in words: it is answered as soon as it can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<String>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What was not seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchecked: Vec<Unseen>,
    #[serde(skip)]
    exit: u8,
}

/// Something of an app that was not seen.
#[derive(Debug, Serialize)]
struct Unseen {
    app: AppName,
    what: String,
}

/// All that the apps have shown.
#[derive(Default)]
struct AppFindings {
    refusals: Vec<Refusal>,
    unchecked: Vec<Unseen>,
    migrations: BTreeMap<AppName, String>,
}

/// Checks the files, and each app as far as the caller may.
pub async fn check(paths: &DaemonPaths, caller: CheckCaller) -> CheckReport<'_> {
    let file = paths.config.as_path();
    let own = identity::own_account();
    let wrong = |exit: u8, problem: String| {
        let (apps, proofs, migrations, unchecked, unanswered) = Default::default();
        let problem = Some(problem);
        CheckReport { valid: false, file, apps, proofs, migrations, unanswered, problem, unchecked, exit }
    };
    if let (CheckCaller::Person, Some(what)) = (caller, hidden_file(file)) {
        let remedy = format!("root may read it: sudo ostler check {}", file.display());
        return wrong(NOT_ALLOWED, format!("error: {what}; {remedy}"));
    }
    let config = match prepare::read(file) {
        Ok(config) => config,
        Err(problems) => return wrong(CONFIGURATION, problems.to_string()),
    };
    let AppFindings { refusals, unchecked, migrations } = match caller {
        CheckCaller::Person if own.uid != 0 => as_far_as_may(&config, &own).await,
        _ => all(&config).await,
    };
    let proofs = config.apps.iter().map(|(name, app)| (name.clone(), app.probe.proof())).collect();
    let unanswered = health::taken(&config.health);
    let (valid, apps) = (refusals.is_empty(), config.apps.into_keys().collect());
    let problem = (!valid).then(|| words(&refusals));
    let exit = if valid { 0 } else { CONFIGURATION };
    CheckReport { valid, file, apps, proofs, migrations, unanswered, problem, unchecked, exit }
}

/// The first of the files that the caller may not read.
fn hidden_file(file: &Path) -> Option<String> {
    let folder = Config::apps_dir(file);
    let apps = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let apps = apps.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let hidden = |path: &Path| hidden(path, open);
    hidden(file)
        .or_else(|| self::hidden(&folder, enter))
        .or_else(|| apps.into_iter().find_map(|path| hidden(&path)))
}

async fn all(config: &Config) -> AppFindings {
    let mut found = AppFindings::default();
    for (name, looked) in prepare::all(&Children::new(), config, &BTreeMap::new()).await {
        match looked {
            Ok(looked) => drop(found.migrations.insert(name, looked.plan.migrations())),
            Err(refusal) => found.refusals.push(refusal.into()),
        }
    }
    found
}

async fn as_far_as_may(config: &Config, own: &Account) -> AppFindings {
    let interpreters = Interpreters::among(&Children::new(), config.apps.values());
    let looks = interpreters.into_iter().map(|(app, by)| {
        let (edge, app, own) = (config.edge, app.clone(), own.clone());
        async move {
            let mut unseen = Vec::new();
            let looked = one(&by, &edge, &app, &own, &mut unseen).await;
            (app.name, looked, unseen)
        }
    });
    let mut looked = prepare::a_few_at_a_time(looks).await;
    looked.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let mut found = AppFindings::default();
    for (name, looked, unseen) in looked {
        match looked {
            Ok(migrations) => found.migrations.extend(migrations.map(|it| (name.clone(), it))),
            Err(refusal) => {
                let told = refusal.reason.starts_with(&format!("{name}: "));
                let reason = if told { refusal.reason } else { format!("{name}: {}", refusal.reason) };
                found.refusals.push(Refusal { reason, ..refusal });
            }
        }
        found.unchecked.extend(unseen.into_iter().map(|what| Unseen { app: name.clone(), what }));
    }
    found
}

/// One app, as far as `own` may: its migrations in words, where its interpreter was asked.
async fn one(
    by: &Interpreters,
    edge: &Edge,
    app: &AppConfig,
    own: &Account,
    unseen: &mut Vec<String>,
) -> Result<Option<String>, Refusal> {
    prepare::may_run(app)?;
    let account = match &app.user {
        Some(user) => Some(identity::account(user, app.group.as_deref())?),
        None => None,
    };
    let mut seen = AppConfig { user: None, group: None, ..app.clone() };
    let (there, python) =
        (hidden(&app.directory, enter), app.python.as_ref().and_then(|it| hidden(it, look)));
    unseen.extend([&there, &python].into_iter().flatten().cloned());
    let files = seen.env_files.len();
    seen.env_files.retain(|file| match hidden(file, open) {
        Some(what) => {
            unseen.push(what);
            false
        }
        None => true,
    });
    let settings = "whether gunicorn is in the interpreter, its settings, and which migrations run";
    if there.is_some() || python.is_some() {
        unseen.push(settings.to_owned());
        return Ok(None);
    }
    let other = account.as_ref().filter(|account| account.uid != own.uid);
    if other.is_none() && seen.env_files.len() == files {
        let plan = prepare::all_of(by, &seen, edge).await?;
        return Ok(Some(plan.migrations()));
    }
    let paths = release_files::resolve(&seen)?;
    let env_files = release_files::read_env_files(&paths.env_files, None)?;
    log_file::fits(&seen, &paths)?;
    plan::environment(&seen, &paths, account.as_ref().unwrap_or(own), &env_files)?;
    unseen.push(match other {
        Some(other) => format!("{settings}: only root and {} run it", other.name),
        None => format!("{settings}: they need the environment that cannot be read"),
    });
    Ok(None)
}

/// What cannot be seen of `path` for want of rights; whatever else is wrong with it is found later.
fn hidden(path: &Path, see: impl Fn(&Path) -> io::Result<()>) -> Option<String> {
    let error = see(path).err().filter(|error| error.kind() == io::ErrorKind::PermissionDenied)?;
    let text = error.to_string();
    Some(format!("{}: {}", path.display(), text.split(" (os error").next().unwrap_or_default()))
}

fn enter(folder: &Path) -> io::Result<()> {
    fs::metadata(folder.join("."))?;
    fs::read_dir(folder).map(drop)
}

fn look(file: &Path) -> io::Result<()> {
    fs::metadata(file).map(drop)
}

fn open(file: &Path) -> io::Result<()> {
    match config::open_regular(file) {
        // What else is wrong with it is found later.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        opened => opened.map(drop),
    }
}

/// Each with its detail above it, unless that says the same.
pub(super) fn words(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for refusal in refusals {
        let detail = refusal.detail.trim();
        if !refusal.reason.ends_with(detail) {
            text.push_str(detail);
            text.push('\n');
        }
        text.push_str(&format!("error: {}\n", refusal.reason));
    }
    text
}

impl CheckReport<'_> {
    /// Prints it, and gives the exit status.
    pub fn tell(&self, json: bool) -> u8 {
        if json {
            println!("{}", serde_json::to_string(self).expect("names and text"));
            return self.exit;
        }
        for Unseen { app, what } in &self.unchecked {
            println!("not checked: {app}: {}", plain(what));
        }
        if !self.unchecked.is_empty() {
            println!("root sees all of it: sudo ostler check {}", self.file.display());
        }
        for words in &self.unanswered {
            println!("note: {}", plain(words));
        }
        if let Some(problem) = &self.problem {
            eprintln!("{}", plain(problem).trim_end());
            return self.exit;
        }
        let names: Vec<&str> = self.apps.iter().map(AppName::as_str).collect();
        let found = match names.as_slice() {
            [] => config::no_apps_yet(self.file),
            [name] => format!("1 app: {name}"),
            names => format!("{} apps: {}", names.len(), names.join(", ")),
        };
        println!("{}: ok, {found}", self.file.display());
        for (app, proof) in &self.proofs {
            println!("{app}: proof: {}", plain(proof));
            if let Some(migrations) = self.migrations.get(app) {
                println!("{app}: migrations: {}", plain(migrations));
            }
        }
        0
    }
}
