//! What all readers work with, and put what they find into.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::error::ImportError;
use super::image::MountHost;
use super::input::{FileAccess, Overrides};

/// More wrappers and scripts, one in the other, nobody has.
const DEEPEST: u8 = 16;

/// What all readers work with.
pub(super) struct ImportContext<'a> {
    pub(super) given: &'a Overrides,
    pub(super) look: &'a FileAccess<'a>,
    /// The file, for messages.
    pub(super) place: String,
    pub(super) draft: Draft,
    /// Variables of a script that are not exported.
    pub(super) variables: BTreeMap<String, String>,
    /// What the script was called with, where that is known.
    pub(super) arguments: Option<Vec<String>>,
    /// How many wrappers and scripts were entered.
    pub(super) depth: u8,
}

impl ImportContext<'_> {
    /// The value of a variable, as far as anybody has said it.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let said = self.given.set.get(name);
        said.or_else(|| self.variables.get(name)).or_else(|| self.draft.env.get(name)).cloned()
    }

    /// The text of a file that a command names, of the image where the app is one.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let look = |path: &str| (self.look.read)(path.as_ref());
        let Some(image) = &self.draft.image else { return look(path) };
        let mounts = image.mounts.iter().filter_map(|(place, mount)| match &mount.host {
            MountHost::Path(host) => Some((place.as_str(), host.as_str())),
            MountHost::Own(_) => None,
        });
        image.files.read(path, &mounts.collect::<Vec<_>>(), &look)
    }

    /// Goes into a wrapper or a script.
    pub(super) fn deeper(&mut self) -> Result<(), ImportError> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self
                .error("its scripts call each other without an end", "give the line that starts gunicorn")),
            false => Ok(()),
        }
    }

    pub(super) fn error(&self, what: impl Into<String>, remedy: impl Into<String>) -> ImportError {
        ImportError::at(&self.place, what, remedy)
    }
}
