//! The project's files, embedded, and the two deployments of the play.

use std::fs;
use std::path::Path;

use super::DemoError;

const FILES: [(&str, &str); 7] = [
    ("manage.py", include_str!("project/manage.py")),
    ("shop/settings.py", include_str!("project/shop/settings.py")),
    ("shop/urls.py", include_str!("project/shop/urls.py")),
    ("shop/wsgi.py", include_str!("project/shop/wsgi.py")),
    ("shop/models.py", MODELS),
    ("shop/migrations/0001_initial.py", include_str!("project/shop/migrations/0001_initial.py")),
    ("shop/views.py", VIEWS),
];
const VIEWS: &str = include_str!("project/shop/views.py");
const MODELS: &str = include_str!("project/shop/models.py");
/// The second release adds a column: what the first one reads does not change.
const COLUMN: &str = "    stock = models.PositiveIntegerField(null=True)\n";
const EMPTY: [&str; 2] = ["shop/__init__.py", "shop/migrations/__init__.py"];

/// What the page says at first, and after the deployment.
pub(super) const FIRST: &str = "release one";
pub(super) const SECOND: &str = "release two, deployed under load";

/// The module that the broken release wants.
pub(super) const MISSING: &str = "a_module_that_nobody_installed";

/// Writes the project below `folder`, over what may be there.
pub(super) fn write(folder: &Path) -> Result<(), DemoError> {
    for (name, text) in FILES.into_iter().chain(EMPTY.map(|name| (name, ""))) {
        let path = folder.join(name);
        let parent = path.parent().expect("it lies in the folder");
        let failed =
            |what| move |source, path: &Path| DemoError::File { what, path: path.to_owned(), source };
        fs::create_dir_all(parent).map_err(|error| failed("make")(error, parent))?;
        fs::write(&path, text).map_err(|error| failed("write")(error, &path))?;
    }
    Ok(())
}

/// The migration of the second release, by name and as a file.
pub(super) const MIGRATION: &str = "shop.0002_stock";
pub(super) const MIGRATION_FILE: &str = "shop/migrations/0002_stock.py";

/// A release: files, each with its text.
pub(super) type Release = Vec<(&'static str, String)>;

/// What is new in the second release.
pub(super) fn second() -> Release {
    let migration = include_str!("project/shop/migrations/0002_stock.py").to_owned();
    vec![
        (MIGRATION_FILE, migration),
        ("shop/models.py", format!("{MODELS}{COLUMN}")),
        ("shop/views.py", VIEWS.replace(FIRST, SECOND)),
    ]
}

/// What is new in a release that does not import.
pub(super) fn broken() -> Release {
    vec![("shop/views.py", format!("import {MISSING}\n{}", VIEWS.replace(FIRST, SECOND)))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_releases_differ_in_what_the_page_says() {
        assert_eq!(VIEWS.matches(FIRST).count(), 1);
        let views =
            |release: Release| release.into_iter().find(|(name, _)| *name == "shop/views.py").unwrap().1;
        assert!(views(second()).contains(SECOND) && !views(second()).contains(FIRST));
        assert!(views(broken()).starts_with("import a_module"));
    }

    #[test]
    fn the_migration_is_named_as_its_file() {
        let (app, name) = MIGRATION.split_once('.').unwrap();
        assert_eq!(MIGRATION_FILE, format!("{app}/migrations/{name}.py"));
    }
}
