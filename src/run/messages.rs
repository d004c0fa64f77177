//! What comes back on the control socket: lines of JSON from a process that is not trusted.

use super::lines::LineSplitter;
use crate::config::visible;
use crate::supervise::LastWords;
use crate::worker::{FailedMessage, LINE_LIMIT, Message};

/// No worker has so much to say before it serves; whatever follows is not read.
const MOST: usize = 256 * 1024;

/// The longest sentence that is passed on.
const LONGEST_MESSAGE: usize = 4096;

/// Bytes in, messages out, bounded.
#[derive(Debug)]
pub(super) struct Messages {
    lines: LineSplitter,
    taken: usize,
    /// How many lines were no message of the contract.
    pub(super) strange: usize,
}

impl Default for Messages {
    fn default() -> Self {
        Messages { lines: LineSplitter::new(LINE_LIMIT), taken: 0, strange: 0 }
    }
}

impl Messages {
    /// Takes what was read, and gives the messages that are complete now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let bytes = &bytes[..bytes.len().min(MOST - self.taken)];
        self.taken += bytes.len();
        let lines = self.lines.push(bytes);
        let messages: Vec<Message> =
            lines.iter().filter_map(|line| Message::parse(line.as_ref()?).ok()).collect();
        self.strange += lines.len() - messages.len();
        messages
    }

    /// Lets the sender say as much again: it was asked something new.
    pub(super) fn renew(&mut self) {
        self.taken = 0;
    }

    /// Whether the sender has used up what it may send.
    pub(super) fn is_full(&self) -> bool {
        self.taken >= MOST
    }
}

/// A failure's words, fit to be shown on a terminal.
pub(super) fn last_words(failed: &FailedMessage) -> LastWords {
    let message = if failed.message.trim().is_empty() {
        format!("it failed ({:?}) and did not say why", failed.stage)
    } else {
        failed.message.trim().to_owned()
    };
    LastWords { message: shown(&message, LONGEST_MESSAGE), traceback: shown(&failed.traceback, LINE_LIMIT) }
}

/// At most `most` bytes of `text`, as a person may see it.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut shown = visible(text).into_owned();
    if shown.len() > most {
        let end = (0..=most).rev().find(|&at| shown.is_char_boundary(at)).unwrap_or(0);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_come_in_any_pieces() {
        let text = b"{\"event\": \"loaded\"}\n\n{\"event\": \"ready\"}\n";
        for size in 1..text.len() {
            let mut messages = Messages::default();
            let got: Vec<Message> = text.chunks(size).flat_map(|part| messages.push(part)).collect();
            assert!(matches!(got.as_slice(), [Message::Loaded, Message::Ready]), "{size}: {got:?}");
            assert_eq!(messages.strange, 0);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_one_read() {
        let mut messages = Messages::default();
        assert!(messages.push(&vec![b'x'; LINE_LIMIT + 1]).is_empty());
        assert!(messages.push(b"rest\n").is_empty());
        assert_eq!(messages.push(b"{\"event\": \"ready\"}\n").len(), 1);
        assert_eq!(messages.strange, 1);
    }

    #[test]
    fn a_flood_ends() {
        let mut messages = Messages::default();
        for _ in 0..40 {
            messages.push(&vec![b'\n'; 10_000]);
        }
        assert!(messages.is_full());
        assert!(messages.push(b"{\"event\": \"ready\"}\n").is_empty());
    }

    #[test]
    fn what_is_no_message_is_counted_and_ignored() {
        let mut messages = Messages::default();
        let deep = "[".repeat(60_000) + "\n";
        for text in ["hello\n", "{\"event\": \"dance\"}\n", "[]\n", "\u{0}\u{1}\n", &deep] {
            assert!(messages.push(text.as_bytes()).is_empty(), "{text:?}");
        }
        assert_eq!(messages.strange, 5);
    }

    #[test]
    fn words_are_bounded_and_hold_no_escape_sequences() {
        let failed = |message: &str| {
            let line = serde_json::json!({"event": "failed", "stage": "launch", "message": message});
            match Message::parse(line.to_string().as_bytes()) {
                Ok(Message::Failed(failed)) => last_words(&failed),
                other => panic!("{other:?}"),
            }
        };
        let words = failed(&"é\u{1b}[2J".repeat(2000));
        assert!(words.message.len() <= LONGEST_MESSAGE + 3);
        assert!(!words.message.contains('\u{1b}'));
        assert_eq!(failed(" ").message, "it failed (Unknown) and did not say why");
    }
}
