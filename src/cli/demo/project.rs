//! The project: what Django's `startproject` makes, with one app of its own; and the deployments of the play.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::error::DemoError;

/// The project's name, for `startproject`.
pub(super) const NAME: &str = "shop";

const FILES: [(&str, &str); 6] = [
    ("shop/urls.py", include_str!("project/shop/urls.py")),
    ("goods/models.py", MODELS),
    (VIEWS_FILE, VIEWS),
    (TAGS_FILE, TAGS),
    ("goods/templates/goods/index.html", include_str!("project/goods/templates/goods/index.html")),
    ("goods/migrations/0001_initial.py", include_str!("project/goods/migrations/0001_initial.py")),
];
const EMPTY: [&str; 3] =
    ["goods/__init__.py", "goods/migrations/__init__.py", "goods/templatetags/__init__.py"];
/// All that is changed of what `startproject` makes, beside its urls.py.
const SETTINGS: &str = "\nINSTALLED_APPS += [\"goods\"]\n";

pub(super) const VIEWS_FILE: &str = "goods/views.py";
const TAGS_FILE: &str = "goods/templatetags/prices.py";
const VIEWS: &str = include_str!("project/goods/views.py");
const TAGS: &str = include_str!("project/goods/templatetags/prices.py");
const MODELS: &str = include_str!("project/goods/models.py");
/// The second release adds a column: what the first one reads does not change.
const COLUMN: &str = "    stock = models.PositiveIntegerField(null=True)\n";

/// What the page says at first, and after the deployment.
pub(super) const FIRST: &str = "release one";
pub(super) const SECOND: &str = "release two, deployed under load";

/// Puts the app into a project that `startproject` has just made.
pub(super) fn write(folder: &Path) -> Result<(), DemoError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| DemoError::File { what, path, source }
    };
    for (name, text) in FILES.into_iter().chain(EMPTY.map(|name| (name, ""))) {
        let path = folder.join(name);
        let parent = path.parent().expect("it lies in the folder");
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
        fs::write(&path, text).map_err(failed("write", &path))?;
    }
    let settings = folder.join("shop/settings.py");
    let mut file = OpenOptions::new().append(true).open(&settings).map_err(failed("open", &settings))?;
    file.write_all(SETTINGS.as_bytes()).map_err(failed("write", &settings))
}

/// The migration of the second release, by name.
pub(super) const MIGRATION: &str = "goods.0002_stock";

/// A release: files, each with its text.
pub(super) type ProjectRelease = Vec<(&'static str, String)>;

/// What is new in the second release.
pub(super) fn second() -> ProjectRelease {
    let migration = include_str!("project/goods/migrations/0002_stock.py").to_owned();
    vec![
        ("goods/migrations/0002_stock.py", migration),
        ("goods/models.py", format!("{MODELS}{COLUMN}")),
        (VIEWS_FILE, VIEWS.replace(FIRST, SECOND)),
        (TAGS_FILE, TAGS.to_owned()),
    ]
}

/// A release that is bad: what is bad about it, what is new in it, and what its traceback has to name.
pub(super) struct Bad {
    pub(super) what: &'static str,
    pub(super) release: ProjectRelease,
    pub(super) names: &'static str,
}

/// Those that the play deploys.
pub(super) fn bad() -> [Bad; 3] {
    const MISSING: &str = "a_module_that_nobody_installed";
    let third = VIEWS.replace(FIRST, "release three");
    [
        Bad {
            what: "a release with a view that does not import",
            release: vec![(VIEWS_FILE, format!("import {MISSING}\n{third}"))],
            names: MISSING,
        },
        Bad {
            what: "a release with a template tag that does not import",
            release: vec![(VIEWS_FILE, third.clone()), (TAGS_FILE, format!("import {MISSING}\n{TAGS}"))],
            names: MISSING,
        },
        Bad {
            what: "a release whose first page answers 500",
            release: vec![(VIEWS_FILE, third.replace("\"pid\": os.getpid()", "\"pid\": os.nothing()"))],
            names: "has no attribute 'nothing'",
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(release: &ProjectRelease) -> &str {
        &release.iter().find(|(name, _)| *name == VIEWS_FILE).expect("each changes the views").1
    }

    #[test]
    fn the_releases_differ_in_what_the_page_says() {
        assert_eq!(VIEWS.matches(FIRST).count(), 1);
        let second = second();
        assert!(views(&second).contains(SECOND) && !views(&second).contains(FIRST));
        for Bad { what, release, .. } in bad() {
            assert!(views(&release).contains("release three"), "{what}");
            let changed = release.iter().any(|(name, text)| {
                let good =
                    FILES.iter().find(|(file, _)| file == name).expect("it is a file of the project").1;
                *text != good.replace(FIRST, "release three")
            });
            assert!(changed, "{what}");
        }
    }
}
