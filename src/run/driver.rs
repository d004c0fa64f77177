//! The one loop: everything that happens comes in here, goes through the core, and leaves as actions and a new picture.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::health::Ports;
use super::heap::Heap;
use super::inbox::{Inbound, Inbox};
use super::notify::Notifier;
use super::scoreboard;
use super::shell::Shell;
use super::signals::Signals;
use super::state_writer::StateWriter;
use crate::config::Saturation;
use crate::control::{ChannelEnds, GivenCommand};
use crate::observe::health::{Pulse, Sources, Vitals};
use crate::observe::{Counters, Status};
use crate::supervise::{Action, Command, Event, HandoverBy, Moment, ProcessFact, Supervisor};

mod inbound;
mod leaving;
mod signalled;

/// How often the scoreboards are read.
const LOOK: Duration = Duration::from_secs(1);
/// With every so many looks, memory is read as well: it costs a file for each worker.
const LOOKS_PER_RSS: u64 = 5;
/// With every so many looks, memory that has become free is given back.
const LOOKS_PER_HEAP: u64 = 20;

/// The loop and what it owns.
#[derive(Debug)]
pub struct Driver {
    supervisor: Supervisor,
    shell: Shell,
    origin: Instant,
    facts: mpsc::UnboundedReceiver<Event>,
    inbox: mpsc::UnboundedReceiver<Inbound>,
    control: ChannelEnds,
    signals: Signals,
    looks: u64,
    exit: bool,
    pulse: Pulse,
    vitals: watch::Sender<Vitals>,
    state_writer: StateWriter,
    /// The same as `origin`, as the next ostlerd understands it.
    origin_nanoseconds: u64,
    /// How to make room for the next ostlerd, as soon as that can be.
    leaves: Option<HandoverBy>,
    systemd: Notifier,
    ports: Option<Ports>,
    heap: Heap,
}

impl Driver {
    /// A driver for `supervisor`, which has done nothing yet.
    pub(super) fn new(
        supervisor: Supervisor,
        shell: Shell,
        Inbox { facts, inbox }: Inbox,
        control: ChannelEnds,
        signals: Signals,
        state_writer: StateWriter,
    ) -> Self {
        let origin = Instant::now();
        let (pulse, vitals) = (Pulse::new(), watch::Sender::default());
        Driver {
            supervisor,
            shell,
            origin,
            facts,
            inbox,
            control,
            signals,
            looks: 0,
            exit: false,
            pulse,
            vitals,
            state_writer,
            origin_nanoseconds: scoreboard::monotonic_now(),
            leaves: None,
            systemd: Notifier::from_env(),
            ports: None,
            heap: Heap::default(),
        }
    }

    /// Goes on from where an earlier ostlerd ended: its moments, its counters.
    pub(super) fn going_on(mut self, origin_nanoseconds: u64, counters: Counters) -> Self {
        self.origin = scoreboard::time_at(origin_nanoseconds).map_or(self.origin, Instant::from_std);
        self.origin_nanoseconds = origin_nanoseconds;
        self.vitals.send_replace(Vitals::with(counters));
        self
    }

    /// What systemd holds already for the next ostlerd.
    pub(super) fn with_stored(mut self, numbers: Vec<u64>) -> Self {
        self.systemd.knows_stored(numbers);
        self
    }

    /// Where health is answered.
    pub(super) fn with_ports(mut self, ports: Ports) -> Self {
        self.ports = Some(ports);
        self
    }

    /// What health is answered from.
    pub fn health(&self, saturation: Saturation) -> Sources {
        let (status, vitals) = (self.control.status.subscribe(), self.vitals.subscribe());
        let (pulse, viewers) = (self.pulse.clone(), Default::default());
        Sources { status, vitals, pulse, saturation, token: None, viewers }
    }

    /// Runs until the core says that everything has ended.
    pub async fn run(mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.fact(Event::TimePassed);
        self.publish();
        self.keep(true);
        while !self.exit {
            self.pulse.beat();
            let due = self.supervisor.next_deadline().map(|due| self.origin + due.since_origin());
            let load = self.supervisor.next_load_look();
            let load_due = load.as_ref().map(|load| self.origin + load.due.since_origin());
            tokio::select! {
                Some(event) = self.facts.recv() => self.heard(event),
                Some(inbound) = self.inbox.recv() => self.inbound(inbound),
                Some(given) = self.control.commands.recv() => self.given(given),
                Some(asked) = self.control.looks.recv() => {
                    let view = self.view();
                    self.shell.look_at_releases(&view, asked);
                }
                signal = self.signals.next() => self.signalled(signal),
                _ = look.tick() => {
                    self.look();
                    self.keep(true);
                }
                effects = self.state_writer.done() => self.put_in_effect(effects),
                () = sleep(due) => self.fact(Event::TimePassed),
                () = sleep(load_due) => {
                    let Some(load) = load else { continue };
                    let looked = self.shell.look_at_load(load);
                    // It comes often, and most of the time nothing follows: then the picture stays as it is.
                    if !self.tell(looked) {
                        continue;
                    }
                }
            }
            while let Ok(event) = self.facts.try_recv() {
                self.heard(event);
            }
            self.publish();
            self.keep(false);
            if self.leave().await {
                return;
            }
        }
        self.shell.close().await;
        self.state_writer.remove().await;
    }

