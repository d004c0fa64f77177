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
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::driver::Inbound;
use super::prepare;
use super::watched::Places;
use crate::config::Config;

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

/// What the files say: a hash of each, or that it cannot be read.
type Contents = BTreeMap<PathBuf, Option<u64>>;

/// The files of a configuration, watched.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    watcher: Option<RecommendedWatcher>,
    /// Paths where something happened; none where anything may have.
    hints: mpsc::UnboundedReceiver<Vec<PathBuf>>,
    places: Places,
    contents: Contents,
    env_files: Vec<PathBuf>,
    complained: bool,
}

impl Watch {
    /// Begins to watch the configuration of `file`. To miss nothing, call this before reading it.
    pub fn begin(file: &Path) -> Watch {
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
        let mut watch = Watch {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            complained: watcher.is_none(),
            watcher,
            hints,
            places: Places::default(),
            contents: Contents::new(),
            env_files: Vec::new(),
        };
        watch.look();
        watch
    }

    /// Reports every change, until nobody listens.
    pub(super) async fn run(mut self, inbox: mpsc::UnboundedSender<Inbound>) {
        while !inbox.is_closed() {
            self.until_something_happens().await;
            let looking = tokio::task::spawn_blocking(move || {
                let changed = self.look();
                (self, changed)
            });
            let Ok((watch, changed)) = looking.await else { return };
            self = watch;
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
    fn look(&mut self) -> bool {
        // What is changed while watches are set shows as other places.
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            let places = self.places_now();
            self.watch(&places);
            let same = places == self.places;
            self.places = places;
            if same {
                break;
            }
        }
        let mut contents = self.configuration();
        if contents.iter().any(|(file, content)| self.contents.get(file) != Some(content))
            && let Ok(config) = prepare::read(&self.file)
        {
            self.env_files = config.apps.values().flat_map(|app| app.env_files.iter().cloned()).collect();
            let places = self.places_now();
            self.watch(&places);
            self.places = places;
        }
        contents.extend(self.env_files.iter().map(|file| (file.clone(), content(file))));
        let changed = contents != self.contents;
        self.contents = contents;
        changed
    }

    fn places_now(&self) -> Places {
        let mut places = Places::default();
        places.add(&self.file);
        places.add_whole(&Config::apps_dir(&self.file));
        for file in app_files(&self.file).iter().chain(&self.env_files) {
            places.add(file);
        }
        places
    }

    fn watch(&mut self, places: &Places) {
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

    fn configuration(&self) -> Contents {
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

fn content(file: &Path) -> Option<u64> {
    // Opening a pipe would block.
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}
