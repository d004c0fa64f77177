//! Watches the configuration's files and tells the driver when what they say has changed.
//!
//! ```text
//! inotify ─► of concern? ─► quiet for 100 ms ─► watch anew, read, compare ─► different: `FilesChanged`
//!                                                     ▲
//!                               every 30 s ───────────┘   for what inotify does not see
//! ```
//!
//! Only content counts. Watches are set anew with every look, since a directory that was replaced has lost its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::inbox::Inbound;
use super::watched::WatchedPaths;
use super::{files, prepare};
use crate::config::{Config, open_regular};

/// A file that is being written is let alone until nothing has happened for so long,
const QUIET: Duration = Duration::from_millis(100);
/// but never longer than this.
const UNQUIET_MOST: Duration = Duration::from_secs(1);
/// Directories above the watched ones, network file systems and lost watches are noticed within this.
const ANYHOW: Duration = Duration::from_secs(30);
/// The same where nothing could be watched.
const UNWATCHED: Duration = Duration::from_secs(2);
/// Of a file longer than any configuration only the beginning counts.
const LONGEST: u64 = 1024 * 1024 + 1;

/// An environment file that has not been read within this is held up by somebody.
const HANGS: Duration = Duration::from_secs(2);

/// What the files say.
type Contents = BTreeMap<PathBuf, Content>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A hash of it.
    Is(u64),
    Unreadable,
    /// It hangs, or another process holds it.
    Held,
}

/// The files of a configuration, watched.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    watcher: Option<RecommendedWatcher>,
    /// Paths where something happened; none where anything may have.
    hints: mpsc::UnboundedReceiver<Vec<PathBuf>>,
    places: WatchedPaths,
    contents: Contents,
    /// With what decides what is found there, as it was when that could be looked at.
    env_files: BTreeMap<PathBuf, WatchedPaths>,
    complained: bool,
}

impl Watch {
    /// Begins to watch the configuration of `file`. To miss nothing, call this before reading it.
    pub async fn begin(file: &Path) -> Watch {
        let (sender, hints) = mpsc::unbounded_channel();
        let heard = move |event: notify::Result<notify::Event>| {
            let paths = match event {
                // Reading is no change; this also hears our own.
                Ok(event)
                    if matches!(event.kind, EventKind::Access(_))
                        && event.kind != EventKind::Access(AccessKind::Close(AccessMode::Write)) =>
                {
                    return;
                }
                Ok(event) if event.need_rescan() => Vec::new(),
                Ok(event) => event.paths,
                Err(_) => Vec::new(),
            };
            // The last one is said to nobody.
            let _ = sender.send(paths);
        };
        let watcher = notify::recommended_watcher(heard)
            .map_err(|error| {
                tracing::warn!(%error, "the configuration's files cannot be watched; they are read every {UNWATCHED:?}");
            })
            .ok();
        let watch = Watch {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            complained: watcher.is_none(),
            watcher,
            hints,
            places: WatchedPaths::default(),
            contents: Contents::new(),
            env_files: BTreeMap::new(),
        };
        watch.look().await.0
    }

    /// Reports every change, until nobody listens.
    pub(super) async fn run(mut self, inbox: mpsc::UnboundedSender<Inbound>) {
        while !inbox.is_closed() {
            self.until_something_happens().await;
            let changed;
            (self, changed) = self.look().await;
            if changed {
                let _ = inbox.send(Inbound::FilesChanged);
            }
        }
    }

    async fn until_something_happens(&mut self) {
        let anyhow = Instant::now() + if self.complained { UNWATCHED } else { ANYHOW };
        loop {
            match timeout_at(anyhow, self.hints.recv()).await {
                Ok(Some(paths)) if self.concern(&paths) => break,
                Ok(Some(_)) => {}
                Ok(None) => return sleep_until(anyhow).await,
                Err(_) => return,
            }
        }
        let latest = Instant::now() + UNQUIET_MOST;
        while Instant::now() < latest && timeout(QUIET, self.concerning_hint()).await.is_ok() {}
    }

    async fn concerning_hint(&mut self) {
        while let Some(paths) = self.hints.recv().await {
            if self.concern(&paths) {
                return;
            }
        }
        std::future::pending().await
    }

    fn concern(&self, paths: &[PathBuf]) -> bool {
        paths.is_empty() || paths.iter().any(|path| self.places.concern(path))
    }

