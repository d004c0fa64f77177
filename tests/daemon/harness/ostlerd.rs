//! The running daemon, and what it and its command say.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use ostler::observe::{AppStatus, Status, WorkerStatus};
use ostler::supervise::{AppState, WorkerState};

use super::proc::{Proc, kill};
use super::site::Site;
use super::wait::{GENEROUS, eventually, until};

/// What a program said, and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// The exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Runs the command to its end.
    pub fn of(command: &mut Command) -> Said {
        Said::within(GENEROUS, command)
    }

    /// The same of one that may take long, such as the installation of packages.
    pub fn within(limit: Duration, command: &mut Command) -> Said {
        let child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        Said::from_child_within(limit, child)
    }

    /// Waits for a command that was started with both outputs piped; kills one that does not end.
    pub fn from_child(child: Child) -> Said {
        Said::from_child_within(GENEROUS, child)
    }

    fn from_child_within(limit: Duration, child: Child) -> Said {
        let pid = child.id() as i32;
        let reader = std::thread::spawn(move || child.wait_with_output().expect("the child is ours"));
        let ended = eventually(limit, || reader.is_finished().then_some(()));
        if ended.is_none() {
            kill(pid, Signal::SIGKILL);
        }
        let output = reader.join().expect("the reader does not panic");
        let said = Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(ended.is_some(), "a command did not end within {limit:?}: {said}");
        said
    }

    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Fails the test where the exit status is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "the exit status should be {code}: {self}");
        self
    }

    /// Fails the test where a part is missing from what was said; upper and lower case are one.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Said {
        let all = self.all().to_lowercase();
        for part in parts {
            assert!(all.contains(&part.to_lowercase()), "{part:?} should be in what was said: {self}");
        }
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// A running `ostlerd`. Dropped, it is asked to end, and the test fails where it leaves something.
pub struct Ostlerd<'a> {
    site: &'a Site,
    child: Child,
    ended: Option<ExitStatus>,
}

