//! What a worker shows of itself, and what of it is borne with.

use super::app_event::AppEventKind;
use super::context::Context;
use super::ids::{GenerationId, ProcessId};
use super::proof::{ProbeAnswer, Proof, Tolerance};
use super::state::App;

impl App {
    /// What of a worker's answer is borne with: of a generation that serves already, everything; of a new one, what is no
    /// worse than the one that serves.
    pub(super) fn tolerance(&self, generation: GenerationId) -> Tolerance {
        let coming =
            self.rollout.as_ref().map(|rollout| &rollout.generation).filter(|it| it.id == generation);
        let Some(coming) = coming else {
            let asked =
                self.serving.as_ref().and_then(|it| it.blueprint.probe.as_ref()).is_some_and(|it| it.asked);
            return if asked { Tolerance::NONE } else { Tolerance::ALL };
        };
        match &coming.blueprint.probe {
            Some(probe) if !probe.asked => {
                let serving = self.serving.as_ref().filter(|serving| serving.served);
                let answer = serving.and_then(|serving| serving.proof.as_ref()?.answer.as_ref());
                Tolerance::beside(probe, answer)
            }
            _ => Tolerance::NONE,
        }
    }

    /// A worker has loaded its app and answered the probe.
    pub(super) fn proved(&mut self, context: &mut Context<'_>, id: ProcessId, shown: Proof) {
        let Some(generation) = self.processes.get(&id).map(|it| it.generation) else { return };
        let serves = self.rollout.is_some().then(|| self.serving.as_ref().map(|it| it.id)).flatten();
        let Some(found) = self.generation_mut(generation) else { return };
        let first = found.proof.is_none();
        found.proof.get_or_insert_default().improve(shown.clone());
        let beside = serves.filter(|it| *it != generation);
        if !first {
            return;
        }
        let proof = shown.to_string();
        self.announce(
            context,
            match shown.answer {
                Some(ProbeAnswer { good: false, message, .. }) => {
                    AppEventKind::ProbeTolerated { generation, beside, message }
                }
                _ => AppEventKind::Proved { generation, proof },
            },
        );
    }
}
