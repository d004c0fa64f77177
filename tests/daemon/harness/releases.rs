//! An app in the layout that ostler-deploy(7) recommends: `releases/ID`, each with its own virtual environment, and `current`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::app::{AppFile, Gunicorn};
use super::site::{Site, readable};

/// Its folder, as `/srv/shop` would be.
pub struct Releases {
    /// The folder.
    pub root: PathBuf,
    owner: Option<String>,
}

impl Releases {
    /// An empty one, owned by the app's user.
    pub fn new(site: &Site, owner: Option<&str>) -> Releases {
        let root = site.path("srv");
        fs::create_dir_all(root.join("releases")).expect("the site's folder is writable");
        let releases = Releases { root, owner: owner.map(str::to_owned) };
        readable(&releases.root);
        readable(&releases.root.join("releases"));
        releases.give();
        releases
    }

    /// Everything belongs to the app's user.
    fn give(&self) {
        if let Some(owner) = &self.owner {
            let status = Command::new("chown").arg("-hR").arg(owner).arg(&self.root).status();
            assert!(status.expect("chown runs").success());
        }
    }

    /// A release with an environment of its own and these files; its folder.
    pub fn add(&self, id: &str, files: &[(&str, &str)]) -> PathBuf {
        let release = self.root.join("releases").join(id);
        fs::create_dir_all(&release).expect("the folder is ours");
        readable(&release);
        let venv = release.join("venv");
        let python =
            Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(&venv).status();
        assert!(python.expect("python3 runs").success());
        let packages = Gunicorn::V27.python().ancestors().nth(2).expect("bin/python").join("lib");
        let packages = only(&packages).join("site-packages");
        let own = only(&venv.join("lib")).join("site-packages");
        fs::write(own.join("gunicorn.pth"), packages.display().to_string()).expect("the folder is ours");
        for (name, text) in files {
            let path = release.join(name);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder is ours");
            fs::write(path, text).expect("the folder is ours");
        }
        self.give();
        release
    }

    /// Has `current` lead there, by hand.
    pub fn link(&self, text: &str) {
        let current = self.root.join("current");
        let _ = fs::remove_file(&current);
        symlink(text, current).expect("the folder is ours");
        self.give();
    }

    /// What `current` says.
    pub fn current(&self) -> String {
        let text = fs::read_link(self.root.join("current")).expect("it is a link");
        text.into_os_string().into_string().expect("it is UTF-8")
    }

    /// Whose `current` is.
    pub fn owner_of_current(&self) -> u32 {
        fs::symlink_metadata(self.root.join("current")).expect("it is there").uid()
    }

    /// The app, run from `current`, in its environment.
    pub fn app(&self, app: AppFile) -> AppFile {
        let python = self.root.join("current/venv/bin/python");
        let mut app = app.python(python);
        app.directory = self.root.join("current");
        app
    }
}

fn only(folder: &Path) -> PathBuf {
    let found = fs::read_dir(folder).expect("it is there").next().expect("something is in it");
    found.expect("it can be read").path()
}
