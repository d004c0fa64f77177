//! An app whose releases come from a registry: its user, its folder, its file, and the command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::harness::{AppFile, Proc, Said, Site, is_root, until};
use crate::image::Image;
use crate::registry::{PASSWORD, Registry, USER};

/// Says loudly that nothing was tried.
pub fn only_root(what: &str) -> bool {
    if !is_root() {
        eprintln!("*** {what} was NOT tried: only root can become an app's user");
    }
    is_root()
}

/// A user of the machine, of this test alone.
pub struct Account {
    pub name: String,
}

impl Account {
    fn new(home: &Path) -> Account {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("ostler-i{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        until("a user is made", || {
            let mut useradd = Command::new("/usr/sbin/useradd");
            useradd.args(["--system", "--no-create-home", "--shell", "/bin/sh", "--home-dir"]).arg(home);
            // No password fits, and the account is not locked.
            useradd.args(["--password", "*"]);
            // Another test may have the files locked.
            (Said::of(useradd.arg(&name)).code == Some(0)).then_some(())
        });
        Account { name }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Also one of whom something still runs, which fails its test elsewhere.
        until("the user is gone", || {
            let said = Said::of(Command::new("/usr/sbin/userdel").arg("--force").arg(&self.name));
            matches!(said.code, Some(0 | 6)).then_some(())
        });
    }
}

/// `shop`, in `srv` of its site; nothing was pulled yet.
pub struct Shop {
    pub registry: Registry,
    pub account: Account,
    pub app: AppFile,
    pub site: Site,
}

impl Shop {
    pub fn new() -> Shop {
        Shop::reached_also_at(None)
    }

    /// The registry's certificate holds for this address as well.
    pub fn reached_also_at(also: Option<std::net::SocketAddr>) -> Shop {
        let site = Site::new();
        let registry = Registry::start(&site, also);
        let account = Account::new(&site.path("home"));
        for folder in ["srv", "home", "home/.docker"] {
            fs::create_dir(site.path(folder)).expect("the folder is new");
        }
        let mut app = site.app("shop").tcp().workers(1).user(Some(&account.name));
        app.directory = site.path("srv/current");
        let shop = Shop { registry, account, app: app.write(), site };
        shop.log_in(PASSWORD);
        shop.give("srv");
        shop
    }

    /// Writes the file that `docker login` writes.
    pub fn log_in(&self, password: &str) {
        let mut base64 = Command::new("base64");
        let words = format!("{USER}:{password}");
        let file = self.site.path("words");
        fs::write(&file, words).expect("the site is ours");
        let auth = Said::of(base64.args(["-w", "0"]).arg(&file)).exits(0).out;
        let text =
            serde_json::json!({"auths": {self.registry.address.to_string(): {"auth": auth}}}).to_string();
        fs::write(self.site.path("home/.docker/config.json"), text).expect("the site is ours");
        self.give("home");
    }

    /// Its file, with an image and without an interpreter.
    pub fn of_image(&self, image: &str) {
        let line = format!("image = \"{}\"", self.registry.name(image));
        let file = fs::read_to_string(&self.app.file).expect("it was written");
        let lines: Vec<&str> =
            file.lines().filter(|it| !it.starts_with("python") && !it.starts_with("image")).collect();
        fs::write(&self.app.file, format!("{line}\n{}\n", lines.join("\n"))).expect("the site is ours");
    }

    /// Makes it the user's own.
    pub fn give(&self, folder: &str) {
        let mut chown = Command::new("chown");
        Said::of(chown.arg("-R").arg(&self.account.name).arg(self.site.path(folder))).exits(0);
    }

    pub fn push(&self, image: Image, name: &str) {
        let folder = name.replace([':', '/'], "-");
        self.registry.push(&image.make(&self.site, &folder), name);
    }

    pub fn releases(&self) -> PathBuf {
        self.site.path("srv/releases")
    }

    /// The command, as root, by the files alone.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.site.ostler_command(words);
        if words.first() == Some(&"images") {
            command.arg("--config").arg(self.site.config());
        }
        command.env("SSL_CERT_FILE", self.registry.certificate()).env("SECRET", "of-root");
        command.env_remove("REGISTRY_AUTH_FILE");
        command
    }

    pub fn says(&self, words: &[&str]) -> Said {
        Said::of(&mut self.command(words))
    }

    /// Pulls one of the registry's.
    pub fn pull(&self, image: &str) -> Said {
        self.says(&["images", "pull", "shop", &self.registry.name(image)])
    }

    /// The same, which has to go well; the release.
    #[track_caller]
    pub fn pulled(&self, image: &str) -> PathBuf {
        let said = self.pull(image).exits(0);
        let folder = said.out.lines().last().map(PathBuf::from).expect("it prints the folder");
        assert!(folder.join("ostler-image.json").is_file(), "{said}");
        folder
    }

    /// What stands in the folder of releases, without the lock.
    pub fn entries(&self) -> Vec<String> {
        let read = fs::read_dir(self.releases()).into_iter().flatten();
        let mut names: Vec<String> =
            read.map(|it| it.expect("root can read it").file_name().into_string().expect("UTF-8")).collect();
        names.retain(|name| name != ".images.lock");
        names.sort();
        names
    }

    /// Neither a release nor a layer nor a process is left.
    #[track_caller]
    pub fn has_nothing(&self) {
        assert_eq!(self.entries(), [""; 0]);
        self.has_no_child();
    }

    /// No skopeo and no umoci of this shop runs.
    #[track_caller]
    pub fn has_no_child(&self) {
        let left = self.children();
        assert!(left.is_empty(), "{left:?}");
    }

    /// The processes that name this site, but for the registry and the tests' own.
    pub fn children(&self) -> Vec<i32> {
        let place = self.releases().display().to_string();
        let everything = fs::read_dir("/proc").expect("/proc is mounted");
        let of = |it: std::io::Result<fs::DirEntry>| {
            let pid: i32 = it.ok()?.file_name().to_str()?.parse().ok()?;
            let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            (String::from_utf8_lossy(&words).contains(&place) && Proc(pid).lives()).then_some(pid)
        };
        everything.filter_map(of).collect()
    }
}

/// What `--json` prints, line for line.
pub fn steps(said: &Said) -> Vec<Value> {
    said.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {said}")))
        .collect()
}

/// Mode and owner.
pub fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o7777
}
