//! What systemd is told of ostlerd: that it is ready, what it does, that its loop goes round. Nothing elsewhere.
//!
//! Decided in the driver's own loop, and so the watchdog's word is the loop's. What finds no room on its way to systemd is
//! told at the next turn.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::scoreboard::monotonic_now;
use super::socket_activation::STORED;
use crate::observe::{Status, status_line};

mod sender;

use sender::{NotifyLine, NotifyMessage, Sender};

/// At least so often, also without a watchdog.
const BEAT: Duration = Duration::from_secs(10);

/// The way to systemd, if it listens.
#[derive(Debug, Default)]
pub struct Notifier {
    way: Option<SystemdLink>,
    /// Whether it is, and whether systemd knows.
    is_ready: bool,
    ready: bool,
    reloading: bool,
    stopping: bool,
    line: String,
    beat: Option<Instant>,
    /// The sockets in systemd's store.
    stored: BTreeSet<u64>,
}

#[derive(Debug)]
struct SystemdLink {
    sender: Sender,
    watchdog: bool,
    period: Duration,
}

impl Notifier {
    /// As the environment says. Starts a thread if systemd listens.
    pub fn from_env() -> Notifier {
        if std::env::var_os("NOTIFY_SOCKET").is_none_or(|name| name.is_empty()) {
            return Notifier::default();
        }
        match Sender::start() {
            Ok(sender) => {
                Notifier::over(sender, sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()))
            }
            Err(error) => {
                tracing::warn!("systemd cannot be told how ostlerd is: {error}");
                Notifier::default()
            }
        }
    }

    /// `watchdog` is how long the loop may stand still.
    fn over(sender: Sender, watchdog: Option<Duration>) -> Notifier {
        let period = watchdog.map_or(BEAT, |limit| (limit / 4).min(BEAT));
        let way = SystemdLink { sender, watchdog: watchdog.is_some(), period };
        Notifier { way: Some(way), ..Notifier::default() }
    }

    /// Has systemd keep these sockets for the next ostlerd, and no others. To be called whenever they may have changed.
    pub(super) fn keep_sockets(&mut self, sockets: &[(u64, BorrowedFd<'_>)]) {
        let Some(way) = &self.way else { return };
        self.stored.retain(|number| {
            let kept = sockets.iter().any(|(it, _)| it == number);
            kept || !way.sender.send(NotifyMessage::Remove(format!("{STORED}{number}")))
        });
        for (number, fd) in sockets {
            let new = !self.stored.contains(number);
            // A copy that cannot be made now is made at a later turn.
            if new
                && let Ok(copy) = fd.try_clone_to_owned()
                && way.sender.send(NotifyMessage::Store(format!("{STORED}{number}"), copy))
            {
                self.stored.insert(*number);
            }
        }
    }

    /// What systemd has kept already.
    pub(super) fn knows_stored(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.stored.extend(numbers);
    }

    /// ostlerd is ready: systemd is told at the next turn.
    pub(super) fn is_ready(&mut self) {
        self.is_ready = true;
    }

    /// Tells what is new in the picture; to be called at every turn of the loop. `reloading` is true while what stands in the
    /// configuration's files is being put in force.
    pub fn tell(&mut self, status: &Status, reloading: bool) {
        let Some(way) = &self.way else { return };
        let (ready, line) = (self.is_ready, status_line(status));
        let stopping = self.stopping || status.drain.is_some_and(|drain| drain.stopping);
        let reloading = reloading && self.ready && !stopping;
        let mut lines = Vec::new();
        match () {
            () if stopping && !self.stopping => lines.push(NotifyLine::Stopping),
            () if stopping => {}
            () if reloading && !self.reloading => {
                lines.push(NotifyLine::Reloading(i128::from(monotonic_now() / 1000)));
            }
            // Of a reload's end as well.
            () if ready && !self.ready || self.reloading && !reloading => lines.push(NotifyLine::Ready),
            () => {}
        }
        // What begins counts from now on: its first beat cannot wait for the next one's turn.
        let begins = stopping && !self.stopping || reloading && !self.reloading;
        let due = begins || self.beat.is_none_or(|beat| beat.elapsed() >= way.period);
        if line != self.line {
            lines.push(NotifyLine::Status(line.clone()));
        }
        if due && way.watchdog {
            lines.push(NotifyLine::Watchdog);
        }
        if due && (stopping || reloading || !ready) {
            lines.push(NotifyLine::MoreTime);
        }
        if lines.is_empty() || !way.sender.send(NotifyMessage::Lines(lines)) {
            return;
        }
        (self.ready, self.reloading, self.stopping, self.line) = (ready, reloading, stopping, line);
        if due {
            self.beat = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;
    use crate::observe::{ConfigStatus, DrainStatus};

    fn status(stopping: bool) -> Status {
        let drain =
            DrainStatus { since_seconds: 0.0, edge_wait_seconds: 0.0, ends_in_seconds: None, stopping: true };
        let config = ConfigStatus { valid: true, ..ConfigStatus::default() };
        let (version, drain) = (String::new(), stopping.then_some(drain));
        Status { version, pid: 1, draining: stopping, drain, config, apps: Vec::new() }
    }

    fn pair(watchdog: Option<Duration>) -> (Receiver<NotifyMessage>, Notifier) {
        let (messages, systemd) = sync_channel(1);
        (systemd, Notifier::over(Sender::to(messages), watchdog))
    }

    /// The lines of the message that was sent, none if none was.
    fn sent(systemd: &Receiver<NotifyMessage>) -> Vec<NotifyLine> {
        match systemd.try_recv() {
            Ok(NotifyMessage::Lines(lines)) => lines,
            Ok(other) => panic!("{other:?}"),
            Err(_) => Vec::new(),
        }
    }

    fn no_apps() -> NotifyLine {
        NotifyLine::Status("no apps yet: put one into apps.d".to_owned())
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let (systemd, mut notifier) = pair(None);
        notifier.is_ready();
        notifier.tell(&status(false), false);
        assert_eq!(sent(&systemd), [NotifyLine::Ready, no_apps()]);
        notifier.tell(&status(false), false);
        assert_eq!(sent(&systemd), []);
        notifier.tell(&status(true), false);
        let line = NotifyLine::Status("stopping: no apps yet: put one into apps.d".to_owned());
        assert_eq!(sent(&systemd), [NotifyLine::Stopping, line, NotifyLine::MoreTime]);
    }

    #[test]
    fn a_reload_has_a_beginning_an_end_and_as_much_time_as_it_takes() {
        let (systemd, mut notifier) = pair(Some(Duration::from_nanos(1)));
        notifier.tell(&status(false), true);
        assert_eq!(sent(&systemd), [no_apps(), NotifyLine::Watchdog, NotifyLine::MoreTime]);
        notifier.is_ready();
        notifier.tell(&status(false), true);
        assert_eq!(sent(&systemd), [NotifyLine::Ready, NotifyLine::Watchdog]);
        let before = i128::from(monotonic_now() / 1000);
        notifier.tell(&status(false), true);
        let lines = sent(&systemd);
        let [NotifyLine::Reloading(since), NotifyLine::Watchdog, NotifyLine::MoreTime] = lines[..] else {
            panic!("{lines:?}")
        };
        assert!((before..=i128::from(monotonic_now() / 1000)).contains(&since), "{since}");
        notifier.tell(&status(false), true);
        assert_eq!(sent(&systemd), [NotifyLine::Watchdog, NotifyLine::MoreTime]);
        notifier.tell(&status(false), false);
        assert_eq!(sent(&systemd), [NotifyLine::Ready, NotifyLine::Watchdog]);
        notifier.tell(&status(true), true);
        assert_eq!(sent(&systemd).first(), Some(&NotifyLine::Stopping));
    }

    #[test]
    fn the_watchdog_is_told_of_the_loop_and_of_time_that_is_needed() {
        let (systemd, mut notifier) = pair(Some(Duration::from_nanos(1)));
        notifier.tell(&status(true), false);
        sent(&systemd);
        notifier.tell(&status(true), false);
        assert_eq!(sent(&systemd), [NotifyLine::Watchdog, NotifyLine::MoreTime]);
    }

    #[test]
    fn sockets_are_stored_once_and_taken_out_when_they_are_closed() {
        use std::os::fd::AsFd;
        let (systemd, mut notifier) = pair(None);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        notifier.keep_sockets(&[(7, socket.as_fd())]);
        let Ok(NotifyMessage::Store(name, _)) = systemd.try_recv() else { panic!("it is not stored") };
        assert_eq!(name, "ostler-listen-7");
        notifier.keep_sockets(&[(7, socket.as_fd())]);
        assert!(systemd.try_recv().is_err());
        notifier.keep_sockets(&[]);
        let Ok(NotifyMessage::Remove(name)) = systemd.try_recv() else { panic!("it is not removed") };
        assert_eq!(name, "ostler-listen-7");
    }

    #[test]
    fn what_finds_no_room_is_sent_later() {
        use std::os::fd::AsFd;
        let (systemd, mut notifier) = pair(None);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        notifier.is_ready();
        notifier.knows_stored([7]);
        notifier.tell(&status(false), false);
        notifier.tell(&status(true), false);
        notifier.keep_sockets(&[(8, socket.as_fd())]);
        assert_eq!(sent(&systemd), [NotifyLine::Ready, no_apps()]);
        assert!(systemd.try_recv().is_err());
        notifier.tell(&status(true), false);
        assert_eq!(sent(&systemd).first(), Some(&NotifyLine::Stopping));
        notifier.keep_sockets(&[(8, socket.as_fd())]);
        assert!(matches!(systemd.try_recv(), Ok(NotifyMessage::Remove(name)) if name.ends_with("-7")));
        notifier.keep_sockets(&[(8, socket.as_fd())]);
        assert!(matches!(systemd.try_recv(), Ok(NotifyMessage::Store(name, _)) if name.ends_with("-8")));
    }
}
