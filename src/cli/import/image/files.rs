//! The files that lie in an image, as far as they lie here as well: what COPY has put there, what is mounted, what was given.

use std::cell::Cell;

use crate::cli::import::draft::base;

/// More places nobody has to be looked at for one file.
const MOST_LOOKS: u32 = 4_000;

/// Where its files come from.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::import) struct ImageFiles {
    /// Files that were given too, by their names.
    pub(in crate::cli::import) given: Vec<(String, String)>,
    /// The folders that it may be built from.
    pub(in crate::cli::import) contexts: Vec<String>,
    /// What each stage copies; the last one is the image.
    pub(super) stages: Vec<Vec<Copied>>,
    pub(super) names: Vec<String>,
}

/// One source of a COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) from: CopiedFrom,
    /// Absolute; ends with `/` where it is surely a folder.
    pub(super) to: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CopiedFrom {
    Context(String),
    /// A stage, by its name or its number, and the path in there.
    Stage(String, String),
    Text(String),
}

impl ImageFiles {
    /// The text of a file in the image; `mounts` are folders of the machine that are seen in it.
    pub(in crate::cli::import) fn read(
        &self,
        path: &str,
        mounts: &[(&str, &str)],
        look: &dyn Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let given = self.given.iter().find(|(name, _)| name == base(path));
        if let Some((_, text)) = given {
            return Some(text.clone());
        }
        let mounted = mounts.iter().find_map(|(place, host)| {
            let rest = path.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            Some(format!("{host}{rest}"))
        });
        if let Some(text) = mounted.filter(|path| is_plain(path)).and_then(|path| look(&path)) {
            return Some(text);
        }
        let looks = Cell::new(MOST_LOOKS);
        self.copied(self.stages.len().checked_sub(1)?, path, look, &looks)
    }

    fn copied(
        &self,
        stage: usize,
        path: &str,
        look: &dyn Fn(&str) -> Option<String>,
        looks: &Cell<u32>,
    ) -> Option<String> {
        for copied in self.stages.get(stage)?.iter().rev() {
            looks.set(looks.get().checked_sub(1)?);
            let found = match &copied.from {
                CopiedFrom::Text(text) => (copied.to == path).then(|| text.clone()),
                CopiedFrom::Context(from) => sources(from, &copied.to, path).into_iter().find_map(|source| {
                    let source = source.trim_start_matches("./").trim_start_matches('/');
                    self.contexts.iter().find_map(|context| {
                        looks.set(looks.get().checked_sub(1)?);
                        is_plain(source)
                            .then(|| look(&format!("{}/{source}", context.trim_end_matches('/'))))?
                    })
                }),
                CopiedFrom::Stage(name, from) => {
                    let named = self.names.iter().take(stage).rposition(|it| it == name);
                    let earlier = named.or_else(|| name.parse().ok()).filter(|it| *it < stage);
                    let sources = sources(from, &copied.to, path).into_iter();
                    earlier.and_then(|earlier| {
                        let mut sources =
                            sources.map(|source| format!("/{}", source.trim_start_matches('/')));
                        sources.find_map(|source| self.copied(earlier, &source, look, looks))
                    })
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// What `path` may have been, if `from` was copied to `to`: a file to a file, a file into a folder, a folder's content.
fn sources(from: &str, to: &str, path: &str) -> Vec<String> {
    let mut sources = Vec::new();
    if to == path {
        sources.push(from.to_owned());
    }
    let below = match to.trim_end_matches('/') {
        "" => path.strip_prefix('/'),
        to => path.strip_prefix(to).and_then(|rest| rest.strip_prefix('/')),
    };
    if let Some(below) = below {
        if base(from.trim_end_matches('/')) == below {
            sources.push(from.to_owned());
        }
        // `scripts/*.sh`: the folder is what counts.
        let folder = if from.contains('*') { from.rsplit_once('/').map_or(".", |it| it.0) } else { from };
        sources.push(match folder {
            "." | "./" | "/" => below.to_owned(),
            folder => format!("{}/{below}", folder.trim_end_matches('/')),
        });
    }
    sources
}

/// Nothing above the folder is looked at.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| part != "..")
}
