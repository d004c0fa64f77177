//! Keeps `state.json` true: written whenever what it says changes, and before anything is done that follows from that.
//!
//! What is done to workers (a start, an admission, a signal) waits until the state that it belongs to stands in the
//! file. So an ostlerd that ends at any moment leaves no worker that the next one does not know of, and none drained
//! that it believes to serve. A disk that is full must not stop the machine: then it is done all the same.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::shell::DeferredEffect;
use super::state::{self, Header, SavedState, State};
use crate::observe::CountersRecord;

/// Writes the state, one version at a time.
#[derive(Debug)]
pub(super) struct StateWriter {
    path: PathBuf,
    /// What stands in the file.
    written: Option<Arc<SavedState>>,
    writing: Option<Writing>,
    /// Whether the last attempt failed; it has been said.
    failed: bool,
}

#[derive(Debug)]
struct Writing {
    what: Arc<SavedState>,
    task: JoinHandle<io::Result<()>>,
    then: Vec<DeferredEffect>,
}

impl StateWriter {
    pub(super) fn new(path: PathBuf) -> StateWriter {
        StateWriter { path, written: None, writing: None, failed: false }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a version is being written; another has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.writing.is_some()
    }

    /// Writes `kept` where it differs from what stands there. Returns what may be done at once; where it is written,
    /// [`StateWriter::done`] gives it.
    pub(super) fn keep(
        &mut self,
        kept: SavedState,
        counters: impl FnOnce() -> CountersRecord,
        then: Vec<DeferredEffect>,
    ) -> Vec<DeferredEffect> {
        if self.written.as_deref() == Some(&kept) {
            return then;
        }
        let what = Arc::new(kept);
        let state = State { header: Header::own(), kept: SavedState::clone(&what), counters: counters() };
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || state::write(&path, &state));
        self.writing = Some(Writing { what, task, then });
        Vec::new()
    }

    /// Waits for the version that is being written, for ever where there is none; returns what may be done now.
    pub(super) async fn done(&mut self) -> Vec<DeferredEffect> {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let result = (&mut writing.task).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let Some(Writing { what, then, .. }) = self.writing.take() else { return Vec::new() };
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failed) {
                    tracing::info!("{} can be written again", self.path.display());
                }
                self.written = Some(what);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::error!(
                        "cannot write {}: {error}; until it can be written, an ostlerd that is killed may leave \
                         workers that the next one does not know",
                        self.path.display()
                    );
                }
                self.written = None;
            }
        }
        then
    }

    /// Whether the last attempt failed: it is tried again with the next look.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Nothing is left to adopt: removes the file, once nobody writes it any more.
    pub(super) async fn remove(mut self) {
        if self.is_busy() {
            self.done().await;
        }
        state::remove(&self.path);
    }
}
