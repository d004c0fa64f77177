//! What must have come about when faults have stopped: everything is as it should be, and stays so.

use std::time::Duration;

use ostler::config::AppName;
use ostler::supervise::{Action, AppState, Command, Moment, Role};

use crate::entry::AppEntry;
use crate::laws::{Law, Verdict, Violation, links};
use crate::ledger::Ledger;
use crate::run::Run;

/// How long after the last fault the wanted plan must be served, at most.
const BOUND: Duration = Duration::from_secs(400);
/// How long the calm is watched when it is reached.
const WATCH: Duration = Duration::from_secs(20);

impl Run {
    pub(crate) fn has_been_good(&self) -> bool {
        let long_enough = self.good_since.is_some_and(|since| self.now.since(since) > WATCH);
        // Somebody may have asked for something meanwhile.
        long_enough && self.said_good_bye.is_none() && all_answered(&self.ledger).is_ok()
    }

    /// Once faults have stopped: everything comes to be as it should, and stays so.
    pub(crate) fn judge_progress(&mut self) -> Result<(), Violation> {
        if !self.world.is_calm() {
            return Ok(());
        }
        let calm_from = Moment::at(self.world.scenario.calm_from);
        let (verdict, linked) = (self.all_is_well(), self.links_come_to_rest());
        let well = verdict.is_ok() && linked.is_ok();
        if self.now.since(self.said_good_bye.unwrap_or(calm_from)) > BOUND && !self.ledger.exited {
            self.options.code.holds(Law::LinksComeToRest, || linked)?;
            let law = if well { Law::AnswersComeInTime } else { Law::TheWantedPlanIsServed };
            self.options.code.holds(law, || verdict)?;
            self.options.code.holds(Law::ReadinessIsTold, || readiness_is_told(&self.ledger))?;
            self.options.code.holds(Law::AnswersComeInTime, || all_answered(&self.ledger))?;
            if self.options.code.only.is_some() {
                self.ledger.exited = true;
            }
        }
        if !well {
            self.good_since = None;
        } else if self.good_since.is_none()
            && all_answered(&self.ledger).is_ok()
            && readiness_is_told(&self.ledger).is_ok()
        {
            self.good_since = Some(self.now);
            self.say_good_bye();
        }
        Ok(())
    }

    /// Half of the runs end with a shutdown.
    fn say_good_bye(&mut self) {
        if !self.ledger.machine.shutdown && self.said_good_bye.is_none() && self.world.rng.chance(0.5) {
            self.said_good_bye = Some(self.now);
            let request = if self.world.rng.chance(0.8) { Command::Shutdown } else { Command::ShutdownNow };
            self.world.ask_after(Duration::from_secs(1), request);
        }
    }

    /// What ostlerd has begun to do about a link, it has done.
    fn links_come_to_rest(&self) -> Verdict {
        let links = &self.world.links;
        match links
            .stuck
            .iter()
            .chain(&links.ordered)
            .find(|app| self.view.apps.iter().any(|it| it.name == **app))
        {
            Some(app) => Err(format!("the link of {app} does not come to rest")),
            None => links::links_lead_to_what_serves(&self.world, &self.ledger, &self.view.apps, false),
        }
    }

    /// What holds of release links after each step.
    pub(crate) fn judge_links(&self, actions: &[Action]) -> Result<(), Violation> {
        let (world, ledger, views, code) = (&self.world, &self.ledger, &self.view.apps, self.options.code);
        let lead = |fallen| move || links::links_lead_to_what_serves(world, ledger, views, fallen);
        code.holds(Law::TheProvenServes, || links::the_proven_serves(world, views, actions))?;
        code.holds(Law::LinksLeadToWhatServes, lead(false))?;
        code.holds(Law::LinksOutliveOstlerd, lead(true))?;
        code.holds(Law::TheWayBackIsWritten, || links::the_way_back_is_written(world, views))?;
        code.holds(Law::AnswersWaitForTheLink, || {
            links::answers_wait_for_the_link(world, ledger, views, actions)
        })
    }

    fn all_is_well(&self) -> Verdict {
        if self.ledger.machine.shutdown || self.said_good_bye.is_some() {
            return Err("the shutdown has not ended".to_owned());
        }
        // One whose databases keep it from starting waits for a person, whatever a look finds.
        let apps = &self.ledger.apps;
        let looks_help = |app: &&AppName| apps.get(*app).is_none_or(|it| !it.not_started);
        if let Some(app) = self.ledger.refused.since.keys().find(looks_help) {
            return Err(format!("{app} waits for another look"));
        }
        for (app, entry) in &self.ledger.apps {
            let view = self.view.apps.iter().find(|view| view.name == *app);
            let workers = self.ledger.of(app).count();
            match view {
                None if entry.planned => return Err(format!("{app} is planned and not shown")),
                None if workers > 0 => return Err(format!("{app} is removed and has {workers} workers")),
                Some(_) if !entry.planned => return Err(format!("{app} is removed and still shown")),
                None => {}
                Some(view) if view.state == AppState::Stopped && entry.was_stopped => {}
                Some(_) if !entry.startable => {}
                Some(view) => self.serves(entry, view)?,
            }
        }
        Ok(())
    }

    fn serves(&self, entry: &AppEntry, view: &ostler::supervise::AppView) -> Verdict {
        let app = &view.name;
        if view.migration.is_some() {
            return Err(format!("{app}: the migration has not ended: {:?}", view.migration));
        }
        if entry.not_started && view.generation.is_none() && !entry.stopped {
            return Ok(());
        }
        if entry.stopped {
            return Err(format!("{app} should be stopped and is {:?}", view.state));
        }
        if view.rollout.is_some() {
            return Err(format!("{app}: the rollout has not ended: {:?}", view.rollout));
        }
        let Some(generation) = view.generation else { return Err(format!("{app} has no generation")) };
        let ready = self.ledger.ready_of(app, generation);
        if ready < view.wanted || view.wanted == 0 {
            return Err(format!("{app}: {ready} of {} workers of {generation} are ready", view.wanted));
        }
        let commands = view.blueprint.iter().flat_map(|it| it.processes.keys());
        let runs = |name: &&String| {
            let role = Role::Background((*name).clone());
            self.ledger.processes.values().any(|it| it.app == *app && it.role == role && it.is_live())
        };
        if let Some(name) = commands.clone().find(|name| !runs(name)) {
            return Err(format!("{app}: {name} does not run"));
        }
        let strangers = self.ledger.of(app).filter(|(_, process)| process.generation != generation);
        match strangers.filter(|(_, process)| process.is_live()).count() {
            0 => Ok(()),
            count => Err(format!("{app}: {count} workers of other generations than {generation} live")),
        }
    }
}

fn readiness_is_told(ledger: &Ledger) -> Verdict {
    match ledger.start.ready || ledger.machine.shutdown {
        true => Ok(()),
        false => Err("nobody was told that ostlerd is ready".to_owned()),
    }
}

pub(crate) fn all_answered(ledger: &Ledger) -> Verdict {
    match ledger.asked.iter().find(|(_, asked)| asked.answers == 0) {
        Some((id, asked)) => Err(format!("{id:?} ({:?}) has no answer", asked.request)),
        None => Ok(()),
    }
}
