//! Warm interpreters: where many apps share an interpreter and a user, one process of theirs does once what is the same for
//! all of them before gunicorn's settings are read, and forks one process for each.
//!
//! ```text
//! ostlerd ── start ──► warm interpreter (as the apps' user) ── fork ──► reads the settings of one app, answers, is killed
//! ```
//!
//! A warm interpreter, like all that runs as an app's user, is not believed, and it is not needed: whoever it does not
//! answer for is asked of a fresh one. Nothing of an app is in it, neither its environment nor its folder, but for what an
//! interpreter looks at when it starts: for apps that differ there, there is another. It works for all of them, and so it
//! and what it forks are in a scope of their own, beside the apps' slices; a fresh interpreter is in the slice of its app.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::children::Children;
use super::inspect::{Inspection, KilledOnDrop, inspect_fresh, inspect_warm};
use super::inspection_error::InspectionError;
use super::launch_spec::LaunchSpec;
use super::process::ProcessHandle;
use super::scope::{Alone, ScopePurpose};
use super::wire::Wire;
use super::worker_process::start_interpreter;
use super::zygote;
use crate::config::AppConfig;
use crate::plan::{Account, ImageRoot};
use crate::worker::{Message, Orders, Settings, ShimMode, Surroundings, bundle};

/// How long one may take to be ready, and a fork to say that it is there.
const LIMIT: Duration = Duration::from_secs(10);

/// No more than so many for one interpreter and user: each takes some 10 MB.
const MOST: usize = 8;

/// Names, and beginnings of names, of what Python, the C library and the libraries below look at when they start.
const AT_START: [&str; 14] = [
    "PYTHON",
    "LD_",
    "LC_",
    "LANG",
    "LOCPATH",
    "TZ",
    "HOME",
    "MALLOC_",
    "GLIBC_",
    "GCONV_PATH",
    "OPENSSL_",
    "SSL_",
    "SETUPTOOLS_",
    "VIRTUALENV_",
];

/// What gunicorn looks at when it is imported. One that differs from the warm interpreter's costs some milliseconds.
const AT_IMPORT: [&str; 3] = ["WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS"];

/// The title of what is forked is written over this one's.
const TITLE: usize = 80;

/// By which settings are read.
#[derive(Clone, Debug)]
pub(super) struct Interpreters {
    pub(super) children: Children,
    shared: Option<Arc<WarmSlots>>,
}

/// Warm interpreters of one program and one user. They end with it.
#[derive(Debug, Default)]
struct WarmSlots(Mutex<Vec<(AtStart, Option<WarmCell>)>>);

/// Started by the first who needs it; empty where it is of no use.
type WarmCell = Arc<OnceCell<Option<Warm>>>;

/// All that may make a difference to an interpreter's start.
#[derive(Clone, Debug, PartialEq)]
struct AtStart {
    python: PathBuf,
    account: Option<Account>,
    env: BTreeMap<String, String>,
    image: Option<ImageRoot>,
}

/// One that is ready.
#[derive(Debug)]
pub(super) struct Warm {
    process: Option<KilledOnDrop>,
    /// Its control group, and that of what it forks.
    cgroup: Option<String>,
    wire: Wire,
    at_start: AtStart,
    forks: AtomicBool,
}

impl Interpreters {
    /// A fresh one for each question.
    pub(super) fn fresh(children: &Children) -> Interpreters {
        Interpreters { children: children.clone(), shared: None }
    }

    /// Those for each of `apps`, in the order in which to look at them: who can share comes one after the other, so that a
    /// warm interpreter ends when the last of them has been looked at.
    pub(super) fn among<'a>(
        children: &Children,
        apps: impl Iterator<Item = &'a AppConfig>,
    ) -> Vec<(&'a AppConfig, Interpreters)> {
        let mut alike: BTreeMap<_, Vec<&AppConfig>> = BTreeMap::new();
        for app in apps {
            alike.entry((&app.python, &app.user, &app.group)).or_default().push(app);
        }
        let shared = alike.into_values().flat_map(|apps| {
            let shared = (apps.len() > 1).then(Arc::<WarmSlots>::default);
            apps.into_iter().map(move |app| (app, shared.clone()))
        });
        shared.map(|(app, shared)| (app, Interpreters { children: children.clone(), shared })).collect()
    }

    /// The settings of an app as its own gunicorn reads them, or why they could not be had.
    pub(super) async fn inspect(&self, inspection: &Inspection) -> Result<Settings, InspectionError> {
        if let Some(cell) = self.shared.as_ref().and_then(|shared| shared.cell(AtStart::of(inspection)))
            && let Some(warm) = cell.get_or_init(|| Warm::start(&self.children, inspection)).await
            && let Some(told) = inspect_warm(&self.children, warm, inspection).await
        {
            return told;
        }
        inspect_fresh(&self.children, inspection).await
    }
}

