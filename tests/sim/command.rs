//! The command of a simulated migration: what becomes of it, and how it takes being ended.

use std::collections::VecDeque;
use std::time::Duration;

use ostler::plan::MigrateCommand;
use ostler::supervise::{
    Backend, CommandFailure, DatabaseLook, Exit, FailureKind, MigrationFact, Moment, PendingMigration, RunId,
    Step, StopSignal, Vendor,
};

use crate::databases::{Databases, Later};
use crate::site::leftover;

/// What happens to one of its migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Fails(FailureKind),
    Crashes,
    /// Nothing is seen of it for a while; whether a backend is at work.
    Hangs(bool),
    /// Others wait behind it.
    Harms,
    /// It waits for somebody's lock, and the server does not end that.
    Waits,
}

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) alive: bool,
    pub(crate) attempt: u32,
    queue: VecDeque<PendingMigration>,
    current: Option<(PendingMigration, Moment)>,
    of: u32,
    number: u32,
    fate: Option<(u32, Fate)>,
    ignores: [bool; 3],
    sticks: bool,
    /// It is about to end.
    doomed: bool,
}

impl Command {
    fn is_at_fate(&self) -> Option<Fate> {
        self.fate.filter(|(number, _)| *number == self.number && self.current.is_some()).map(|(_, fate)| fate)
    }

    /// How it ends after the last migration: its fate awaits it there where nothing was pending.
    fn comes_after(&self) -> (Exit, Option<CommandFailure>) {
        match self.fate.filter(|_| self.of == 0) {
            Some((_, Fate::Fails(kind))) => (Exit::Code(1), Some(failed(kind))),
            Some((_, Fate::Crashes)) => (Exit::Signal(9), None),
            _ => (Exit::Code(0), None),
        }
    }
}

impl Databases {
    pub(crate) fn start(&mut self, run: RunId, attempt: u32) {
        if self.chance(|it| it.down * 0.3) {
            let reason = "fork: Resource temporarily unavailable".to_owned();
            return self.later(
                Duration::from_millis(3),
                run,
                Later::Shell(MigrationFact::SpawnFailed { reason }),
            );
        }
        let fates = [
            Fate::Fails(FailureKind::Lock),
            Fate::Fails(FailureKind::Lock),
            Fate::Fails(FailureKind::Migration),
            Fate::Fails(FailureKind::Connection),
            Fate::Crashes,
            Fate::Hangs(true),
            Fate::Hangs(false),
            Fate::Harms,
            Fate::Harms,
            Fate::Waits,
        ];
        let before = self.runs.get(&run).and_then(|it| it.command.as_ref()?.fate);
        let fate = match before.filter(|_| attempt > 1) {
            // Whoever held the lock often still does.
            Some((_, fate)) if self.chance(|_| 0.7) => Some(fate),
            _ => self.chance(|it| it.fate).then(|| fates[self.rng.below(10) as usize]),
        };
        // What hangs in the kernel hears no signal.
        let sticks = self.chance(|it| it.sticks);
        let ignores = [0; 3].map(|_| sticks || self.chance(|it| it.ignores));
        let Some(it) = self.runs.get(&run) else { return };
        let Some(site) = self.sites.get(&it.app) else { return };
        let store = &site.stores[it.store.unwrap_or(0)];
        let open = |it: &&PendingMigration| !store.applied.contains(&it.name);
        let queue: VecDeque<_> = store.code.iter().filter(open).cloned().collect();
        let of = queue.len() as u32;
        let fate = fate.map(|fate| (self.rng.within(1, u64::from(of.max(1))) as u32, fate));
        let command = Command {
            alive: true,
            attempt,
            queue,
            current: None,
            of,
            number: 0,
            fate,
            ignores,
            sticks,
            doomed: false,
        };
        if let Some(it) = self.runs.get_mut(&run) {
            it.command = Some(command);
        }
        let delay = self.rng.millis(50, 800);
        self.later(delay, run, Later::Command(attempt));
    }

