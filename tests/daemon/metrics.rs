//! The metrics as Prometheus' own tool judges them.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Said, Site, WSGI, venvs};
use crate::health::{ask, listens};

fn promtool(text: &str) -> Said {
    let program = venvs().join("promtool/bin/promtool");
    assert!(program.exists(), "{} is missing: run `bash tests/venvs.sh` first", program.display());
    let mut command = Command::new(program);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads to the end");
    Said::from_child(child)
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let site = Site::new();
    let address = listens(&site, "");
    site.app("shop").tcp().unix().workers(2).args(&["-k", "gthread"]).with("app.py", WSGI).write();
    let blog = site.app("blog").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ostlerd.serving("blog");
    // So that every counter has something to count.
    ostlerd.restart("shop");
    blog.release("app.py", "1 / 0");
    ostlerd.restart_fails("blog");
    let (code, text) = ask(address, "/metrics");
    assert_eq!(code, 200, "{text}");
    for app in ["shop", "blog"] {
        assert!(text.contains(&format!("app=\"{app}\"")), "{text}");
    }
    let said = promtool(&text).exits(0);
    assert_eq!(said.all().trim(), "", "{text}");
    promtool("requests_total{app=\"shop\"").exits(1);
}
