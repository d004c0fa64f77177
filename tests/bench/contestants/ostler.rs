//! ostler itself, the release build.

use std::fs::File;
use std::process::Stdio;

use ostler::observe::{AppStatus, Status};
use ostler::supervise::AppState;

use crate::harness::{AppFile, Gunicorn, Proc, Said, Site, until};
use crate::harness::{free_address, ready};
use crate::load::Target;

use super::tree::{Daemon, apart};
use super::{Server, Shop};

/// A running ostlerd with one app, `shop`.
pub struct Ostler {
    daemon: Daemon,
    app: AppFile,
    /// Where it answers health checks.
    pub health: Target,
    site: Site,
}

impl Ostler {
    /// Starts it with more lines at the top of the app's file.
    pub fn start(shop: &Shop, keys: &[&str]) -> Ostler {
        Ostler::try_start(shop, keys).unwrap_or_else(|said| panic!("the configuration is refused: {said}"))
    }

    /// The same, where a key may be one that this ostlerd does not know: then what it says of the file.
    pub fn try_start(shop: &Shop, keys: &[&str]) -> Result<Ostler, Said> {
        let site = Site::new();
        let mut app =
            site.app("shop").gunicorn(Gunicorn::V27).args(shop.class.args).entry(shop.class.entry).tcp();
        app = app.workers(shop.workers).with("app.py", &shop.text);
        app = app.table(&format!("[rollout]\nsettle = {:?}", shop.settle.unwrap_or("2s")));
        for key in keys {
            app = app.key(key);
        }
        let app = app.write();
        let health = free_address();
        std::fs::write(site.config(), format!("[health]\nlisten = [\"{health}\"]\n"))
            .expect("the folder is ours");
        let check = site.check();
        if check.code != Some(0) {
            return Err(check);
        }
        let log = File::create(site.path("ostlerd.log")).expect("the folder is ours");
        let both = log.try_clone().expect("a descriptor is free");
        let child = apart(&site.command())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .expect("ostlerd starts");
        let ostler = Ostler { daemon: Daemon(child), app, health: Target::Tcp(health), site };
        until("ostlerd serves", || ostler.status().filter(is_complete));
        Ok(ostler)
    }

    /// Waits until it is at full strength.
    pub fn serving(&self) {
        until("ostler serves", || self.status().filter(is_complete));
    }

    /// Waits until every worker has a request.
    pub fn all_busy(&self) {
        let busy = |app: &AppStatus| app.workers.iter().all(|worker| worker.in_flight > 0);
        until("every worker is busy", || self.status().filter(busy));
    }

    /// Its process.
    pub fn process(&self) -> Proc {
        Proc(self.daemon.0.id() as i32)
    }

    fn status(&self) -> Option<AppStatus> {
        let said = self.site.ostler(&["status", "--json"]);
        serde_json::from_str::<Status>(&said.out).ok()?.apps.into_iter().next()
    }
}

fn is_complete(app: &AppStatus) -> bool {
    let complete = app.workers_wanted as usize;
    app.state == AppState::Serving
        && app.rollout.is_none()
        && ready(app).len() == complete
        && app.workers.len() == complete
}

impl Server for Ostler {
    fn target(&self) -> Target {
        self.app.target()
    }

    fn release(&self, text: &str) {
        self.app.release("app.py", text);
    }

    fn ask(&self) {
        self.site.ostler(&["restart", "shop"]);
    }

    fn workers(&self) -> Vec<i32> {
        self.status()
            .map(|app| ready(&app).iter().filter_map(|worker| worker.pid).collect())
            .unwrap_or_default()
    }

    fn supervisor(&self) -> Vec<Proc> {
        // What it has beside its workers, a zygote where there is one, is counted with it.
        let workers = self.workers();
        let others = self.process().children().into_iter().filter(|pid| !workers.contains(pid)).map(Proc);
        [self.process()].into_iter().chain(others).collect()
    }
}
