//! Law of the control socket, for any bytes at all: `src/fuzzing` says who tries it.

use super::access::ClientIdentity;
use super::server;
use crate::config::fuzzing::Law;
use crate::observe::Status;
use crate::observe::fuzzing::conversation;

/// What holds for any bytes, by name.
pub(crate) const LAWS: &[Law] = &[("control_request", request)];

/// Whoever asks whatever: there is an answer or none, and who has no rights changes nothing.
fn request(bytes: &[u8]) {
    let picture = include_str!("../../tests/fuzz/corpus/status/seed.json");
    let status: Status = serde_json::from_str(picture).expect("the picture is one of ostlerd's");
    for master in [true, false] {
        let (channels, mut ends) = super::channels(status.clone());
        ends.looks.close();
        let client = ClientIdentity { uid: 4711, master, member: false };
        let said = conversation(bytes, |stream| server::converse(stream, client, channels));
        if !master {
            assert!(ends.commands.try_recv().is_err(), "a stranger has changed something");
            let told = said.contains("(apps: ") || said.contains("\"apps\":");
            assert!(!told, "a stranger is told which apps there are: {said}");
        }
        let body = said.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        if said.contains("content-type: application/json") && !said.contains("transfer-encoding") {
            assert!(body.is_empty() || serde_json::from_str::<serde_json::Value>(body).is_ok(), "{said}");
        }
    }
}
