//! Releases that are images: their workers run inside, beside those of the image before.

mod bad;
mod life;
mod sees;
mod slim;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::harness::bundle::{CONFIG, debian_with, describe};
use crate::harness::{AppFile, Ostlerd, Releases, Said, Site, WSGI, is_root};

/// Images in the releases' folder, as `umoci unpack` leaves them, and `current`.
struct Images<'a> {
    site: &'a Site,
    releases: Releases,
}

impl<'a> Images<'a> {
    /// None yet; nothing where nobody here can run one.
    fn new(site: &'a Site) -> Option<Images<'a>> {
        if !is_root() {
            eprintln!("skipped: only root can run an image");
            return None;
        }
        Some(Images { site, releases: Releases::new(site, None) })
    }

    /// The folder of a release.
    fn release(&self, id: &str) -> PathBuf {
        self.releases.root.join("releases").join(id)
    }

    /// An image of Debian with this `/app/app.py`; the first is the one that `current` leads to.
    fn add(&self, id: &str, code: &str) -> PathBuf {
        self.add_root(id, CONFIG, |root| debian_with(root, code))
    }

    /// The same of another root and another description.
    fn add_root(&self, id: &str, config: &str, fill: impl Fn(&Path)) -> PathBuf {
        let release = self.release(id);
        fs::create_dir(&release).expect("the folder is ours");
        fill(&release.join("rootfs"));
        describe(&release, config);
        let current = self.releases.root.join("current");
        if !current.exists() {
            symlink(Path::new("releases").join(id), current).expect("the folder is ours");
        }
        release
    }

    /// The app's file, which names no interpreter.
    fn app(&self) -> AppFile {
        let app = self.site.app("shop").tcp().workers(2).env("BOTH", "file");
        let mut app = app.key("image = \"registry.example.com/shop\"").without_python();
        app.directory = self.releases.root.join("current");
        app
    }

    fn switch(&self, ostlerd: &Ostlerd<'_>, id: &str) -> Said {
        ostlerd.ostler(&["restart", "shop", "--release", &self.release(id).display().to_string()])
    }
}

/// The tests' app, of this release.
fn code(release: &str) -> String {
    format!("{WSGI}\nRELEASE = {release:?}\n")
}

/// Everybody may write there.
fn open_folder(site: &Site, name: &str) -> PathBuf {
    let folder = site.path(name);
    fs::create_dir(&folder).expect("the folder is new");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    folder
}
