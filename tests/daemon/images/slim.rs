//! An image of nothing but Python: no shell, no libraries but its own, and a virtual environment that leads there by an absolute
//! link, as uv makes it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Images, code, open_folder};
use crate::harness::bundle::{linked, packages};
use crate::harness::{Site, until, venvs};
use crate::load::{Load, answers};

const CONFIG: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"cwd": "/app",
    "env": ["PATH=/app/.venv/bin:/usr/bin"]}}"#;

/// As the Python of Debian 13 runs from any folder, it is in the image where it is on this machine: its loader's path is
/// absolute.
fn python_alone(root: &Path) {
    let python = venvs().join("python-3.13");
    let inside = root.join(python.strip_prefix("/").expect("it is absolute"));
    fs::create_dir_all(inside.parent().expect("it is below /")).expect("the folder is ours");
    linked(&python, &inside);
    for folder in ["proc", "sys", "dev", "tmp", "run", "etc", "data", "app/.venv/bin"] {
        fs::create_dir_all(root.join(folder)).expect("the folder is ours");
    }
    for file in ["resolv.conf", "hosts"] {
        fs::write(root.join("etc").join(file), "").expect("the folder is ours");
    }
    symlink(python.join("bin/python3.13"), root.join("app/.venv/bin/python")).expect("the folder is ours");
    let home = format!("home = {}/bin\n", python.display());
    fs::write(root.join("app/.venv/pyvenv.cfg"), home).expect("the folder is ours");
    packages(&root.join("app/.venv/lib/python3.13/site-packages"));
}

#[test]
fn an_image_of_nothing_but_python_serves_and_is_replaced() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    for id in ["1", "2"] {
        let release = images.add_root(id, CONFIG, |root| {
            python_alone(root);
            fs::write(root.join("app/app.py"), code(id)).expect("the folder is ours");
        });
        assert!(!release.join("rootfs/bin/sh").exists());
    }
    let data = open_folder(&site, "data");
    let command = "[processes.queue]\ncommand = [\"python\", \"-c\", \"open('/data/ran', 'w').close()\\nwhile True: __import__('time').sleep(9)\"]";
    let volumes = format!("volumes = {{ \"/data\" = {data:?} }}");
    let app = images.app().key(&volumes).key("log_file = \"/data/log\"").table(command).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let load = Load::on(&app.target()).start();
    images.switch(&ostlerd, "2").exits(0);
    answers(&app.target(), "2");
    load.stop().lost_nothing();
    until("the command has run", || data.join("ran").exists().then_some(()));
    assert!(data.join("log").exists(), "a log file is a path in the image");
}