    /// The command comes to its next step; what is seen of it.
    pub(crate) fn tick(&mut self, run: RunId, attempt: u32) -> Option<MigrationFact> {
        let (now, quick) = (self.now, self.rng.millis(20, 2000));
        let hang = self.rng.millis(3000, 90_000);
        let django = self.is_django(run);
        let it = self.runs.get_mut(&run)?;
        let (app, index) = (it.app.clone(), it.store.unwrap_or(0));
        let command = it.command.as_mut().filter(|it| it.alive && it.attempt == attempt && !it.doomed)?;
        if let Some((done, _)) = command.current.take() {
            let store = self.sites.get_mut(&app)?.stores.get_mut(index)?;
            store.applied.push(done.name);
            self.later(Duration::from_millis(5), run, Later::Command(attempt));
            return django.then_some(MigrationFact::Progressed(Step::Applied { seconds: 0.5 }));
        }
        let Some(next) = command.queue.pop_front() else {
            let (exit, failure) = command.comes_after();
            self.later(Duration::from_millis(5), run, Later::Dies(attempt, exit, failure));
            return None;
        };
        command.number += 1;
        let (name, number, of, atomic) = (next.name.clone(), command.number, command.of, next.atomic);
        command.current = Some((next, now));
        let (ends, dies) = match command.is_at_fate() {
            Some(Fate::Fails(kind)) => (None, Some((Exit::Code(1), Some(failed(kind))))),
            Some(Fate::Crashes) => (None, Some((Exit::Signal(9), None))),
            Some(_) => (Some(hang), None),
            None => (Some(quick), None),
        };
        if let Some(ends) = ends {
            self.later(ends, run, Later::Command(attempt));
        }
        if let Some((exit, failure)) = dies {
            self.later(quick, run, Later::Dies(attempt, exit, failure));
        }
        let step = Step::Migration { name, number, of, atomic };
        Some(if django { MigrationFact::Progressed(step) } else { MigrationFact::Wrote })
    }

    fn is_django(&self, run: RunId) -> bool {
        let site = self.runs.get(&run).and_then(|it| self.sites.get(&it.app));
        site.is_some_and(|it| it.migrate.command == MigrateCommand::Django)
    }

    /// The command ends, and with it what it had not committed.
    pub(crate) fn dies(
        &mut self,
        run: RunId,
        attempt: u32,
        exit: Exit,
        failure: Option<CommandFailure>,
    ) -> Option<MigrationFact> {
        let (half, slow) = (self.rng.chance(0.4), self.rng.chance(0.05));
        let rollback = if slow { self.rng.millis(20_000, 100_000) } else { self.rng.millis(0, 3000) };
        let it = self.runs.get_mut(&run)?;
        let (app, index, now) = (it.app.clone(), it.store.unwrap_or(0), self.now);
        let command = it.command.as_mut().filter(|it| it.alive && it.attempt == attempt)?;
        command.alive = false;
        let store = self.sites.get_mut(&app)?.stores.get_mut(index)?;
        if let Some((current, _)) = command.current.take() {
            if store.vendor != Vendor::Sqlite {
                store.backends_until = now + rollback;
            }
            if half && !(store.vendor.rolls_back() && current.atomic) {
                store.leftovers.push(leftover(&format!("{} is half done", current.name)));
            }
        }
        Some(MigrationFact::CommandEnded { exit, failure })
    }

