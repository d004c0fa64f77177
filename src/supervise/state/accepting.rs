//! Whether connections are taken.

/// How an app's listeners are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// They take connections.
    #[default]
    Open,
    /// They refuse them.
    Refusing,
    /// As whoever had them last has left them: a worker that was to serve, an earlier ostlerd, a new configuration.
    Unknown,
}
