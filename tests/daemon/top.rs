//! `ostler top` on a real terminal: in tmux, and on one that takes nothing.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use ostler::supervise::GenerationId;

use crate::harness::{Said, Site, WSGI, kill, until};

/// A session of 80 by 24 with a shell in it, on a server of its own.
struct Tmux<'a> {
    site: &'a Site,
}

impl<'a> Tmux<'a> {
    fn start(site: &'a Site) -> Tmux<'a> {
        let tmux = Tmux { site };
        tmux.say(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "/bin/sh"]);
        tmux
    }

    fn say(&self, args: &[&str]) -> Said {
        let (name, mark) = self.site.mark();
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.site.path("tmux")).args(args).env(name, mark).env_remove("TMUX");
        command.env("LC_ALL", "C.UTF-8").env("PS1", "$ ").env_remove("NO_COLOR").stdin(Stdio::null());
        Said::of(&mut command).exits(0)
    }

    fn screen(&self) -> String {
        self.say(&["capture-pane", "-p"]).out
    }

    #[track_caller]
    fn shows(&self, parts: &[&str]) -> String {
        let mut last = String::new();
        let seen = crate::harness::eventually(std::time::Duration::from_secs(60), || {
            last = self.screen();
            parts.iter().all(|part| last.contains(part)).then_some(())
        });
        assert!(seen.is_some(), "waited in vain for {parts:?} on the screen:\n{last}");
        last
    }

    fn keys(&self, keys: &[&str]) {
        self.say(&[&["send-keys"], keys].concat());
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        self.say(&["kill-server"]);
    }
}

#[test]
fn top_shows_changes_and_outlives_ostlerd_on_a_screen_of_80_by_24() {
    let site = Site::new();
    site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let mut ostlerd = site.start();
    ostlerd.serving("shop");
    let tmux = Tmux::start(&site);
    let program = env!("CARGO_BIN_EXE_ostler");
    let line = format!("echo be''fore; {program} --socket {} top; echo exit $?", site.socket().display());
    tmux.keys(&[&line, "Enter"]);
    let screen = tmux.shows(&["> shop serving", "2/2", "REQ/S", "w1 ", "w2 ", "q quit"]);
    assert!(!screen.contains("before"), "it has a screen of its own:\n{screen}");

    tmux.keys(&["r"]);
    tmux.shows(&["Restart shop?", "the 2 old ones", "y: do it"]);
    tmux.keys(&["y"]);
    ostlerd.wait("shop", "has another generation", |app| app.generation == Some(GenerationId(2)));
    tmux.shows(&["restart of shop: ", "g2", "2/2"]);
    tmux.keys(&["+"]);
    tmux.shows(&["Keep 3 workers of shop?"]);
    tmux.keys(&["y"]);
    tmux.shows(&["3/3"]);

    ostlerd.crash();
    tmux.shows(&["ostlerd is not reachable, trying again since", "> shop serving"]);
    ostlerd = site.start();
    ostlerd.serving("shop");
    let pid = format!("ostlerd {}, pid {}", env!("CARGO_PKG_VERSION"), ostlerd.process().0);
    let screen = tmux.shows(&[&pid, "> shop serving", "3/3"]);
    assert!(!screen.contains("not reachable"), "{screen}");

    tmux.keys(&["q"]);
    let screen = tmux.shows(&["before", "exit 0"]);
    assert!(!screen.contains("REQ/S"), "the screen is as it was:\n{screen}");
}

#[test]
fn a_restart_that_fails_says_why_on_the_screen() {
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    std::fs::write(app.directory.join("app.py"), "raise ValueError('no good')").expect("the folder is ours");
    let tmux = Tmux::start(&site);
    let program = env!("CARGO_BIN_EXE_ostler");
    tmux.keys(&[&format!("{program} --socket {} top", site.socket().display()), "Enter"]);
    tmux.shows(&["> shop serving"]);
    tmux.keys(&["r"]);
    tmux.shows(&["Restart shop?"]);
    tmux.keys(&["y"]);
    tmux.shows(&["restart of shop: rolled back", "(e: more)"]);
    tmux.keys(&["e"]);
    tmux.shows(&["ValueError: no good", "Esc: back"]);
    assert_eq!(ostlerd.app("shop").generation, Some(GenerationId(1)));
}

#[test]
fn top_without_a_terminal_is_a_usage_error_that_names_what_to_use() {
    let site = Site::new();
    site.ostler(&["top", "--json"]).exits(64).says(&["ostler status --json"]);
    let ostlerd = site.start();
    ostlerd.ostler(&["top"]).exits(64).says(&["needs a terminal", "`ostler status`"]);
    drop(ostlerd);
    let pty = openpty(None, None).expect("a terminal");
    let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor is free"));
    let mut command = site.ostler_command(&["top"]);
    command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(Stdio::piped());
    let child = command.spawn().expect("the command starts");
    let output = child.wait_with_output().expect("the child is ours");
    assert_eq!(output.status.code(), Some(69), "nothing to show: {output:?}");
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_nobody_and_fills_no_memory() {
    let site = Site::new();
    site.app("shop").tcp().workers(2).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("a terminal");
    let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor is free"));
    let mut command = site.ostler_command(&["top"]);
    command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().expect("the command starts");
    let pid = child.id() as i32;
    let mut keys = File::from(pty.master.as_fd().try_clone_to_owned().expect("a descriptor is free"));
    // Nobody reads. Help comes and goes until its thread that writes waits for ever.
    until("it waits for the terminal", || {
        keys.write_all(b"?").expect("it reads keys");
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let waits = |task: std::fs::DirEntry| {
            let place = std::fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            place.contains("write") || call.starts_with("1 0x1 ") || call.starts_with("64 0x1 ")
        };
        tasks.flatten().any(waits).then_some(())
    });
    for _ in 0..200 {
        keys.write_all(b"?").expect("it reads keys");
    }
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it lives");
    let pages: u64 = statm.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    assert!(pages * 4096 < 40 << 20, "{pages} pages");
    kill(pid, Signal::SIGTERM);
    let status = until("it ends", || child.try_wait().expect("the child is ours"));
    assert_eq!(status.code(), Some(143));
}
