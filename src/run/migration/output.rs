//! What a command writes: its last lines are kept, each whole line is logged, and unfinished ones count as a sign of life.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::log::Log;
use super::pace::Pace;
use crate::run::messages::shown;

/// So many lines are kept.
const KEPT: usize = 200;
/// So much of a line.
const LONGEST: usize = 4 * 1024;
/// A sign of life is told so often at most.
const SIGN: Duration = Duration::from_millis(200);
/// The most that is read after the end.
const REST_MOST: usize = 1024 * 1024;

/// The reading side of a command's output.
#[derive(Debug)]
pub(super) struct OutputReader {
    pipe: Option<pipe::Receiver>,
    pace: Pace,
    buffer: Vec<u8>,
    lines: LineBuffer,
    told: Option<Instant>,
}

impl OutputReader {
    pub(super) fn new(pipe: pipe::Receiver, log: Log) -> OutputReader {
        let (pace, lines) = (Pace::new(), LineBuffer::new(log));
        OutputReader { pipe: Some(pipe), pace, buffer: vec![0; 64 * 1024], lines, told: None }
    }

    /// Reads on; returns where something was written that is worth telling, and never where nothing more comes. It may
    /// be dropped while it waits.
    pub(super) async fn wrote(&mut self) {
        loop {
            let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
            self.pace.turn().await;
            match pipe.read(&mut self.buffer).await {
                Ok(count) if count > 0 => {
                    self.pace.took(count, 0);
                    self.lines.take(&self.buffer[..count]);
                    let now = Instant::now();
                    if self.told.is_none_or(|told| now - told >= SIGN) {
                        self.told = Some(now);
                        return;
                    }
                }
                _ => self.pipe = None,
            }
        }
    }

    /// Takes what is still in the pipe: somebody may hold it open for ever.
    pub(super) fn rest(&mut self) {
        let mut taken = 0;
        while let Some(pipe) = &self.pipe
            && taken < REST_MOST
        {
            match nix::unistd::read(pipe, &mut self.buffer) {
                Ok(count) if count > 0 => {
                    taken += count;
                    self.lines.take(&self.buffer[..count]);
                }
                _ => self.pipe = None,
            }
        }
        self.pipe = None;
        self.lines.end_partial();
    }

    /// The last lines.
    pub(super) fn end(mut self) -> Vec<String> {
        self.lines.log.end();
        self.lines.kept.into()
    }

    /// The last lines so far.
    pub(super) fn last_lines(&self, most: usize) -> String {
        let lines = &self.lines.kept;
        let skipped = lines.len().saturating_sub(most);
        lines.iter().skip(skipped).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// A line of ostlerd's own, among those of the command.
    pub(super) fn note(&mut self, line: String) {
        self.lines.keep(line);
    }
}

/// Lines out of bytes.
#[derive(Debug)]
struct LineBuffer {
    kept: VecDeque<String>,
    line: Vec<u8>,
    more: bool,
    returned: bool,
    log: Log,
}

impl LineBuffer {
    fn new(log: Log) -> LineBuffer {
        LineBuffer { kept: VecDeque::new(), line: Vec::new(), more: false, returned: false, log }
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            for (at, piece) in text.split(|&byte| byte == b'\r').enumerate() {
                self.returned |= at > 0;
                self.extend(piece);
            }
            if ended {
                self.end_line();
            }
        }
    }

    fn extend(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        // A progress bar begins its line anew.
        if std::mem::take(&mut self.returned) {
            self.line.clear();
            self.more = false;
        }
        let free = LONGEST - self.line.len();
        self.more |= piece.len() > free;
        self.line.extend_from_slice(&piece[..piece.len().min(free)]);
    }

    fn end_line(&mut self) {
        self.returned = false;
        let line = std::mem::take(&mut self.line);
        let mut text = shown(String::from_utf8_lossy(&line).trim_end(), LONGEST);
        if std::mem::take(&mut self.more) && !text.ends_with('…') {
            text.push('…');
        }
        self.log.line(&text);
        self.keep(text);
    }

    fn keep(&mut self, line: String) {
        self.kept.push_back(line);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    fn end_partial(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

/// Law of output: in whatever pieces it comes it is the same lines, few, short, and fit to be shown.
#[cfg(any(test, fuzzing))]
pub(in crate::run) fn law_of_output(bytes: &[u8]) {
    let lines = |size: usize| {
        let mut text = LineBuffer::new(Log::nowhere());
        bytes.chunks(size).for_each(|part| text.take(part));
        text.end_partial();
        Vec::from(text.kept)
    };
    let whole = lines(bytes.len().max(1));
    assert_eq!(whole, lines(3));
    assert!(whole.len() <= KEPT);
    for line in whole {
        assert!(line.len() <= LONGEST + 3 && crate::config::fuzzing::is_harmless(&line), "{line:?}");
        assert!(!line.contains('\n'), "{line:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut text = LineBuffer::new(Log::nowhere());
        parts.iter().for_each(|part| text.take(part));
        text.end_partial();
        text.kept.into()
    }

    #[test]
    fn lines_come_in_any_pieces_and_the_last_one_may_lack_its_end() {
        let text = "  Applying shop.0001_initial… OK\n\n  Applying shop.0002_x…".as_bytes();
        let expected = ["  Applying shop.0001_initial… OK", "", "  Applying shop.0002_x…"];
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]), expected, "{at}");
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let many: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let kept = lines(&[many.as_bytes()]);
        assert_eq!((kept.len(), kept[0].as_str(), kept[199].as_str()), (200, "800", "999"));
        let long = lines(&[&vec![b'x'; 1 << 20], b"\nshort"]);
        assert!(long[0].len() <= LONGEST + 4 && long[0].ends_with('…'));
        assert_eq!(long[1], "short");
    }

    #[test]
    fn what_a_progress_bar_wrote_over_is_not_kept() {
        assert_eq!(lines(&[b"10 %\r20 %", b"\r100 %\r\nnext\r\n"]), ["100 %", "next"]);
        assert_eq!(lines(&[b"\x1b[31mred\xff\n"]), ["\u{fffd}[31mred\u{fffd}"]);
    }
}
