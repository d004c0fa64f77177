//! The project's files, embedded, and the two deployments of the play.

use std::fs;
use std::path::Path;

use super::DemoError;

const FILES: [(&str, &str); 7] = [
    ("manage.py", include_str!("project/manage.py")),
    ("shop/settings.py", include_str!("project/shop/settings.py")),
    ("shop/urls.py", include_str!("project/shop/urls.py")),
    ("shop/wsgi.py", include_str!("project/shop/wsgi.py")),
    ("shop/models.py", include_str!("project/shop/models.py")),
    ("shop/migrations/0001_initial.py", include_str!("project/shop/migrations/0001_initial.py")),
    ("shop/views.py", VIEWS),
];
const VIEWS: &str = include_str!("project/shop/views.py");
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

/// `views.py` of the second release.
pub(super) fn second_views() -> String {
    VIEWS.replace(FIRST, SECOND)
}

/// `views.py` of a release that does not import.
pub(super) fn broken_views() -> String {
    format!("import {MISSING}\n{}", second_views())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_releases_differ_in_what_the_page_says() {
        assert_eq!(VIEWS.matches(FIRST).count(), 1);
        assert!(second_views().contains(SECOND) && !second_views().contains(FIRST));
        assert!(broken_views().starts_with("import a_module"));
    }
}
