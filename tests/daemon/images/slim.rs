//! An image of nothing but Python: no shell, no libraries but its own, and a virtual environment that leads there by an absolute
//! link, as uv makes it.

use std::fs;

use super::{Images, code, open_folder};
use crate::harness::bundle::python_alone;
use crate::harness::{Site, until};
use crate::load::{Load, answers};

const CONFIG: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"cwd": "/app",
    "env": ["PATH=/app/.venv/bin:/usr/bin"]}}"#;

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
