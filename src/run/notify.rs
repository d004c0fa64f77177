//! What systemd hears of ostlerd: that it is ready, what it does, that its loop goes round. Nothing elsewhere.
//!
//! Sent from the driver's own loop, and so the watchdog's word is the loop's. Nothing here waits: what systemd
//! does not take now, it is told at the next turn.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::passed::STORED;
use super::scoreboard::monotonic_now;
use crate::observe::{Stage, Status, status_line};

/// While ostlerd starts, reloads or stops, systemd is asked for so much more time with every beat: the limits are
/// ostlerd's own (`boot_timeout`, a migration's budgets, the edge's delay, `graceful_timeout`), and systemd's are there
/// for a loop that stands still.
const EXTENSION: Duration = Duration::from_secs(60);

/// At least so often, also without a watchdog.
const BEAT: Duration = Duration::from_secs(10);

/// The way to systemd, where it waits to hear something.
#[derive(Debug, Default)]
pub struct Notifier {
    way: Option<Way>,
    ready: bool,
    reloading: bool,
    stopping: bool,
    line: String,
    beat: Option<Instant>,
    /// The sockets in systemd's store.
    stored: BTreeSet<u64>,
}

#[derive(Debug)]
struct Way {
    socket: UnixDatagram,
    systemd: SocketAddr,
    watchdog: bool,
    period: Duration,
}

impl Way {
    fn send(&self, words: &str, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&self.systemd)?;
        let fds: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
        let words = [IoSlice::new(words.as_bytes())];
        sendmsg::<()>(socket.as_raw_fd(), &words, rights, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }
}

impl Notifier {
    /// As the environment says.
    pub fn from_env() -> Notifier {
        let Some(name) = std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()) else {
            return Notifier::default();
        };
        let watchdog = watchdog(|name| std::env::var(name).ok());
        Notifier::to(&name, watchdog).unwrap_or_else(|error| {
            tracing::warn!("systemd cannot be told how ostlerd is: NOTIFY_SOCKET={name}: {error}");
            Notifier::default()
        })
    }

    fn to(name: &str, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let systemd = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let period = watchdog.map_or(BEAT, |limit| (limit / 4).min(BEAT));
        let way = Way { socket, systemd, watchdog: watchdog.is_some(), period };
        Ok(Notifier { way: Some(way), ..Notifier::default() })
    }

    /// Has systemd keep these sockets for the next ostlerd, and no others. To be called whenever they may have changed.
    pub(super) fn keep_sockets(&mut self, sockets: &[(u64, BorrowedFd<'_>)]) {
        let Some(way) = &self.way else { return };
        let gone: Vec<u64> =
            self.stored.iter().copied().filter(|it| !sockets.iter().any(|(n, _)| n == it)).collect();
        for number in gone {
            if way.send(&format!("FDSTOREREMOVE=1\nFDNAME={STORED}{number}\n"), None).is_ok() {
                self.stored.remove(&number);
            }
        }
        for (number, fd) in sockets {
            let new = !self.stored.contains(number);
            // systemd would throw away one that refuses connections: to it, that looks broken.
            let words = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={STORED}{number}\n");
            if new && way.send(&words, Some(*fd)).is_ok() {
                self.stored.insert(*number);
            }
        }
    }

    /// What systemd has kept already.
    pub(super) fn knows_stored(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.stored.extend(numbers);
    }

    /// Tells what is new in the picture; to be called at every turn of the loop.
    ///
    /// `proven` is false while a restart is not over: the new generations have yet to prove themselves. `reloading` is
    /// true while what stands in the configuration's files is being put in force.
    pub fn tell(&mut self, status: &Status, proven: bool, reloading: bool) {
        let Some(way) = &self.way else { return };
        let (stage, line) = (Stage::of(status), status_line(status));
        let ready = self.ready || proven && stage == Stage::Running;
        let stopping = self.stopping || stage == Stage::Stopping;
        let reloading = reloading && self.ready && !stopping;
        let news = match () {
            () if stopping && !self.stopping => "STOPPING=1\n".to_owned(),
            () if stopping => String::new(),
            () if reloading && !self.reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_now() / 1000)
            }
            // Of a reload's end as well.
            () if ready && !self.ready || self.reloading && !reloading => "READY=1\n".to_owned(),
            () => String::new(),
        };
        // What begins counts from now on: its first beat cannot wait for the next one's turn.
        let begins = stopping && !self.stopping || reloading && !self.reloading;
        let due = begins || self.beat.is_none_or(|beat| beat.elapsed() >= way.period);
        let mut words = news;
        if line != self.line {
            words.push_str(&format!("STATUS={line}\n"));
        }
        if due && way.watchdog {
            words.push_str("WATCHDOG=1\n");
        }
        if due && (stopping || reloading || !ready) {
            words.push_str(&format!("EXTEND_TIMEOUT_USEC={}\n", EXTENSION.as_micros()));
        }
        if words.is_empty() || way.socket.send_to_addr(words.as_bytes(), &way.systemd).is_err() {
            return;
        }
        (self.ready, self.reloading, self.stopping, self.line) = (ready, reloading, stopping, line);
        if due {
            self.beat = Some(Instant::now());
        }
    }
}