    pub(crate) fn abort(&mut self, run: RunId, rung: StopSignal) {
        let just_done = self.rng.chance(0.1);
        let delay = self.rng.millis(1, 300);
        let now = self.now;
        let Some(it) = self.runs.get_mut(&run) else { return };
        if rung == StopSignal::EndBackends {
            return self.end_backends(run);
        }
        let Some(command) = it.command.as_mut() else {
            // What is run after a rollout.
            let fact = MigrationFact::PostDeployEnded { exit: Exit::Signal(15), words: "ended".to_owned() };
            return self.later(delay, run, Later::Shell(fact));
        };
        if !command.alive {
            return;
        }
        let idle = matches!(command.is_at_fate(), Some(Fate::Hangs(false)));
        let ignored = match rung {
            StopSignal::Cancel => command.ignores[0] || idle || command.current.is_none(),
            StopSignal::Interrupt => command.ignores[1],
            StopSignal::Terminate => command.ignores[2],
            _ => command.sticks,
        };
        let attempt = command.attempt;
        if just_done
            && !command.doomed
            && let Some((_, since)) = &mut command.current
        {
            // It is done at this very moment.
            *since = now;
            return self.later(Duration::from_millis(1), run, Later::Command(attempt));
        }
        let cancelled = u32::from(!idle && command.current.is_some());
        if !ignored {
            command.doomed = true;
            let (exit, failure) = match rung {
                StopSignal::Cancel => (Exit::Code(1), Some(failed(FailureKind::Cancelled))),
                StopSignal::Interrupt => (Exit::Signal(2), None),
                StopSignal::Terminate => (Exit::Signal(15), None),
                _ => (Exit::Signal(9), None),
            };
            self.later(delay, run, Later::Dies(attempt, exit, failure));
        }
        if rung == StopSignal::Cancel {
            self.answer(run, MigrationFact::Cancelled { backends: cancelled }, Duration::ZERO);
        }
    }

    fn end_backends(&mut self, run: RunId) {
        let (now, calm) = (self.now, self.calm);
        let Some(it) = self.runs.get(&run) else { return };
        let Some(store) = it.store.and_then(|index| self.sites.get_mut(&it.app)?.stores.get_mut(index))
        else {
            return;
        };
        if calm {
            store.backends_until = store.backends_until.min(now + Duration::from_secs(5));
        }
        let left = store.backends_until.since(now);
        self.answer(run, MigrationFact::BackendsGone, left);
    }

    /// A look at the database; the next one follows.
    pub(crate) fn look(&mut self, run: RunId, watch: u64) -> Option<MigrationFact> {
        let lost = self.chance(|it| it.lost);
        let now = self.now;
        let it = self.runs.get(&run).filter(|it| it.watch == watch)?;
        let store = self.sites.get(&it.app)?.stores.get(it.store?)?;
        let (hung, backends_until, vendor) = (it.hung, store.backends_until, store.vendor);
        let command = it.command.as_ref().filter(|it| it.alive);
        let current = command.and_then(|it| it.current.as_ref());
        let fate = command.and_then(Command::is_at_fate);
        let since = current.map(|(_, since)| now.since(*since)).unwrap_or_default();
        let idle = fate == Some(Fate::Hangs(false));
        let look = DatabaseLook {
            place: it.place,
            concurrent: false,
            maintenance: Vec::new(),
            clients: Some(u32::from(vendor == Vendor::Mysql)),
            backends: u32::from(current.is_some() || backends_until > now),
            working: current.is_some() && !idle,
            idle_in_transaction: idle,
            waiting: (fate == Some(Fate::Waits)).then_some(since),
            blockers: match fate {
                Some(Fate::Waits) => vec![Backend { pid: 7, ..Backend::default() }],
                _ => Vec::new(),
            },
            blocked: u32::from(fate == Some(Fate::Harms)),
            harm: (fate == Some(Fate::Harms)).then_some(since),
            doing: None,
            percent: None,
        };
        let told = command.is_some() && !hung && vendor != Vendor::Other;
        self.later(Duration::from_millis(900), run, Later::Look(watch));
        (told && !lost).then_some(MigrationFact::Looked(look))
    }
}

fn failed(kind: FailureKind) -> CommandFailure {
    CommandFailure { kind, message: format!("{kind:?}"), ..CommandFailure::default() }
}
