//! The live picture of a change: a bar for each app, redrawn in place; warnings stay above it.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::AppName;
use crate::observe::MigrationStatus;
use crate::supervise::{AppEvent, AppEventKind, Level};

use super::progress::Progress;
use super::screen::{Screen, one_line};
use super::sentence::sentence;

const REDRAW: Duration = Duration::from_millis(120);

/// Bars by app, on standard output.
#[derive(Debug)]
pub(super) struct Picture {
    screen: Screen,
    bars: MultiProgress,
    apps: BTreeMap<AppName, (Progress, ProgressBar)>,
}

impl Picture {
    pub(super) fn new(screen: Screen) -> Picture {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        Picture { screen, bars, apps: BTreeMap::new() }
    }

    /// Draws what happened.
    pub(super) fn follow(&mut self, event: &AppEvent) {
        if event.kind.level() > Level::Info {
            // A terminal that is gone is noticed at the last line.
            let _ = self.bars.println(sentence(self.screen, event));
        }
        // A drain is the machine's: no app of it makes any progress.
        if matches!(
            event.kind,
            AppEventKind::Draining { .. } | AppEventKind::Drained { .. } | AppEventKind::Undrained
        ) {
            return;
        }
        let (progress, bar) = self.of(&event.app);
        progress.note(&event.kind);
        bar.set_length(u64::from(progress.wanted.max(1)));
        bar.set_position(u64::from(progress.ready.min(progress.wanted)));
        bar.set_message(progress.words());
        if progress.ended.is_some() {
            bar.abandon();
        }
    }

    /// Draws how far a migration is; `None` where none is under way.
    pub(super) fn migration(&mut self, app: &AppName, migration: Option<&MigrationStatus>) {
        if migration.is_none() && !self.apps.contains_key(app) {
            return;
        }
        let (progress, bar) = self.of(app);
        progress.migration = migration.map(|it| one_line(&it.summary));
        bar.set_message(progress.words());
    }

    fn of(&mut self, app: &AppName) -> &mut (Progress, ProgressBar) {
        self.apps.entry(app.clone()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(1).with_style(style(self.screen)));
            bar.set_prefix(app.to_string());
            bar.enable_steady_tick(REDRAW);
            (Progress::default(), bar)
        })
    }

    /// Says something above the bars.
    pub(super) fn note(&self, text: &str) {
        // As above.
        let _ = self.bars.println(text);
    }

    /// Ends the picture, so that other output can follow.
    pub(super) fn end(&mut self) {
        for (_, bar) in self.apps.values() {
            bar.finish_and_clear();
        }
    }
}

fn style(screen: Screen) -> ProgressStyle {
    let template = if screen.colour {
        "{spinner:.cyan} {prefix:.bold}  {bar:24.green/dim}  {wide_msg} {elapsed:.dim}"
    } else {
        "{spinner} {prefix}  {bar:24}  {wide_msg} {elapsed}"
    };
    ProgressStyle::with_template(template).expect("the template is right").progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_of_the_machine_draws_no_bar() {
        let mut picture = Picture::new(Screen { live: true, colour: false });
        for kind in [
            AppEventKind::Draining { delay: REDRAW },
            AppEventKind::Drained { delay: REDRAW },
            AppEventKind::Undrained,
        ] {
            picture.follow(&AppEvent { app: "shop".parse().unwrap(), kind });
        }
        assert!(picture.apps.is_empty());
    }

    #[test]
    fn both_styles_are_right() {
        style(Screen { live: true, colour: true });
        style(Screen { live: true, colour: false });
    }
}
