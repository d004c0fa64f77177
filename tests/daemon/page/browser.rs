//! A browser without a window, spoken to through a pair of pipes: JSON, each message ended by a zero.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::harness::Site;

/// Debian's Chromium with one empty page.
pub struct Browser {
    child: Child,
    to: File,
    from: File,
    unread: Vec<u8>,
    number: u64,
    session: String,
    /// What the page complained about.
    pub complaints: Vec<String>,
}

impl Browser {
    /// Starts it, with everything that it writes inside of the site.
    pub fn start(site: &Site) -> Browser {
        let program = Path::new("/usr/bin/chromium");
        assert!(program.exists(), "chromium is missing: run `bash tests/setup.sh` first");
        let (to, from) = (site.path("to-browser"), site.path("from-browser"));
        for pipe in [&to, &from] {
            mkfifo(pipe, Mode::from_bits_truncate(0o600)).expect("the site's folder is writable");
        }
        let (name, mark) = site.mark();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 3<\"$TO\" 4>\"$FROM\"", "sh"]).arg(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", site.path("browser").display())).arg("about:blank");
        command.env(name, mark).env("TO", &to).env("FROM", &from).env("HOME", site.path("browser"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a shell starts");
        let to = File::options().write(true).open(to).expect("the browser opens its end");
        let from = File::open(from).expect("the browser opens its end");
        let (unread, session) = (Vec::new(), String::new());
        let mut browser = Browser { child, to, from, unread, number: 0, session, complaints: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let whole = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", whole);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Log.enable", "Runtime.enable", "Page.enable"] {
            browser.ask(domain, json!({}));
        }
        browser
    }

    /// Asks for something and waits for the answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser reads");
        loop {
            let message = self.next();
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            let complains = match message["method"].as_str() {
                Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
                method => method == Some("Runtime.exceptionThrown"),
            };
            if complains {
                self.complaints.push(message["params"].to_string());
            }
        }
    }

    fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.unread.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).expect("it speaks JSON");
            }
            let mut bytes = [0; 16 * 1024];
            let length = self.from.read(&mut bytes).expect("the browser lives");
            assert!(length > 0, "the browser has ended");
            self.unread.extend_from_slice(&bytes[..length]);
        }
    }

    /// What a line of script gives in the page.
    #[track_caller]
    pub fn says(&mut self, script: &str) -> Value {
        let all = json!({ "expression": script, "returnByValue": true });
        self.ask("Runtime.evaluate", all)["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session.clear();
        let bye = json!({ "id": self.number + 1, "method": "Browser.close" }).to_string() + "\0";
        // One that has crashed needs no good-bye.
        let _ = self.to.write_all(bye.as_bytes());
        let mut rest = Vec::new();
        let _ = self.from.read_to_end(&mut rest);
        let _ = self.child.wait();
    }
}
