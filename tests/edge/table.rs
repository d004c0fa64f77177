//! What a change cost: one row of the table that the tests print.

use std::collections::BTreeMap;
use std::fmt;

use crate::front::{Edge, Front};
use crate::load::{Load, Outcome, Running, Tally};

/// Clients of both sorts: those whose connection stays open and those who come anew each time.
pub struct Clients {
    staying: Running,
    coming: Running,
}

impl Clients {
    /// Begins.
    pub fn of(front: &Front) -> Clients {
        let load = Load::on(&front.target).connections(2);
        let clients = Clients { staying: load.clone().keep_alive(true).start(), coming: load.start() };
        clients.more();
        clients
    }

    /// Waits until some more of them have been answered, or not.
    #[track_caller]
    pub fn more(&self) {
        self.staying.more(20);
        self.coming.more(20);
    }

    /// Ends it.
    pub fn stop(self, edge: &Edge, change: &'static str) -> Row {
        self.more();
        Row { edge: edge.name, change, tallies: [self.staying.stop(), self.coming.stop()] }
    }
}

/// One edge, one change.
pub struct Row {
    edge: &'static str,
    change: &'static str,
    tallies: [Tally; 2],
}

impl Row {
    /// How many were not answered well.
    pub fn lost(&self) -> usize {
        self.tallies.iter().map(Tally::lost).sum()
    }

    /// Fails the test where one was.
    #[track_caller]
    pub fn lost_nothing(&self) {
        for tally in &self.tallies {
            assert_eq!(tally.lost(), 0, "{}, {}: {tally}", self.edge, self.change);
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<Outcome, usize> = BTreeMap::new();
        let samples = self.tallies.iter().flat_map(|tally| &tally.samples);
        let asked = samples.clone().count();
        for sample in samples.filter(|sample| sample.outcome != Outcome::Ok) {
            *kinds.entry(sample.outcome).or_insert(0) += 1;
        }
        let (edge, change, lost) = (self.edge, self.change, self.lost());
        write!(f, "| {edge:24} | {change:26} | {asked:6} | {lost:4} | {kinds:?} |")
    }
}
