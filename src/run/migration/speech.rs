//! What a process says on its control socket: lines of JSON from a program that is not trusted.

use std::io;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::pace::Pace;
use crate::migrate::LINE_LIMIT;
use crate::run::lines::LineSplitter;

/// The most that is read after the end of the process: what it said last.
const REST_MOST: usize = 4 * LINE_LIMIT;

/// The reading side of a control socket.
#[derive(Debug)]
pub(super) struct Speech<M> {
    lines: LineSplitter,
    pace: Pace,
    closed: bool,
    /// How many lines were no message of the contract.
    pub(super) strange: usize,
    of: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Speech<M> {
    pub(super) fn new() -> Self {
        let (lines, pace) = (LineSplitter::new(LINE_LIMIT), Pace::new());
        Speech { lines, pace, closed: false, strange: 0, of: PhantomData }
    }

    /// The next messages; waits for ever where none will come. It may be dropped while it waits.
    pub(super) async fn next(&mut self, stream: &UnixStream) -> Vec<M> {
        loop {
            if self.closed {
                std::future::pending::<()>().await;
            }
            self.pace.turn().await;
            // An error shows in the reading.
            let _ = stream.readable().await;
            let messages = self.read(stream, usize::MAX).1;
            if !messages.is_empty() {
                return messages;
            }
        }
    }

    /// What is left to read of a process that has ended.
    pub(super) fn rest(&mut self, stream: &UnixStream) -> Vec<M> {
        let (mut messages, mut taken) = (Vec::new(), 0);
        while !self.closed && taken < REST_MOST {
            let (count, more) = self.read(stream, REST_MOST - taken);
            messages.extend(more);
            taken += count;
            if count == 0 {
                break;
            }
        }
        messages
    }

    fn read(&mut self, stream: &UnixStream, most: usize) -> (usize, Vec<M>) {
        let mut buffer = [0; 16 * 1024];
        let most = most.min(buffer.len());
        // The kernel is asked, and not the event loop, which may not have heard of the last bytes yet.
        let read = stream.try_io(tokio::io::Interest::READABLE, || received(stream, &mut buffer[..most]));
        let read = match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => received(stream, &mut buffer[..most]),
            read => read,
        };
        let count = match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (0, Vec::new()),
            Ok(0) | Err(_) => {
                self.closed = true;
                return (0, Vec::new());
            }
            Ok(count) => count,
        };
        let lines = self.lines.push(&buffer[..count]);
        let messages: Vec<M> =
            lines.iter().filter_map(|line| serde_json::from_slice(line.as_ref()?).ok()).collect();
        self.strange += lines.len() - messages.len();
        self.pace.took(count, messages.len());
        (count, messages)
    }
}

fn received(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    use nix::sys::socket::{MsgFlags, recv};
    use std::os::fd::AsRawFd;
    recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
}
