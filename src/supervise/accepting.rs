//! Whether an app's listeners take connections: not while it has failed and waits for its next try.
//!
//! ```text
//! Open ─ failed, and no worker is there ─► Refusing ─ a worker is started ─► Unknown ─ it serves ─► Open
//!                                             ▲                                 │
//!                                             └──────────── it is lost ─────────┘
//! ```
//!
//! Behind a port that nobody answers a client waits as long as his patience, and an edge does not take another server.
//! While a worker is there, nothing is refused: one that comes opens the listeners itself, just before it takes its first
//! client, and whoever waits while a crashed worker is replaced is served.

use super::action::Action;
use super::context::Context;
use super::pool::Process;
use super::state::{Accepting, App, Mode};
use super::view::AppState;

impl App {
    /// What was said of the listeners may be true no more.
    pub(super) fn doubt_accepting(&mut self) {
        if self.accepting == Accepting::Refusing {
            self.accepting = Accepting::Unknown;
        }
    }

    /// Has connections refused, or taken again. Comes after all other decisions: an app whose release is looked at has not failed.
    pub(super) fn update_accepting(&mut self, context: &mut Context<'_>) {
        if self.mode != Mode::Running {
            return;
        }
        let app = || self.name.clone();
        let (accepting, action) = if self.ready_workers() > 0 {
            (Accepting::Open, Action::AcceptConnections { app: app() })
        } else if self.count(Process::is_live) > 0 {
            return self.doubt_accepting();
        } else if self.state() == AppState::Failed {
            (Accepting::Refusing, Action::RefuseConnections { app: app() })
        } else {
            return;
        };
        if self.accepting != accepting {
            self.accepting = accepting;
            context.actions.push(action);
        }
    }
}
