//! What is found of the processes that an earlier ostlerd has left.

/// What was found of a worker that an earlier ostlerd started; one of which nothing was found is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundProcess {
    /// Whether its process lives.
    pub alive: bool,
    /// What its slot of the scoreboard says; `None` where that makes no sense.
    pub stage: Option<SlotStage>,
}

/// How far a worker has come, by its slot of the scoreboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotStage {
    /// Nothing was written yet.
    Empty,
    /// It loads the app.
    Booting,
    /// It has loaded the app and is held.
    Loaded,
    /// It serves.
    Ready,
    /// It drains.
    Draining,
}
