//! Whether an app's listeners take connections: not while it has failed and waits for its next try.
//!
//! ```text
//! Open ─ failed, and no worker is there ─► Refusing ─ a worker is started ─► Unknown ─ it serves ─► Open
//!                                             ▲                                 │
//!                                             └──────────── it is lost ─────────┘
//! ```
//!
//! Behind a port that nobody answers a visitor waits as long as his patience, and an edge does not take another server.
//! While a worker is there, nothing is refused: one that comes opens the listeners itself, just before it takes its first
//! client, and whoever waits while a crashed worker is replaced is served.

use super::action::Action;
use super::app::{App, Turn};
use super::pool::Process;
use super::view::AppState;

/// How an app's listeners are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doors {
    /// They take connections.
    #[default]
    Open,
    /// They refuse them.
    Refusing,
    /// As whoever had them last has left them: a worker that was to serve, an earlier ostlerd, a new configuration.
    Unknown,
}

impl App {
    /// What was said of the listeners may be true no more.
    pub(super) fn doubt_doors(&mut self) {
        if self.doors == Doors::Refusing {
            self.doors = Doors::Unknown;
        }
    }

    /// Has connections refused, or taken again.
    pub(super) fn keep_doors(&mut self, turn: &mut Turn<'_>) {
        let app = || self.name.clone();
        let (doors, action) = if self.ready_workers() > 0 {
            (Doors::Open, Action::AcceptConnections { app: app() })
        } else if self.count(Process::is_live) > 0 {
            return self.doubt_doors();
        } else if self.state() == AppState::Failed {
            (Doors::Refusing, Action::RefuseConnections { app: app() })
        } else {
            return;
        };
        if self.doors != doors {
            self.doors = doors;
            turn.actions.push(action);
        }
    }
}
