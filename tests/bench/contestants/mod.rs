//! Who is compared: how each is started, reloaded and looked into. One file each.

mod circus;
mod gunicorn;
mod ostler;
mod supervisord;
mod systemd;
mod threaded;
mod tree;

use crate::Effort;
use crate::harness::{Proc, until};
use crate::load::Target;

pub use gunicorn::start_with as gunicorn_with;
pub use ostler::Ostler;
pub use tree::versions;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contestant {
    /// This.
    Ostler,
    /// gunicorn under its own master, reloaded with SIGHUP.
    Gunicorn,
    /// Granian, reloaded with SIGHUP.
    Granian,
    /// uWSGI with a chain reload.
    Uwsgi,
    /// circus, which holds the socket, with uvicorn as its workers.
    Circus,
    /// gunicorn under supervisord, restarted with supervisorctl.
    Supervisord,
    /// gunicorn as a service of systemd, which holds the socket, restarted with systemctl.
    Systemd,
}

impl Contestant {
    /// In the order in which they are shown.
    pub const ALL: [Contestant; 7] = [
        Contestant::Ostler,
        Contestant::Gunicorn,
        Contestant::Granian,
        Contestant::Uwsgi,
        Contestant::Circus,
        Contestant::Supervisord,
        Contestant::Systemd,
    ];

    /// For `--with`.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Ostler => "ostler",
            Contestant::Gunicorn => "gunicorn",
            Contestant::Granian => "granian",
            Contestant::Uwsgi => "uwsgi",
            Contestant::Circus => "circus",
            Contestant::Supervisord => "supervisord",
            Contestant::Systemd => "systemd",
        }
    }

    /// With how it is reloaded.
    pub fn title(self) -> &'static str {
        match self {
            Contestant::Ostler => "ostler: `ostler restart`",
            Contestant::Gunicorn => "gunicorn: SIGHUP",
            Contestant::Granian => "Granian: SIGHUP",
            Contestant::Uwsgi => "uWSGI: chain reload",
            Contestant::Circus => "circus + uvicorn: `circusctl reload`",
            Contestant::Supervisord => "supervisord + gunicorn: `supervisorctl restart`",
            Contestant::Systemd => "systemd's socket + gunicorn: `systemctl restart`",
        }
    }

    /// Whether it can run here. systemd needs a booted machine, which a quick run does not wait for.
    pub fn is_here(self, effort: Effort) -> bool {
        self != Contestant::Systemd || (!effort.quick && systemd::is_here())
    }

    /// Starts it, and waits until it serves and all its workers are there.
    pub fn start(self, shop: &Shop) -> Box<dyn Server> {
        let server = self.begin(shop);
        let all = shop.workers as usize;
        until(format!("{} has {all} workers", self.name()), || (server.workers().len() == all).then_some(()));
        server
    }

    fn begin(self, shop: &Shop) -> Box<dyn Server> {
        match self {
            Contestant::Ostler => Box::new(Ostler::start(shop, &[])),
            Contestant::Gunicorn => Box::new(gunicorn::start(shop)),
            Contestant::Granian => Box::new(threaded::granian(shop)),
            Contestant::Uwsgi => Box::new(threaded::uwsgi(shop)),
            Contestant::Circus => Box::new(circus::start(shop)),
            Contestant::Supervisord => Box::new(supervisord::start(shop)),
            Contestant::Systemd => Box::new(systemd::start(shop)),
        }
    }
}

/// What is served, and by how many.
#[derive(Clone, Debug)]
pub struct Shop {
    /// `app.py`.
    pub text: String,
    /// How many workers.
    pub workers: u32,
    /// What serves it where gunicorn's workers do.
    pub class: Class,
    /// How long ostler's new workers are watched, where it is not the default.
    pub settle: Option<&'static str>,
}

impl Shop {
    /// This app, with this many workers of gunicorn's gthread, four threads each.
    pub fn of(app: crate::app::App, workers: u32) -> Shop {
        Shop { text: app.text(), workers, class: GTHREAD, settle: None }
    }
}

/// A worker class of gunicorn's.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// For people.
    pub name: &'static str,
    /// gunicorn's arguments.
    pub args: &'static [&'static str],
    /// What of the app it serves.
    pub entry: &'static str,
}

const WSGI: &str = "app:application";
const ASGI: &str = "app:asgi";

/// What the contestants with gunicorn have where the class is not what is measured.
pub const GTHREAD: Class = Class { name: "gthread", args: &["-k", "gthread", "--threads", "4"], entry: WSGI };

/// gunicorn's default.
pub const SYNC: Class = Class { name: "sync", args: &["-k", "sync"], entry: WSGI };

/// Every class.
pub const CLASSES: &[Class] = &[
    SYNC,
    GTHREAD,
    Class { name: "gevent", args: &["-k", "gevent"], entry: WSGI },
    Class { name: "tornado", args: &["-k", "tornado"], entry: WSGI },
    Class { name: "asgi", args: &["-k", "asgi"], entry: ASGI },
    Class { name: "uvicorn", args: &["-k", "uvicorn_worker.UvicornWorker"], entry: ASGI },
];

/// A contestant that runs. Dropped, it is ended with everything that it started.
pub trait Server {
    /// Where clients find it.
    fn target(&self) -> Target;

    /// Whether it keeps connections open: where it does not and does not say so, asking twice on one is unfair.
    fn keeps_alive(&self) -> bool {
        true
    }

    /// Puts another `app.py` in its place.
    fn release(&self, text: &str);

    /// Asks for a reload in the way that its own documentation names; may return before it is done.
    fn ask(&self);

    /// The processes that serve clients.
    fn workers(&self) -> Vec<i32>;

    /// The processes that only look after others.
    fn supervisor(&self) -> Vec<Proc>;

    /// Waits until the reload that was asked for is done: none of these workers is left, and as many others are there.
    fn reloaded(&self, before: &[i32]) {
        until("the workers are others", || {
            let now = self.workers();
            (now.len() >= before.len() && before.iter().all(|pid| !now.contains(pid))).then_some(())
        });
    }

    /// Reloads, to the end.
    fn reload(&self) {
        let before = self.workers();
        self.ask();
        self.reloaded(&before);
    }
}
