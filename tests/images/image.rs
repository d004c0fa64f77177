//! Images: one that could run an app, as buildah makes it, and any that can be thought of, made by hand.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Said, Site};

/// What this machine's images say of themselves.
pub fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Of which this machine's is none.
pub fn foreign_architecture() -> &'static str {
    if own_architecture() == "s390x" { "amd64" } else { "s390x" }
}

/// The layer that makes an image one of an app: it cannot run one, but looks so.
pub fn app() -> Value {
    json!([
        {"name": "usr/local/bin/python3", "text": "#!/bin/sh\n", "mode": 0o755},
        {"name": "usr/local/lib/python3.12/site-packages/gunicorn/__init__.py", "text": "x"},
    ])
}

/// An image made by hand.
pub struct Image {
    architectures: Vec<String>,
    list: bool,
    env: Vec<String>,
    layers: Vec<Value>,
}

impl Image {
    /// Of an app, with these layers on top.
    pub fn of(layers: &[Value]) -> Image {
        let layers = std::iter::once(app()).chain(layers.iter().cloned()).collect();
        Image::bare(layers)
    }

    /// Of nothing but these layers.
    pub fn bare(layers: Vec<Value>) -> Image {
        let env = vec!["PATH=/usr/local/bin:/usr/bin".to_owned()];
        Image { architectures: vec![own_architecture().to_owned()], list: false, env, layers }
    }

    /// For this machine or not.
    pub fn architecture(mut self, name: &str) -> Image {
        self.architectures = vec![name.to_owned()];
        self
    }

    /// One for each of these, with an index of them.
    pub fn list(mut self, names: &[&str]) -> Image {
        self.architectures = names.iter().map(|&it| it.to_owned()).collect();
        self.list = true;
        self
    }

    /// Its layout.
    pub fn make(self, site: &Site, name: &str) -> PathBuf {
        let folder = site.path(&format!("layouts-{name}"));
        let specification = json!({
            "architectures": self.architectures, "list": self.list, "env": self.env, "layers": self.layers,
        });
        let mut python = Command::new("/usr/bin/python3");
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/layout.py")).arg(&folder);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.as_mut().expect("python3 starts");
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(specification.to_string().as_bytes()).expect("it reads to the end");
        drop(input);
        let ended = child.wait().expect("the child is ours");
        assert!(ended.success(), "layout.py could not make {name}");
        folder
    }
}

/// What buildah builds images in.
pub struct Buildah {
    store: PathBuf,
}

impl Buildah {
    pub fn of(site: &Site) -> Buildah {
        Buildah { store: site.path("buildah") }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut buildah = Command::new("buildah");
        buildah.args(["--storage-driver", "vfs", "--root"]).arg(&self.store);
        buildah.arg("--runroot").arg(self.store.join("run"));
        let said = Said::of(buildah.args(arguments).stdin(Stdio::null())).exits(0);
        said.out.trim().to_owned()
    }

    /// The image `to` of `base` and this folder; more words are of `buildah config`.
    pub fn layer(&self, base: &str, folder: &Path, config: &[&str], to: &str) {
        let container = self.run(&["from", "--pull-never", base]);
        self.run(&["add", "--quiet", &container, &folder.display().to_string(), "/"]);
        let path = ["--env", "PATH=/usr/local/bin:/usr/bin", "--workingdir", "/app", "--cmd", "gunicorn app"];
        self.run(&[&["config"], &path[..], config, &[&container]].concat());
        self.run(&["commit", "--quiet", "--timestamp", "1000", &container, to]);
        self.run(&["rm", &container]);
    }
}

/// An image that buildah makes of these folders, a layer for each.
pub fn built(site: &Site, name: &str, folders: &[PathBuf]) -> PathBuf {
    let buildah = Buildah::of(site);
    let layout = site.path(&format!("layouts-{name}"));
    let mut base = "scratch".to_owned();
    for (number, folder) in folders.iter().enumerate() {
        let next = format!("{name}-{number}");
        let to = match number + 1 == folders.len() {
            true => format!("oci:{}:it", layout.display()),
            false => next.clone(),
        };
        buildah.layer(&base, folder, &[], &to);
        base = next;
    }
    layout
}

/// A folder with the files of an app, to build an image from.
pub fn app_folder(site: &Site) -> PathBuf {
    let folder = site.path("app-folder");
    let members = app();
    for member in members.as_array().expect("a layer is a list") {
        let path = folder.join(member["name"].as_str().expect("a member has a name"));
        fs::create_dir_all(path.parent().expect("it is below the folder")).expect("the site is ours");
        fs::write(&path, member["text"].as_str().unwrap_or_default()).expect("the site is ours");
        let mode = member["mode"].as_u64().unwrap_or(0o644) as u32;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&path, mode).expect("the site is ours");
    }
    folder
}
