//! Another tool than Django's has migrated: how the code that serves gets on with it is asked of that code itself, before the
//! rollout. The answer decides nothing, for the schema is as it is, and what brings it to an end is the rollout; it is said.
//!
//! What was started without its databases is asked too, once they have answered: what it answered its probe with before says
//! nothing of how it answers now, and it is by that that a release to come is judged.
//!
//! Where the release was changed in its place nobody is asked: what a new process would load there is the new code.

use std::time::Duration;

use super::order::MigrationOrder;
use super::outcome::VerdictKind;
use super::run::{Haste, Migration, RunStage};
use super::serving_code::ServingCode;
use crate::plan::{AppPlan, MigrateCommand};
use crate::supervise::app_event::AppEventKind;
use crate::supervise::context::Context;
use crate::supervise::process_fact::LastWords;
use crate::supervise::proof::{ProbeAnswer, Proof};
use crate::supervise::state::App;

/// What asks gives itself up a little earlier than it is given up, for its own words say more.
const SLACK: Duration = Duration::from_secs(10);

impl App {
    /// What is to be asked after `plan` was migrated, if it can be.
    pub(in crate::supervise) fn serving_code(&self, plan: &AppPlan) -> Option<ServingCode> {
        let other = plan.migrate.as_ref().is_some_and(|it| matches!(it.command, MigrateCommand::Other(_)));
        let serving = self.serving.as_ref().filter(|it| it.served)?;
        let moved = serving.blueprint.directory != plan.blueprint.directory;
        let before = serving.proof.as_ref().and_then(|it| it.answer.clone());
        let bad = before.as_ref().is_some_and(|it| !it.good);
        let unasked = self.databases.unasked.is_some() && bad;
        let same = serving.blueprint == plan.blueprint;
        (other && moved || unasked && (moved || same)).then(|| ServingCode {
            generation: serving.id,
            blueprint: serving.blueprint.clone(),
            boot_timeout: serving.policy.rollout.boot_timeout,
            before,
            unasked,
        })
    }

    /// Its databases have answered, and what it answers with them is known.
    pub(in crate::supervise) fn serving_shown(&mut self, migration: &Migration) {
        let Some((code, shown)) = migration.serving_code.as_ref().zip(migration.serving_proof.clone()) else {
            return;
        };
        if let Some(serving) = self.serving.as_mut().filter(|it| it.id == code.generation && code.unasked) {
            serving.proof.get_or_insert_default().improve(shown);
        }
    }
}

impl Migration {
    /// The end of a run, with a question before it if the command may have changed something.
    pub(super) fn ask_serving(&mut self, context: &mut Context<'_>) {
        let unchanged = matches!(self.total.kind, VerdictKind::Nothing | VerdictKind::Refused);
        let changed = self.has_run && !unchanged;
        let answered = self.total.kind.is_good();
        let asks = |code: &ServingCode| self.haste == Haste::None && (changed || answered && code.unasked);
        let Some(code) = self.serving_code.clone().filter(asks) else { return self.close(context) };
        let ServingCode { generation, blueprint, boot_timeout: within, .. } = code;
        self.order(context, MigrationOrder::AskServing { generation, blueprint, within });
        self.enter(context.now, RunStage::AskingServing, within + SLACK);
    }

    pub(super) fn serving_answered(&mut self, context: &mut Context<'_>, answer: Result<Proof, LastWords>) {
        self.serving_proof = answer.as_ref().ok().cloned();
        if let Some(ServingCode { generation, before, .. }) = &self.serving_code
            && let Some(failure) = judged(before.as_ref(), answer)
        {
            self.announce(context, AppEventKind::ServingTried { generation: *generation, failure });
        }
        self.close(context);
    }

    pub(super) fn serving_silent(&mut self, context: &mut Context<'_>) {
        let within = self.serving_code.as_ref().map(|it| it.boot_timeout).unwrap_or_default();
        let message = format!("another process of it did not come up within {} s", within.as_secs_f64());
        self.serving_answered(context, Err(LastWords { message, traceback: String::new() }));
    }
}

/// Whether it goes on, or why not; `None` if its answer says nothing of that: it was as bad before.
fn judged(before: Option<&ProbeAnswer>, answer: Result<Proof, LastWords>) -> Option<Option<LastWords>> {
    let proof = match answer {
        Ok(proof) => proof,
        Err(words) => return Some(Some(words)),
    };
    match proof.answer {
        Some(ProbeAnswer { good: false, message, .. }) => {
            let was_good = before.is_some_and(|it| it.good);
            was_good.then_some(Some(LastWords { message, traceback: String::new() }))
        }
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(good: bool) -> ProbeAnswer {
        let (path, message) = ("/".to_owned(), if good { "" } else { "the probe of / answered 500" });
        let took = Duration::from_millis(20);
        ProbeAnswer { path, status: Some(200), took, late: false, good, message: message.to_owned() }
    }

    #[test]
    fn an_answer_says_of_a_migration_only_what_was_better_before_it() {
        let shown = |good| Ok(Proof { urls: None, answer: Some(answer(good)) });
        let words = LastWords { message: "no column x".to_owned(), traceback: String::new() };
        assert_eq!(judged(Some(&answer(true)), shown(true)), Some(None));
        assert_eq!(judged(None, Ok(Proof::default())), Some(None), "it has no probe, and has come up");
        let failure = judged(Some(&answer(true)), shown(false)).flatten().map(|it| it.message);
        assert_eq!(failure.as_deref(), Some("the probe of / answered 500"));
        assert_eq!(judged(Some(&answer(false)), shown(false)), None, "it was no better before");
        assert_eq!(judged(None, shown(false)), None, "nobody knows how it was before");
        assert_eq!(judged(None, Err(words.clone())), Some(Some(words)), "it came up before");
    }
}
