//! Whatever a stranger sends to the health port: an answer or none, and no details.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::serve::converse;
use super::timed::{Phase, Timed};
use super::{Pulse, Sources, Token, Vitals};
use crate::observe::Status;
use crate::observe::fuzzing::conversation;

/// What the app of the picture has said, and only who may see details is told.
const SECRET: &str = "SECRET";

/// Law of the health port.
pub(in crate::observe) fn hostile_request(bytes: &[u8]) {
    let picture = include_str!("../../../tests/fuzz/corpus/status/seed.json");
    let status: Status = serde_json::from_str(picture).expect("the picture is one of ostlerd's");
    let (_, status) = watch::channel(Arc::new(status));
    let (_, vitals) = watch::channel(Vitals::default());
    let sources = Sources {
        status,
        vitals,
        pulse: Pulse::new(),
        saturation: Default::default(),
        token: Token::new(b"0123456789abcdef0123456789abcdef"),
        viewers: Default::default(),
    };
    let said = conversation(bytes, |stream| {
        converse(Timed { stream, phase: Phase::begun(Instant::now()) }, false, sources)
    });
    // What comes back of the request itself is none of the picture.
    assert!(!said.contains(SECRET), "{said}");
}