impl WarmSlots {
    /// That for interpreters which start so: none for the first of its kind, beside others, as there may be no second.
    fn cell(&self, at_start: AtStart) -> Option<WarmCell> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started = all.iter().filter(|(_, cell)| cell.is_some()).count();
        let may_start = started < MOST;
        if let Some((_, cell)) = all.iter_mut().find(|(it, _)| *it == at_start) {
            if cell.is_none() && may_start {
                *cell = Some(WarmCell::default());
            }
            return cell.clone();
        }
        let cell = all.is_empty().then(WarmCell::default);
        all.push((at_start, cell.clone()));
        cell
    }
}

impl AtStart {
    fn of(inspection: &Inspection) -> AtStart {
        let looked_at = |name: &&String| AT_START.iter().any(|begins| name.starts_with(begins));
        let env = inspection.env.iter().filter(|(name, _)| looked_at(name));
        AtStart {
            python: inspection.python.clone(),
            account: inspection.account.clone(),
            image: inspection.image.clone(),
            env: env.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if let Some(process) = self.process.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Reaped by whoever has started it.
            runtime.spawn(async move { process.end().await });
        }
    }
}

impl Warm {
    /// Starts one for apps like this, and waits until it can fork; nothing where it says that it is of no use.
    async fn start(children: &Children, first: &Inspection) -> Option<Warm> {
        let at_start = AtStart::of(first);
        let mut env = at_start.env.clone();
        env.extend(
            AT_IMPORT
                .iter()
                .filter_map(|name| first.env.get_key_value(*name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let surroundings = Surroundings { env: env.clone(), directory: "/".into(), ..first.surroundings() };
        let scope = Alone::of_several(children, ScopePurpose::Settings);
        let spec = LaunchSpec {
            env,
            scope: scope.place(),
            directory: surroundings.directory.clone(),
            ..first.launch_spec(format!("{:TITLE$}", "ostler: apps [settings]"))
        };
        let mut orders = Orders::inspect("apps", None, Vec::new());
        (orders.mode, orders.surroundings) = (ShimMode::Warm, Some(surroundings));
        let nothing = std::fs::File::options().write(true).open("/dev/null").ok()?;
        let outputs = [(nothing.as_fd(), 1), (nothing.as_fd(), 2)];
        let started = start_interpreter(children, &spec, (&bundle(), &orders.to_json()), &outputs);
        let (process, mut wire) = started.ok()?;
        let cgroup = scope.place().map(|place| place.cgroup());
        let process = KilledOnDrop { process, scope };
        match tokio::time::timeout(LIMIT, ready(&process.process, &mut wire)).await {
            Ok(Ok(())) => {
                let (process, forks) = (Some(process), AtomicBool::new(true));
                Some(Warm { process, cgroup, wire, at_start, forks })
            }
            Ok(Err(why)) => {
                tracing::debug!("settings are read by a fresh interpreter for each app: {why}");
                None
            }
            Err(_) => None,
        }
    }

    /// Forks a process for these orders, which puts out to `output`.
    pub(super) async fn fork(
        &self,
        children: &Children,
        orders: &Orders,
        output: BorrowedFd<'_>,
    ) -> Option<(ProcessHandle, Wire)> {
        if !self.forks.load(Ordering::Relaxed) {
            return None;
        }
        let forked = async {
            let forking = zygote::fork_with(self.wire.control.as_fd(), orders, output, &[]).ok()?;
            forking.forked().await.ok()
        };
        let Ok(forked) = tokio::time::timeout(LIMIT, forked).await else {
            // Something has stopped it: nobody else is to wait for it.
            self.forks.store(false, Ordering::Relaxed);
            return None;
        };
        let of = (&*self.at_start.python, self.at_start.account.as_ref());
        let ((process, gate), wire) = forked?.process_of(children, of, self.cgroup.as_deref()).ok()?;
        gate.open();
        Some((process, wire))
    }
}

/// Waits until it says that it can fork.
async fn ready(process: &ProcessHandle, wire: &mut Wire) -> Result<(), String> {
    loop {
        let ended = tokio::select! {
            biased;
            _ = wire.control.readable() => false,
            () = process.ended() => true,
        };
        let received = wire.read(process, ended);
        for message in received.messages {
            match message {
                Message::Ready => return Ok(()),
                Message::Failed(failed) => return Err(failed.message),
                _ => {}
            }
        }
        if ended || received.closed {
            return Err("it has ended".to_owned());
        }
    }
}