    /// Watches what there is to watch now, reads the files, and says whether they differ from the last look.
    async fn look(mut self) -> (Watch, bool) {
        // What is changed while watches are set shows as other places.
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            let same;
            (self, same) = self.watch_anew().await;
            if same {
                break;
            }
        }
        let (mut watch, mut contents) = self.off_the_loop(Watch::configuration).await;
        if contents.iter().any(|(file, content)| watch.contents.get(file) != Some(content)) {
            let is_read;
            (watch, is_read) = watch.off_the_loop(Watch::name_env_files).await;
            if is_read {
                (watch, _) = watch.watch_anew().await;
            }
        }
        contents.extend(
            each(watch.env_files.keys(), content)
                .await
                .into_iter()
                .map(|(file, content)| (file, content.unwrap_or(Content::Held))),
        );
        let changed = contents != watch.contents;
        watch.contents = contents;
        (watch, changed)
    }

    /// Sets the watches; whether they are where they were.
    async fn watch_anew(mut self) -> (Watch, bool) {
        for (file, places) in each(self.env_files.keys(), places_of).await {
            if let Some(places) = places {
                self.env_files.insert(file, places);
            }
        }
        self.off_the_loop(|watch| {
            let places = watch.places_now();
            watch.watch(&places);
            let same = places == watch.places;
            watch.places = places;
            same
        })
        .await
    }

    async fn off_the_loop<T: Send + 'static>(
        mut self,
        look: impl FnOnce(&mut Watch) -> T + Send + 'static,
    ) -> (Watch, T) {
        let looking = tokio::task::spawn_blocking(move || {
            let seen = look(&mut self);
            (self, seen)
        });
        looking.await.expect("invariant: looking at files does not panic")
    }

    /// Learns which environment files there are, where the configuration can be read.
    fn name_env_files(&mut self) -> bool {
        let Ok(config) = prepare::read(&self.file) else { return false };
        let named = config.apps.values().flat_map(|app| app.env_files.iter());
        let known = |file: &PathBuf| (file.clone(), self.env_files.get(file).cloned().unwrap_or_default());
        self.env_files = named.map(known).collect();
        true
    }

    fn places_now(&self) -> WatchedPaths {
        let mut places = WatchedPaths::default();
        places.add(&self.file);
        places.add_whole(&Config::apps_dir(&self.file));
        for file in &app_files(&self.file) {
            places.add(file);
        }
        self.env_files.values().for_each(|it| places.merge(it));
        places
    }

    fn watch(&mut self, places: &WatchedPaths) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in &self.places.directories {
            // Also of those that stay: under the same name there may be another directory now.
            let _ = watcher.unwatch(gone);
        }
        let mut lost = None;
        for directory in &places.directories {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                lost = Some((directory, error));
            }
        }
        match lost {
            Some((directory, error)) if !self.complained => {
                let directory = directory.display();
                tracing::warn!(%error, "{directory} cannot be watched; the configuration is read every {UNWATCHED:?}");
                self.complained = true;
            }
            Some(_) => {}
            None if self.complained => {
                tracing::info!("the configuration's files are watched again");
                self.complained = false;
            }
            None => {}
        }
    }

    fn configuration(&mut self) -> Contents {
        let files = app_files(&self.file).into_iter().chain([self.file.clone()]);
        files.map(|file| (file.clone(), content(&file))).collect()
    }
}

/// The files of `apps.d`, by the rule of [`crate::config::load`].
fn app_files(main: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(Config::apps_dir(main)) else { return Vec::new() };
    let counts = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".toml") && !name.starts_with('.')
    };
    entries.flatten().map(|entry| entry.path()).filter(counts).collect()
}

/// What a look says of each file, side by side; nothing of those that hang.
async fn each<T: Send + 'static>(
    files: impl Iterator<Item = &PathBuf>,
    look: fn(&Path) -> T,
) -> Vec<(PathBuf, Option<T>)> {
    let mut looks = JoinSet::new();
    for file in files.cloned() {
        looks.spawn(async move {
            let of = file.clone();
            let look = move || {
                files::at(&of);
                look(&of)
            };
            let found = files::within(format!("watch of {}", file.display()), HANGS, look).await;
            (file, found.ok())
        });
    }
    looks.join_all().await
}

fn places_of(file: &Path) -> WatchedPaths {
    let mut places = WatchedPaths::default();
    places.add(file);
    places
}

fn content(file: &Path) -> Content {
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => Content::Held,
        _ => Content::Unreadable,
    };
    let mut bytes = Vec::new();
    let read = open_regular(file).and_then(|opened| opened.take(LONGEST).read_to_end(&mut bytes));
    if let Err(error) = read {
        return unread(error);
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Content::Is(hasher.finish())
}