impl<'a> Ostlerd<'a> {
    pub(super) fn start(site: &'a Site) -> Ostlerd<'a> {
        Ostlerd::run(site, site.command())
    }

    pub(super) fn run(site: &'a Site, mut command: Command) -> Ostlerd<'a> {
        let log = File::options().create(true).append(true).open(site.path("ostlerd.log"));
        let log = log.expect("the site's folder is writable");
        let both = log.try_clone().expect("a descriptor is free");
        let child = command.stdout(both).stderr(log).spawn().expect("ostlerd starts");
        let mut ostlerd = Ostlerd { site, child, ended: None };
        until("ostlerd answers on its control socket", || {
            let status = ostlerd.child.try_wait().expect("the child is ours");
            assert!(status.is_none(), "ostlerd ended at once, {status:?}:\n{}", ostlerd.log());
            (site.socket().exists() && site.ostler(&["status", "--json"]).code != Some(69)).then_some(())
        });
        ostlerd
    }

    /// Its process.
    pub fn process(&self) -> Proc {
        Proc(self.child.id() as i32)
    }

    /// Its log so far, with what the workers print.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.site.path("ostlerd.log")).unwrap_or_default()).into_owned()
    }

    /// The command.
    pub fn ostler(&self, args: &[&str]) -> Said {
        self.site.ostler(args)
    }

    /// Sends a signal to ostlerd.
    pub fn signal(&self, signal: Signal) {
        kill(self.process().0, signal);
    }

    /// The machine.
    #[track_caller]
    pub fn status(&self) -> Status {
        // 1 is a status that shows something wrong, which many a test wants to see.
        let said = self.ostler(&["status", "--json"]);
        assert!(matches!(said.code, Some(0 | 1)), "{said}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("status --json: {error}: {said}"))
    }

    /// One app.
    #[track_caller]
    pub fn app(&self, name: &str) -> AppStatus {
        let status = self.status();
        let found = status.apps.iter().find(|app| app.name.as_str() == name).cloned();
        found.unwrap_or_else(|| panic!("no app {name:?} in {status:#?}"))
    }

    /// Waits until `holds` is true of the app.
    #[track_caller]
    pub fn wait(&self, name: &str, what: &str, holds: impl Fn(&AppStatus) -> bool) -> AppStatus {
        let mut last = None;
        let seen = eventually(GENEROUS, || {
            let app = self.app(name);
            let found = holds(&app);
            last = Some(app);
            found.then_some(())
        });
        let last = last.expect("looked at least once");
        assert!(seen.is_some(), "waited {GENEROUS:?} in vain until {name} {what}; last: {last:#?}");
        last
    }

    /// Waits until the app serves at full strength, nothing else under way.
    #[track_caller]
    pub fn serving(&self, name: &str) -> AppStatus {
        self.wait(name, "serves", |app| {
            app.state == AppState::Serving
                && app.rollout.is_none()
                && ready(app).len() == app.workers_wanted as usize
                && app.workers.len() == app.workers_wanted as usize
        })
    }

    /// The processes of the app's ready workers.
    #[track_caller]
    pub fn pids(&self, name: &str) -> Vec<i32> {
        ready(&self.app(name)).iter().filter_map(|worker| worker.pid).collect()
    }

    /// `ostler restart`, which has to commit.
    #[track_caller]
    pub fn restart(&self, name: &str) -> Said {
        self.ostler(&["restart", name]).exits(0)
    }

    /// `ostler restart`, which has to be rolled back: exit status 1.
    #[track_caller]
    pub fn restart_fails(&self, name: &str) -> Said {
        self.ostler(&["restart", name]).exits(1)
    }

    /// Waits until the log has this text.
    #[track_caller]
    pub fn logs(&self, text: &str) {
        let seen = eventually(GENEROUS, || self.log().contains(text).then_some(()));
        assert!(seen.is_some(), "waited {GENEROUS:?} in vain for {text:?} in the log");
    }

    /// Waits until ostlerd has ended by itself.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let status = until("ostlerd ends", || self.child.try_wait().expect("the child is ours"));
        self.ended = Some(status);
        status
    }

    /// Ends it as `kill -9` does; the workers go on.
    pub fn crash(mut self) {
        self.signal(Signal::SIGKILL);
        self.ended = Some(self.child.wait().expect("the child is ours"));
    }

    /// Ends it as `kill -9` does, and the workers with it; when it returns, none of them runs.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.ended = Some(self.child.wait().expect("the child is ours"));
        let workers = self.site.processes();
        workers.iter().for_each(|process| kill(process.0, Signal::SIGKILL));
        until("what was killed has ended", || (!workers.iter().any(|it| it.lives())).then_some(()));
    }

    /// Waits for one that was killed; what it ran is the test's to end.
    #[allow(dead_code, reason = "for the tests of migrations")]
    pub fn abandon(mut self) {
        self.ended = Some(self.child.wait().expect("the child is ours"));
    }

    fn end(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        let ended = eventually(GENEROUS, || self.child.try_wait().expect("the child is ours"));
        if ended.is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
        ended
    }
}

impl Drop for Ostlerd<'_> {
    fn drop(&mut self) {
        let by_itself = self.ended.is_some();
        let ended = self.ended.or_else(|| self.end());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of ostlerd's log\n{}", lines[lines.len().saturating_sub(80)..].join("\n"));
            return;
        }
        let Some(status) = ended else { panic!("ostlerd did not end on SIGTERM:\n{}", self.log()) };
        if by_itself {
            return;
        }
        assert!(status.success(), "ostlerd ended with {status} on SIGTERM:\n{}", self.log());
        let control = self.site.socket();
        assert!(!control.exists(), "{} was left behind", control.display());
    }
}

/// The workers that take clients.
pub fn ready(app: &AppStatus) -> Vec<&WorkerStatus> {
    app.workers.iter().filter(|worker| worker.state == WorkerState::Ready).collect()
}
