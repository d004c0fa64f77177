//! What goes over control: orders to `watch`, and what both programs say. See the contract in `mod.rs`.

use serde::{Deserialize, Serialize};

use crate::supervise::{
    Backend, CommandFailure, DatabaseLook, Marks, Opened, Pending, Report, Step, Trouble,
};

/// The longest line that is read, without its newline.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// One line to `watch`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum WatchOrder {
    /// Have the lock.
    Lock {
        /// Whether the command runs already, and the side before is gone: what is there is not as it was before the run.
        resumes: bool,
    },
    /// Look so often from now on; 0 is no more.
    Look {
        /// Between two looks.
        every_seconds: f64,
        /// What each of them then says that it was taken of.
        place: u32,
    },
    /// Cancel what the run's backends do.
    Cancel,
    /// End the run's backends, and wait until none is left.
    EndBackends,
    /// See what came of it.
    Verify {
        /// What was to be applied.
        pending: Pending,
        /// The migration that was under way.
        migration: Option<String>,
        /// Where in it.
        at: Option<Step>,
        /// Whether the run failed.
        failed: bool,
    },
    /// What the database keeps of earlier runs is put right: take it away.
    Resolve,
    /// End.
    Quit,
}

impl WatchOrder {
    /// The line, with its newline.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("orders have string keys only");
        line.push(b'\n');
        line
    }
}

/// One line from `watch`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WatchMessage {
    /// It is there, and its calls come back: said every second once it is connected.
    Alive,
    /// It is connected.
    Opened(Box<Opened>),
    /// Somebody else has the lock.
    Busy {
        /// Who, in words.
        holder: String,
        /// For how long nothing has been seen of him.
        #[serde(default)]
        quiet_seconds: Option<f64>,
    },
    /// The lock is ours.
    Locked {
        /// What is pending now.
        #[serde(default)]
        pending: Option<Pending>,
        /// What an earlier run left and was ended.
        #[serde(default)]
        swept: Vec<Backend>,
        /// What the database keeps of earlier runs.
        #[serde(flatten)]
        marks: Box<Marks>,
    },
    /// A look.
    Look(Box<DatabaseLook>),
    /// Backends were cancelled.
    Cancelled {
        /// How many.
        backends: u32,
    },
    /// No backend of the run is left.
    BackendsGone,
    /// What was found.
    Verified(Box<Report>),
    /// What the database kept is taken away.
    Resolved {
        /// Who migrates right now, in words: then nothing was.
        #[serde(default)]
        holder: Option<String>,
        /// What was, in words.
        #[serde(default)]
        cleared: Vec<String>,
    },
    /// It cannot go on, and ends.
    Failed(Trouble),
}

/// One line from `run`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunMessage {
    /// It is somewhere new.
    Step(Step),
    /// It fails.
    Failed(CommandFailure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_the_contract_writes_them() {
        let read = |text: &str| serde_json::from_str::<WatchMessage>(text).unwrap();
        let opened = r#"{"event": "opened", "vendor": "postgresql", "version": "15.14", "unwatched": null,
            "guards": [["lock_timeout", "1s"]], "warnings": [], "pending": {"migrations":
            [{"name": "shop.0007_price", "atomic": true, "operations": 3}], "ahead": []}}"#;
        let WatchMessage::Opened(opened) = read(opened) else { panic!() };
        assert_eq!(opened.pending.unwrap().migrations[0].operations, 3);
        assert!(matches!(read(r#"{"event":"locked","pending":null}"#), WatchMessage::Locked { .. }));
        assert_eq!(read(r#"{"event": "backends_gone"}"#), WatchMessage::BackendsGone);
        let launch = r#"{"event": "failed", "stage": "launch", "message": "no", "traceback": ""}"#;
        let WatchMessage::Failed(trouble) = read(launch) else { panic!() };
        assert_eq!((trouble.message.as_str(), trouble.kind), ("no", crate::supervise::TroubleKind::Broken));
        let step = r#"{"event": "step", "at": "migration", "name": "shop.0007_price", "number": 1, "of": 3,
            "atomic": true}"#;
        let step = serde_json::from_str::<RunMessage>(step).unwrap();
        assert!(matches!(step, RunMessage::Step(Step::Migration { number: 1, .. })));
    }

    #[test]
    fn orders_are_written_as_the_contract_reads_them() {
        let line = |order: WatchOrder| String::from_utf8(order.to_line()).unwrap();
        assert_eq!(line(WatchOrder::EndBackends), "{\"do\":\"end_backends\"}\n");
        assert_eq!(
            line(WatchOrder::Look { every_seconds: 0.25, place: 7 }),
            "{\"do\":\"look\",\"every_seconds\":0.25,\"place\":7}\n"
        );
        let at = Some(Step::Operation { number: 2, of: 4, words: "Add".to_owned(), runs: None });
        let verify = WatchOrder::Verify { pending: Pending::default(), migration: None, at, failed: true };
        assert_eq!(
            line(verify),
            "{\"do\":\"verify\",\"pending\":{\"migrations\":[],\"ahead\":[]},\"migration\":null,\
             \"at\":{\"at\":\"operation\",\"number\":2,\"of\":4,\"words\":\"Add\"},\"failed\":true}\n"
        );
    }
}