    fn heard(&mut self, mut event: Event) {
        if let Event::Process { process: worker, fact: ProcessFact::Exited(exit) } = &mut event {
            *exit = self.shell.classify_exit(*worker, *exit);
            if let Some(served) = self.shell.served(*worker) {
                self.vitals.send_modify(|vitals| vitals.ended(*worker, served));
            }
            self.shell.forget(*worker);
        }
        self.fact(event);
    }

    fn inbound(&mut self, inbound: Inbound) {
        let Some(inbound) = self.once_bound(inbound) else { return };
        match inbound {
            Inbound::Prepared { app, looked, done } => self.prepared(app, *looked, done),
            Inbound::SocketsMade { app, done } => self.shell.sockets_made(&app, done),
            Inbound::Reread { purpose, looked, done } => self.reread(purpose, looked, done),
            Inbound::FilesChanged => {
                tracing::info!("the configuration's files have changed: reading them anew");
                self.unasked(Command::Reload);
            }
            Inbound::ReleaseLinkObserved { app, fact } => {
                self.shell.link_rests(&app);
                self.fact(Event::ReleaseLinkObserved { app, fact });
            }
            Inbound::Forked { worker, forked } => {
                if let Some(event) = self.shell.forked(worker, forked) {
                    self.fact(event);
                }
            }
            Inbound::TablesKept { app, generation } => self.shell.tables_kept(app, generation),
            Inbound::ReleasesLooked { found } => self.shell.releases_looked(found),
        }
    }

    fn given(&mut self, GivenCommand { command, answer }: GivenCommand) {
        match command {
            Command::MigrationPlan { app } => return self.shell.tell_pending(app, &self.view(), answer),
            Command::MigrationHistory { app } => return self.shell.tell_history(&app, answer),
            Command::Served => {
                // Whoever asked may have gone.
                let _ = answer.send(self.shell.what_is_served(self.supervisor.plan()));
                return;
            }
            _ => {}
        }
        let id = self.shell.expect_answer(Some(answer));
        self.fact(Event::Requested { id, command });
    }

    /// Asks the core for something of which the log alone is told.
    fn unasked(&mut self, command: Command) {
        let id = self.shell.expect_answer(None);
        self.fact(Event::Requested { id, command });
    }

    /// Comes round also where there is nothing to look at: health asks whether this loop does.
    fn look(&mut self) {
        self.shell.cut_scoreboards_back();
        if let Some(ports) = &mut self.ports {
            ports.look(self.looks);
        }
        if self.looks.is_multiple_of(LOOKS_PER_HEAP) {
            self.heap.give_back();
        }
        self.looks += 1;
        if !self.shell.has_workers() {
            return;
        }
        let memory = self.looks.is_multiple_of(LOOKS_PER_RSS);
        let seen = self.shell.look(memory);
        self.fact(Event::WorkersObserved { seen });
    }

    fn fact(&mut self, event: Event) {
        self.tell(event);
    }

    /// Tells the core, and does what it says; whether that was anything.
    fn tell(&mut self, event: Event) -> bool {
        tracing::trace!(?event, "event");
        let actions = self.supervisor.handle(Moment::at(self.origin.elapsed()), event);
        let any = !actions.is_empty();
        for action in actions {
            tracing::trace!(?action, "action");
            match action {
                Action::Exit => self.exit = true,
                Action::TellReady => self.systemd.is_ready(),
                Action::Announce(event) => {
                    crate::observe::announce(&event);
                    self.vitals.send_modify(|vitals| vitals.heard(&event));
                    // Nobody need listen.
                    let _ = self.control.events.send(event);
                }
                action => self.shell.perform(action),
            }
        }
        any
    }

    fn publish(&mut self) {
        self.shell.health_unanswered(self.ports.iter().flat_map(Ports::unanswered));
        let view = self.view();
        let status = Status::new(&view, &self.shell.facts(&view));
        self.vitals.send_modify(|vitals| vitals.seen(&status, self.origin.elapsed()));
        let ports = self.ports.iter().flat_map(Ports::sockets);
        self.systemd.keep_sockets(&self.shell.sockets().into_iter().chain(ports).collect::<Vec<_>>());
        self.systemd.tell(&status, view.reloading);
        self.control.status.send_replace(Arc::new(status));
        let owners = self.shell.owners();
        self.control.owners.send_if_modified(|known| {
            let changed = *known != owners;
            *known = owners;
            changed
        });
        self.shell.published();
    }
}

async fn sleep(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
