//! What is known of the machine's drain and of the shutdown, kept apart from the core.

use std::time::Duration;

use ostler::supervise::{Command, ConfigFound, Event, Moment};

#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) delay: Duration,
    /// Since when readiness has to fail.
    pub(crate) drained: Option<Moment>,
    /// When the drain ends by itself, in a time that counts from when the edge has noticed.
    pub(crate) length: Option<Duration>,
    /// When the last drain began, ended or not.
    pub(crate) last: Moment,
    /// Whether somebody asked for the end.
    pub(crate) shutdown: bool,
    /// Whether the apps may be stopped for it.
    pub(crate) stopping: bool,
}

impl Machine {
    /// Writes down what the core is told; called before anything else is.
    pub(crate) fn hear(&mut self, now: Moment, event: &Event, in_force: Option<&ConfigFound>) {
        if let Some(found) = in_force.filter(|_| !self.shutdown) {
            self.delay = found.machine.edge_delay;
        }
        match event {
            Event::Requested { command, .. } => self.requested(now, command),
            Event::EndExplained { restart: false } => self.requested(now, &Command::Shutdown),
            _ => {}
        }
        let Some(since) = self.drained else { return };
        let noticed = now >= since + self.delay;
        self.stopping |= self.shutdown && noticed;
        if self.ends_at().is_some_and(|at| now >= at) {
            self.drained = None;
        }
    }

    pub(crate) fn requested(&mut self, now: Moment, request: &Command) {
        match request {
            Command::Shutdown => self.shutdown = true,
            Command::ShutdownNow => (self.shutdown, self.stopping) = (true, true),
            _ if self.shutdown => return,
            Command::Drain { length } => {
                self.length = match self.drained {
                    None => *length,
                    Some(_) => self.length.zip(*length).map(|(one, other)| one.max(other)),
                }
            }
            Command::Undrain => {
                self.drained = None;
                return;
            }
            _ => return,
        }
        if self.drained.is_none() {
            (self.drained, self.last) = (Some(now), now);
        }
    }

    pub(crate) fn ends_at(&self) -> Option<Moment> {
        let length = self.length.filter(|_| !self.shutdown)?;
        self.drained.map(|since| since + self.delay + length)
    }

    /// When the edge has noticed the last drain.
    pub(crate) fn noticed_at(&self) -> Moment {
        self.last + self.delay
    }
}
