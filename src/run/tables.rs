//! What each generation's code uses of the database, as one of its workers has told it: kept for the migration to come.
//!
//! A file for each generation in the runtime directory: it lives as long as its workers may, and outlives ostlerd. What is in
//! it comes from the app and goes back to the app's own interpreter; nothing here reads it.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::inbox::{Inbound, Outbox};
use super::own_file;
use super::worker_process::WorkerWatch;
use crate::config::AppName;
use crate::migrate::Serving;
use crate::supervise::GenerationId;
use crate::worker::LINE_LIMIT;

/// The folder of all of them.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    folder: PathBuf,
    /// Whose this ostlerd has put there.
    kept: BTreeSet<(AppName, GenerationId)>,
}

impl Tables {
    pub(super) fn below(runtime: &Path) -> Tables {
        Tables { folder: runtime.join("tables"), kept: BTreeSet::new() }
    }

    /// Whether no worker of that generation has to be asked.
    pub(super) fn has(&self, app: &AppName, generation: GenerationId) -> bool {
        self.kept.contains(&(app.clone(), generation))
    }

    /// It is there.
    pub(super) fn kept(&mut self, app: AppName, generation: GenerationId) {
        self.kept.insert((app, generation));
    }

    /// Keeps what a worker of that generation tells; the driver gets `TablesKept`.
    pub(super) fn receive(
        &self,
        app: &AppName,
        generation: GenerationId,
        watch: &mut WorkerWatch,
        outbox: &Outbox,
    ) {
        let (told, inbox) = (watch.tables(), outbox.inbox.clone());
        let (tables, app) = (Tables { folder: self.folder.clone(), kept: BTreeSet::new() }, app.clone());
        tokio::spawn(async move {
            let Ok(text) = told.await else { return };
            let of = app.clone();
            let written = tokio::task::spawn_blocking(move || tables.keep(&of, generation, &text)).await;
            match written {
                // The driver outlives its tasks.
                Ok(Ok(())) => drop(inbox.send(Inbound::TablesKept { app, generation })),
                // The next worker of it is asked; where none tells it, that is said before a migration.
                _ => tracing::debug!(%app, %generation, "what {generation} uses of the database is not kept"),
            }
        });
    }

    fn file(&self, app: &AppName, generation: GenerationId) -> PathBuf {
        self.folder.join(app.as_str()).join(generation.0.to_string())
    }

    /// Puts it where it is whole or not there.
    fn keep(&self, app: &AppName, generation: GenerationId, text: &str) -> io::Result<()> {
        let file = self.file(app, generation);
        let new = file.with_extension("new");
        if let Some(folder) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        io::Write::write_all(&mut own_file::create(&new, 0o600)?, text.as_bytes())?;
        std::fs::rename(&new, &file)
    }

    /// What a generation has told, where it has.
    fn of(&self, app: &AppName, generation: GenerationId) -> Option<String> {
        let text = own_file::read(&self.file(app, generation), LINE_LIMIT as u64).ok()?;
        String::from_utf8(text).ok().filter(|text| !text.is_empty())
    }

    /// What the generation uses that serves; those before it are no more.
    pub(super) fn serving(&self, app: &AppName, generation: GenerationId) -> Serving {
        self.forget_before(app, generation);
        Serving { tables: self.of(app, generation) }
    }

    /// Generations before this one are no more.
    fn forget_before(&self, app: &AppName, generation: GenerationId) {
        let Ok(entries) = std::fs::read_dir(self.folder.join(app.as_str())) else { return };
        for entry in entries.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if number.is_none_or(|number| number < generation.0) {
                // One that stays is written over by the next generation of its number.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The app runs no more.
    pub(super) fn forget(&mut self, app: &AppName) {
        self.kept.retain(|(of, _)| of != app);
        let _ = std::fs::remove_dir_all(self.folder.join(app.as_str()));
    }

    /// No generation of any app is left.
    pub(super) fn forget_all(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_kept_apart_until_a_later_one_serves() {
        let folder = tempfile::tempdir().unwrap();
        let mut tables = Tables::below(folder.path());
        let app: AppName = "shop".parse().unwrap();
        assert_eq!(tables.of(&app, GenerationId(1)), None);
        for (generation, text) in [(1, "one"), (2, "two"), (10, "ten"), (2, "two again")] {
            tables.keep(&app, GenerationId(generation), text).unwrap();
        }
        assert_eq!(tables.of(&app, GenerationId(2)).as_deref(), Some("two again"));
        tables.forget_before(&app, GenerationId(2));
        let left = [1, 2, 10].map(|it| tables.of(&app, GenerationId(it)).is_some());
        assert_eq!(left, [false, true, true]);
        tables.forget(&app);
        assert_eq!(tables.of(&app, GenerationId(10)), None);
        tables.forget_all();
        assert!(!folder.path().join("tables").exists());
    }
}
