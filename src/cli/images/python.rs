//! Whether an image can run an app at all: a look for its Python and its gunicorn, before anybody waits for a boot.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, OFlags, fstat};
use serde::Deserialize;

use super::mounts::within;

const PYTHONS: [&str; 2] = ["python3", "python"];
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Where libraries are, below a prefix; Debian has what pip installs in a prefix of its own.
const LIBRARIES: [&str; 3] = ["lib", "lib64", "local/lib"];

/// Where programs are if the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// umoci's file is some kilobytes long.
const LONGEST: u64 = 4 << 20;

#[derive(Deserialize)]
struct Config {
    process: Process,
}

#[derive(Deserialize)]
struct Process {
    #[serde(default)]
    env: Vec<String>,
}

/// Looks; the error is a sentence.
pub(super) fn look(bundle: &Path) -> io::Result<Result<(), String>> {
    let file = io::Read::take(File::open(bundle.join("config.json"))?, LONGEST);
    let config: Config = serde_json::from_reader(file)?;
    let env = |name: &str| config.process.env.iter().find_map(|it| it.strip_prefix(name));
    let path = env("PATH=").unwrap_or(PATH);
    let root: OwnedFd = File::open(bundle.join("rootfs"))?.into();
    let folders = || path.split(':').map(Path::new).filter(|it| it.is_absolute());
    let with_python: Vec<&Path> = folders().filter(|folder| has_python(&root, folder)).collect();
    if with_python.is_empty() {
        return Ok(Err(format!("the image has no python in its PATH ({path:.300}), so it can run no app")));
    }
    let prefixes: Vec<PathBuf> = with_python.iter().filter_map(|it| Some(it.parent()?.to_owned())).collect();
    let named = env("PYTHONPATH=").unwrap_or_default().split(':').map(Path::new);
    let is_named =
        named.filter(|it| it.is_absolute()).any(|folder| is_package(&root, &folder.join("gunicorn")));
    if is_named || prefixes.iter().any(|prefix| has_gunicorn(&root, prefix)) {
        return Ok(Ok(()));
    }
    let looked: Vec<String> =
        prefixes.iter().map(|it| it.join("lib/python3*/site-packages").display().to_string()).collect();
    Ok(Err(format!(
        "the image has no gunicorn in {:.300}, so it can run no app: install gunicorn in it",
        looked.join(", ")
    )))
}

fn has_python(root: &OwnedFd, folder: &Path) -> bool {
    PYTHONS.iter().any(|name| {
        let Ok(found) = within(root, &folder.join(name), OFlags::PATH) else { return false };
        let is_program = |stat: rustix::fs::Stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0
        };
        fstat(&found).is_ok_and(is_program)
    })
}

fn has_gunicorn(root: &OwnedFd, prefix: &Path) -> bool {
    LIBRARIES.iter().any(|library| {
        let library = prefix.join(library);
        pythons_of(root, &library).iter().any(|python| {
            let packages = PACKAGES.iter().map(|packages| library.join(python).join(packages));
            packages.map(|it| it.join("gunicorn")).any(|it| is_package(root, &it))
        })
    })
}

fn is_package(root: &OwnedFd, folder: &Path) -> bool {
    within(root, folder, OFlags::PATH | OFlags::DIRECTORY).is_ok()
}

/// `python3.12` and the like.
fn pythons_of(root: &OwnedFd, library: &Path) -> Vec<String> {
    let folder = within(root, library, OFlags::RDONLY | OFlags::DIRECTORY).and_then(|it| Ok(Dir::new(it)?));
    let entries = folder.into_iter().flatten().flatten();
    let names = entries.filter_map(|it| it.file_name().to_str().ok().map(str::to_owned));
    names.filter(|name| name.starts_with("python3") || name.starts_with("pypy3")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn bundle(path: &str) -> tempfile::TempDir {
        let bundle = tempfile::tempdir().unwrap();
        let config = serde_json::json!({"process": {"env": ["LANG=C", format!("PATH={path}")]}});
        fs::write(bundle.path().join("config.json"), config.to_string()).unwrap();
        fs::create_dir(bundle.path().join("rootfs")).unwrap();
        bundle
    }

    fn program(bundle: &tempfile::TempDir, path: &str) {
        let file = bundle.path().join("rootfs").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn folder(bundle: &tempfile::TempDir, path: &str) {
        fs::create_dir_all(bundle.path().join("rootfs").join(path)).unwrap();
    }

    #[test]
    fn an_environment_and_debians_own_and_links_within_the_image_are_found() {
        let one = bundle("/venv/bin:/usr/bin");
        program(&one, "opt/python3.12");
        folder(&one, "venv/bin");
        symlink("/opt/python3.12", one.path().join("rootfs/venv/bin/python")).unwrap();
        folder(&one, "venv/lib/python3.12/site-packages/gunicorn");
        assert_eq!(look(one.path()).unwrap(), Ok(()));
        let two = bundle("/usr/bin");
        program(&two, "usr/bin/python3");
        folder(&two, "usr/local/lib/python3.11/dist-packages/gunicorn");
        assert_eq!(look(two.path()).unwrap(), Ok(()));
    }

    #[test]
    fn an_image_that_says_no_path_has_the_usual_one() {
        let image = bundle("/nowhere");
        fs::write(image.path().join("config.json"), r#"{"process": {"env": []}}"#).unwrap();
        program(&image, "usr/local/bin/python3");
        folder(&image, "usr/local/lib/python3.12/site-packages/gunicorn");
        assert_eq!(look(image.path()).unwrap(), Ok(()));
    }

    #[test]
    fn the_machines_own_python_is_none_of_the_image() {
        let image = bundle("/usr/bin");
        folder(&image, "usr");
        symlink("/usr/bin", image.path().join("rootfs/usr/bin")).unwrap();
        let why = look(image.path()).unwrap().unwrap_err();
        assert!(why.contains("no python in its PATH (/usr/bin)"), "{why}");
        let image = bundle("/usr/bin");
        program(&image, "usr/bin/python3");
        let why = look(image.path()).unwrap().unwrap_err();
        assert!(why.contains("no gunicorn in /usr/lib/python3*/site-packages"), "{why}");
    }
}
