//! What becomes of the migrations that somebody ran before gunicorn was started, by ostlerd's own rule, as far as files tell.

use std::path::Path;

use super::draft::{Draft, absolute};
use super::image::ImageDraft;
use super::input::FileAccess;

const SETTINGS: &str = "DJANGO_SETTINGS_MODULE";
/// What an app's module says that is Django's.
const DJANGO: [&str; 3] = [SETTINGS, "django.core.wsgi", "django.core.asgi"];

/// What ostlerd will make of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MigrationsGuess {
    /// `directory` has a manage.py.
    ManagePy,
    /// The app says that it is Django's.
    Django,
    /// Only the app's interpreter knows.
    Unknown,
}

impl MigrationsGuess {
    /// What is known, in one line.
    pub(super) fn words(self) -> &'static str {
        match self {
            MigrationsGuess::ManagePy => {
                "directory has a manage.py: Django's migrate runs before each rollout, and not where [migrate] has \
                 enabled = false"
            }
            MigrationsGuess::Django => {
                "the app loads Django: Django's migrate runs before each rollout, and not where [migrate] has enabled = false"
            }
            MigrationsGuess::Unknown => {
                "Django's migrate runs before each rollout if the app loads Django; `ostler check` asks its interpreter"
            }
        }
    }
}

/// Whether a line runs Django's `migrate`: `python manage.py migrate`, `django-admin migrate`, `mailman-web migrate`.
pub(super) fn is_migrate(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).any(|pair| pair[1] == "migrate" && pair[0] != "db")
}

/// Says what becomes of the lines that ran them.
pub(super) fn settle(draft: &mut Draft, python: &str, look: &FileAccess<'_>) -> MigrationsGuess {
    let found = match &draft.image {
        Some(image) => found_in(draft, image, look),
        None => found(draft, python, look),
    };
    for line in std::mem::take(&mut draft.ran_migrations) {
        match found {
            MigrationsGuess::ManagePy | MigrationsGuess::Django => {
                draft.left_out(line, "ostlerd runs a Django project's migrations itself, before each rollout");
            }
            MigrationsGuess::Unknown => draft.leave_to_owner(
                line,
                "ostlerd runs Django's migrations itself, before each rollout, if the app loads Django: `ostler check` \
                 says whether; if it says none, name what runs them as `command` in [migrate]",
            ),
        }
    }
    found
}

/// The same for an image, which may not be here.
fn found_in(draft: &Draft, image: &ImageDraft, look: &FileAccess<'_>) -> MigrationsGuess {
    let here = image.folder.as_deref().map(|folder| absolute("manage.py", Some(folder)));
    let django = draft.value(SETTINGS).is_some()
        || draft
            .ran_migrations
            .iter()
            .any(|line| line.contains("manage.py") || line.contains("django-admin"))
        || here.is_some_and(|path| (look.exists)(Path::new(&path)));
    if django { MigrationsGuess::Django } else { MigrationsGuess::Unknown }
}

fn found(draft: &Draft, python: &str, look: &FileAccess<'_>) -> MigrationsGuess {
    let there = |path: &str| (look.exists)(Path::new(path));
    if there(&absolute("manage.py", draft.directory.as_deref())) {
        return MigrationsGuess::ManagePy;
    }
    let module = draft.app.as_deref().unwrap_or_default().split(':').next().unwrap_or_default();
    let module = module.replace('.', "/");
    let mut folders = draft.python_paths();
    folders.extend(draft.directory.clone());
    let elsewhere = folders.iter().any(|folder| there(&format!("{folder}/manage.py")));
    folders.extend(packages(python));
    let files = folders.iter().flat_map(|folder| {
        ["", "/__init__"].map(|name| format!("{}/{module}{name}.py", folder.trim_end_matches('/')))
    });
    let mut texts = files.filter_map(|file| (look.read)(Path::new(&file)));
    if draft.env.contains_key(SETTINGS)
        || elsewhere
        || texts.any(|text| DJANGO.iter().any(|it| text.contains(it)))
    {
        MigrationsGuess::Django
    } else {
        MigrationsGuess::Unknown
    }
}

/// Where the packages of an interpreter's environment may be.
fn packages(python: &str) -> Vec<String> {
    let Some((environment, _)) = python.rsplit_once("/bin/") else { return Vec::new() };
    (8..20).map(|minor| format!("{environment}/lib/python3.{minor}/site-packages")).collect()
}
