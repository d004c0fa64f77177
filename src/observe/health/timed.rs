//! A connection that knows for how long it has been doing what it does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From a connection's first byte of a request to the last of its head, and before the first request.
const HEAD_TIME: Duration = Duration::from_secs(8);

/// Between an answer and the next request: longer than balancers' checks are apart, alb's 30 s most of all.
const IDLE_TIME: Duration = Duration::from_secs(75);

/// What a connection does, and since when.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    origin: Instant,
    /// Milliseconds since the origin, doubled; odd while it idles after an answer.
    since: Arc<AtomicU64>,
}

impl Phase {
    /// A connection that has just been made, by a clock that all of them share.
    pub(super) fn begun(origin: Instant) -> Phase {
        let phase = Phase { origin, since: Arc::default() };
        phase.set(false);
        phase
    }

    /// It has its answer.
    pub(super) fn answered(&self) {
        self.set(true);
    }

    fn asking(&self) {
        if self.since.load(Ordering::Relaxed) & 1 == 1 {
            self.set(false);
        }
    }

    fn set(&self, idle: bool) {
        let now = self.origin.elapsed().as_millis() as u64;
        self.since.store(now << 1 | u64::from(idle), Ordering::Relaxed);
    }

    /// What it does began so many milliseconds after the origin.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed) >> 1
    }

    /// Whether it has taken longer than it may.
    pub(super) fn is_overdue(&self) -> bool {
        let limit = if self.since.load(Ordering::Relaxed) & 1 == 1 { IDLE_TIME } else { HEAD_TIME };
        self.origin.elapsed() > Duration::from_millis(self.since()) + limit
    }
}

/// A stream that tells its phase when bytes come in.
pub(super) struct Timed<S> {
    pub(super) stream: S,
    pub(super) phase: Phase,
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() && buffer.filled().len() > before {
            self.phase.asking();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_head_is_overdue_long_before_an_idle_connection_is() {
        let origin = Instant::now() - Duration::from_secs(20);
        let phase = |idle: u64| Phase { origin, since: Arc::new(AtomicU64::new((1000 << 1) | idle)) };
        assert!(phase(0).is_overdue());
        assert!(!phase(1).is_overdue());
        let origin = Instant::now() - Duration::from_secs(80);
        assert!(Phase { origin, ..phase(1) }.is_overdue());
    }

    #[test]
    fn the_first_byte_of_a_request_ends_the_idling_and_later_ones_give_no_more_time() {
        let phase = Phase::begun(Instant::now() - Duration::from_secs(5));
        phase.answered();
        assert_eq!(phase.since.load(Ordering::Relaxed) & 1, 1);
        phase.asking();
        assert_eq!(phase.since.load(Ordering::Relaxed) & 1, 0);
        phase.since.store(42 << 1, Ordering::Relaxed);
        phase.asking();
        assert_eq!(phase.since(), 42);
    }
}
