//! Two servers with the same app, as an edge sees them.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use crate::front::{Edge, Front};
use crate::harness::{AppFile, Ostlerd, Site, WSGI, free_address};
use crate::load::Target;

/// What the servers' apps answer with, and so who answered.
pub const NAMES: [&str; 2] = ["first", "second"];

/// How long the servers go on after readiness has begun to fail: more than each edge needs to notice.
const DELAY: &str = "3s";

/// One of them.
pub struct Server {
    /// Its folder.
    pub site: Site,
    /// Its app, `shop`.
    pub app: AppFile,
    host: IpAddr,
}

/// The two.
pub struct Pair {
    /// In the order of [`NAMES`].
    pub servers: [Server; 2],
}

impl Pair {
    /// Two servers that are set up for this edge and do not run yet. An edge that checks gets its delay.
    pub fn new(edge: &Edge) -> Pair {
        Pair { servers: NAMES.map(|name| Server::new(name, edge)) }
    }

    /// The edge with what the first server prints for both, once it sends clients to both.
    pub fn front(&self, edge: &Edge) -> Front {
        let other = self.servers[1].host.to_string();
        let mut options = vec!["--peer", &other, "--host", "localhost", "--no-tls"];
        options.extend(edge.checks.into_iter().flat_map(|every| ["--check-every", every]));
        let front = Front::start(edge, &self.servers[0].site, &options);
        front.reaches(&NAMES);
        front
    }

    /// Both daemons, once both apps serve.
    pub fn start(&self) -> [Ostlerd<'_>; 2] {
        let running = self.servers.each_ref().map(|server| server.site.start());
        for ostlerd in &running {
            ostlerd.serving("shop");
        }
        running
    }
}

impl Server {
    fn new(name: &str, edge: &Edge) -> Server {
        let site = Site::new();
        let host = free_address().ip();
        let mut config = format!("[health]\nlisten = [\"{host}:9180\"]\n");
        if edge.agent {
            config.push_str(&format!("agent = \"{host}:9181\"\n"));
        }
        config.push_str(&format!("[edge]\npreset = \"{}\"\n", edge.preset));
        if edge.checks.is_some() {
            config.push_str(&format!("delay = \"{DELAY}\"\n"));
        }
        fs::write(site.config(), config).expect("the site's folder is writable");
        // Shorter than what is recommended, so that drains are: there are no idle connections under the load.
        let args = ["-k", "gthread", "--threads", "4", "--keep-alive", "4"];
        let app = site
            .app("shop")
            .args(&args)
            .workers(2)
            .listen(Target::Tcp(SocketAddr::new(host, 8000)))
            // Edges on the same machine that can, take this one.
            .unix()
            .table("[rollout]\nsettle = \"300ms\"\nmax_surge = \"100%\"")
            .with("app.py", &release(name))
            .write();
        Server { site, app, host }
    }

    /// Puts a release in place that does not boot.
    pub fn break_release(&self) {
        self.app.release("app.py", "raise RuntimeError(\"the new code does not start\")\n");
    }

    /// Puts the good one back.
    pub fn mend_release(&self, name: &str) {
        self.app.release("app.py", &release(name));
    }
}

/// The tests' app, answering with this name.
fn release(name: &str) -> String {
    change(WSGI, "RELEASE = \"1\"", &format!("RELEASE = \"{name}\""))
}

/// `text` with another word, which has to be there.
pub fn change(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in:\n{text}");
    text.replace(from, to)
}
