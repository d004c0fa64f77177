//! The signals that ostlerd answers, as one stream.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// SIGTERM.
    Terminate,
    /// The first SIGINT.
    Interrupt,
    /// Another SIGINT: whoever sits at the keyboard has lost patience.
    InterruptAgain,
    /// SIGHUP.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGTTIN.
    TtyIn,
    /// SIGTTOU.
    TtyOut,
    /// SIGCHLD: a child has ended, see [`sweep`](super::children::Children::sweep).
    ChildEnded,
}

/// The stream. Signals of one kind that come before they are looked at are one.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    user1: unix::Signal,
    user2: unix::Signal,
    tty_in: unix::Signal,
    tty_out: unix::Signal,
    child: unix::Signal,
    interrupted: bool,
}

impl Signals {
    /// Listens from now on; without it these signals would end or stop ostlerd. Needs the runtime.
    pub fn listen() -> io::Result<Signals> {
        let on = |number: nix::libc::c_int| unix::signal(SignalKind::from_raw(number));
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
            user1: unix::signal(SignalKind::user_defined1())?,
            user2: unix::signal(SignalKind::user_defined2())?,
            tty_in: on(nix::libc::SIGTTIN)?,
            tty_out: on(nix::libc::SIGTTOU)?,
            child: unix::signal(SignalKind::child())?,
            interrupted: false,
        })
    }

    /// The next one. Nothing is lost where this is dropped before it is ready.
    pub async fn next(&mut self) -> Arrived {
        tokio::select! {
            _ = self.terminate.recv() => Arrived::Terminate,
            _ = self.interrupt.recv() => {
                if std::mem::replace(&mut self.interrupted, true) {
                    Arrived::InterruptAgain
                } else {
                    Arrived::Interrupt
                }
            }
            _ = self.hangup.recv() => Arrived::Hangup,
            _ = self.user1.recv() => Arrived::User1,
            _ = self.user2.recv() => Arrived::User2,
            _ = self.tty_in.recv() => Arrived::TtyIn,
            _ = self.tty_out.recv() => Arrived::TtyOut,
            _ = self.child.recv() => Arrived::ChildEnded,
        }
    }
}