/// How long the loop may stand still, where systemd watches this very process.
fn watchdog(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let limit: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
    (ours && limit > 0).then_some(Duration::from_micros(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{ConfigStatus, DrainStatus};

    fn status(stopping: bool) -> Status {
        let drain =
            DrainStatus { since_seconds: 0.0, edge_wait_seconds: 0.0, ends_in_seconds: None, stopping: true };
        let config = ConfigStatus { valid: true, ..ConfigStatus::default() };
        let (version, drain) = (String::new(), stopping.then_some(drain));
        Status { version, pid: 1, draining: stopping, drain, config, apps: Vec::new() }
    }

    fn pair(watchdog: Option<Duration>) -> (UnixDatagram, Notifier) {
        let name = format!("@ostler-notify-{}-{:?}", std::process::id(), std::thread::current().id());
        let address = SocketAddr::from_abstract_name(&name[1..]).expect("a name");
        let systemd = UnixDatagram::bind_addr(&address).expect("the name is free");
        systemd.set_nonblocking(true).expect("it is ours");
        (systemd, Notifier::to(&name, watchdog).expect("a name"))
    }

    fn heard(systemd: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 4096];
        let count = systemd.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let (systemd, mut notifier) = pair(None);
        notifier.tell(&status(false), true, false);
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1\nSTATUS=no apps yet: put one into apps.d\n"));
        notifier.tell(&status(false), true, false);
        assert_eq!(heard(&systemd), None);
        notifier.tell(&status(true), true, false);
        assert_eq!(
            heard(&systemd).as_deref(),
            Some(
                "STOPPING=1\nSTATUS=stopping: no apps yet: put one into apps.d\nEXTEND_TIMEOUT_USEC=60000000\n"
            )
        );
    }

    #[test]
    fn a_reload_has_a_beginning_an_end_and_as_much_time_as_it_takes() {
        let (systemd, mut notifier) = pair(Some(Duration::from_nanos(1)));
        notifier.tell(&status(false), false, true);
        assert!(heard(&systemd).is_some_and(|words| !words.contains("READY") && !words.contains("RELOAD")));
        notifier.tell(&status(false), true, true);
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1\nWATCHDOG=1\n"));
        let before = monotonic_now() / 1000;
        notifier.tell(&status(false), true, true);
        let words = heard(&systemd).unwrap_or_default();
        let when =
            words.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.split('\n').next());
        let when: u64 = when.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{words}"));
        assert!((before..=monotonic_now() / 1000).contains(&when), "{words}");
        assert!(words.ends_with("\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000\n"), "{words}");
        notifier.tell(&status(false), true, true);
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000\n"));
        notifier.tell(&status(false), true, false);
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1\nWATCHDOG=1\n"));
        notifier.tell(&status(true), true, true);
        assert!(heard(&systemd).is_some_and(|words| words.starts_with("STOPPING=1\n")));
    }

    #[test]
    fn the_watchdog_hears_of_the_loop_and_of_time_that_is_needed() {
        let (systemd, mut notifier) = pair(Some(Duration::from_nanos(1)));
        notifier.tell(&status(true), true, false);
        notifier.tell(&status(true), true, false);
        let _first = heard(&systemd);
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000\n"));
    }

    #[test]
    fn sockets_are_stored_once_and_taken_out_when_they_are_closed() {
        use std::os::fd::AsFd;
        let (systemd, mut notifier) = pair(None);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        for _ in 0..2 {
            notifier.keep_sockets(&[(7, socket.as_fd())]);
        }
        assert_eq!(heard(&systemd).as_deref(), Some("FDSTORE=1\nFDPOLL=0\nFDNAME=ostler-listen-7\n"));
        assert_eq!(heard(&systemd), None);
        notifier.keep_sockets(&[]);
        assert_eq!(heard(&systemd).as_deref(), Some("FDSTOREREMOVE=1\nFDNAME=ostler-listen-7\n"));
    }

    #[test]
    fn what_systemd_cannot_take_now_it_is_told_later() {
        let (systemd, mut notifier) = pair(None);
        let name = systemd.local_addr().expect("it is bound");
        let filler = UnixDatagram::unbound().expect("a descriptor is free");
        filler.set_nonblocking(true).expect("it is ours");
        while filler.send_to_addr(b"x", &name).is_ok() {}
        notifier.tell(&status(false), true, false);
        while heard(&systemd).is_some_and(|words| words == "x") {}
        notifier.tell(&status(false), true, false);
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1\nSTATUS=no apps yet: put one into apps.d\n"));
    }

    #[test]
    fn only_a_watchdog_over_this_process_counts() {
        let of = |pid: Option<&str>| {
            let pid = pid.map(str::to_owned);
            watchdog(|name| if name == "WATCHDOG_USEC" { Some("5000000".to_owned()) } else { pid.clone() })
        };
        assert_eq!(of(None), Some(Duration::from_secs(5)));
        assert_eq!(of(Some(&std::process::id().to_string())), Some(Duration::from_secs(5)));
        assert_eq!(of(Some("1")), None);
        assert_eq!(watchdog(|_| None), None);
    }
}
