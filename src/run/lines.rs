//! Lines out of bytes that come in any pieces, from somebody who is not trusted to end them.

/// What is complete of a stream of lines.
#[derive(Debug)]
pub(super) struct LineSplitter {
    limit: usize,
    line: Vec<u8>,
    skipping: bool,
}

impl LineSplitter {
    /// Lines of at most `limit` bytes; a longer one is skipped as a whole.
    pub(super) fn new(limit: usize) -> LineSplitter {
        LineSplitter { limit, line: Vec::new(), skipping: false }
    }

    /// Takes what was read, and gives the lines that are complete now; `None` for one that was too long. Blank ones
    /// are left out.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut complete = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if self.line.len() + text.len() > self.limit {
                self.skipping = true;
                self.line.clear();
            }
            if !self.skipping {
                self.line.extend_from_slice(text);
            }
            if ended {
                let line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.skipping) {
                    complete.push(None);
                } else if !line.iter().all(u8::is_ascii_whitespace) {
                    complete.push(Some(line));
                }
            }
        }
        complete
    }
}
