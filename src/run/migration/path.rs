//! Which program a command means: as a shell in the app's directory, with the app's environment, would find it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::plan::Blueprint;
use crate::run::files;

/// The program of `argv`; the error is words. The folders may be the app's own, and on a file system that does not answer.
pub(super) async fn find(argv: &[String], blueprint: &Arc<Blueprint>) -> Result<PathBuf, String> {
    let (words, of) = (argv.to_vec(), blueprint.clone());
    let purpose = format!("the command of {}", blueprint.app);
    let found = files::within(purpose, files::FEW, move || search(&words, &of)).await;
    found.unwrap_or_else(|held| Err(held.to_string()))
}

fn search(argv: &[String], blueprint: &Blueprint) -> Result<PathBuf, String> {
    // What is in an image, the launcher sees.
    if blueprint.image.is_some() {
        return Ok(argv.first().map(PathBuf::from).unwrap_or_default());
    }
    let Some(name) = argv.first().filter(|name| !name.is_empty()) else {
        return Err("the command is empty; write for example command = [\"alembic\", \"upgrade\", \"head\"]"
            .to_owned());
    };
    if name.contains('/') {
        // The launcher, as the app's user, says why where it cannot be run.
        return Ok(blueprint.directory.join(name));
    }
    let path = blueprint.env.get("PATH").map(String::as_str).unwrap_or_default();
    let folders = path.split(':').map(|folder| blueprint.directory.join(folder));
    folders.map(|folder| folder.join(name)).find(|file| is_program(file)).ok_or_else(|| {
        format!(
            "the command {name:?} is in none of the folders of the app's PATH ({path}); write its path, or install it in \
             the app's environment"
        )
    })
}

fn is_program(file: &Path) -> bool {
    files::at(file);
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
