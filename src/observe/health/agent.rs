//! HAProxy's agent-check: one line for whoever connects.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::Sources;
use super::judge::{Judge, Verdict};
use super::serve::{Caller, Listener, is_near};
use crate::config::visible_line;

/// Connections at once; more are closed without a word.
const MOST: usize = 64;

/// How long somebody may take to read a line.
const TIME: Duration = Duration::from_secs(2);

/// What asks for a weight as well, as HAProxy's `agent-send` sends it right after connecting. Unasked, none is told but
/// the full one: of a server's default weight of 1 HAProxy makes 0 at 99 %, and sends it nobody any more.
const WEIGHT: &[u8] = b"weight";

/// How long is waited for that: HAProxy without `agent-send` says nothing.
const ASKED: Duration = Duration::from_millis(50);

/// Answers until the future is dropped.
pub async fn serve(listener: Listener, sources: Sources) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let caller = match listener.accept().await {
            Ok(caller) => caller,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the agent port");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let near = match &caller {
            Caller::Tcp(_, peer) => is_near(*peer),
            Caller::Unix(_) => true,
        };
        let lines = sources.judged(|judge| [false, true].map(|weighed| line(judge, near, weighed)));
        tokio::spawn(async move {
            let said = async {
                match caller {
                    Caller::Tcp(stream, _) => say(stream, lines).await,
                    Caller::Unix(stream) => say(stream, lines).await,
                }
            };
            // Whoever does not wait for the line does not need it.
            let _ = tokio::time::timeout(TIME, said).await;
            drop(place);
        });
    }
}

/// Says the line and takes in what the other end has said: closing before would throw the line away.
async fn say(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    [plain, weighed]: [String; 2],
) -> std::io::Result<()> {
    let mut said = [0; 256];
    let asked = tokio::time::timeout(ASKED, stream.read(&mut said)).await;
    let asks = matches!(asked, Ok(Ok(length)) if said[..length].starts_with(WEIGHT));
    stream.write_all(if asks { weighed } else { plain }.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut said).await? > 0 {}
    Ok(())
}

/// What an agent says; the reason of a failure only on this machine.
fn line(judge: &Judge<'_>, near: bool, weighed: bool) -> String {
    if judge.live().is_ok() && judge.status.draining {
        return "drain\n".to_owned();
    }
    match judge.machine(|_| false) {
        Verdict::Fail(reason) if near => format!("down #{}\n", visible_line(&reason)),
        Verdict::Fail(_) => "down #not ready\n".to_owned(),
        Verdict::Pass | Verdict::Warn(_) if weighed => format!("up ready {}%\n", judge.weight()),
        Verdict::Pass | Verdict::Warn(_) => "up ready 100%\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::health::Vitals;
    use crate::observe::testing::{app, status, worker};
    use crate::supervise::WorkerState;

    #[test]
    fn the_line_is_one_that_haproxy_knows() {
        let vitals = Vitals::default();
        let said = |ready: bool, draining: bool, busy: u32, near: bool| {
            let state = if ready { WorkerState::Ready } else { WorkerState::Booting };
            let mut workers = vec![worker(1, state), worker(2, state)];
            workers.iter_mut().take(busy as usize).for_each(|worker| worker.in_flight = 1);
            let mut shop = app("shop", workers);
            shop.health.capacity = Some(1);
            let mut status = status(vec![shop]);
            status.draining = draining;
            let judge = Judge {
                status: &status,
                vitals: &vitals,
                loop_age: Duration::ZERO,
                saturation: Default::default(),
            };
            (line(&judge, near, true), line(&judge, near, false))
        };
        let both = |line: &str| (line.to_owned(), line.to_owned());
        assert_eq!(said(true, false, 0, false), both("up ready 100%\n"));
        let plain = "up ready 100%\n".to_owned();
        assert_eq!(said(true, false, 1, false), ("up ready 50%\n".to_owned(), plain.clone()));
        assert_eq!(said(true, false, 2, false), ("up ready 10%\n".to_owned(), plain));
        assert_eq!(said(true, true, 0, true), both("drain\n"));
        assert_eq!(said(false, false, 0, true), both("down #shop: 0 of 1 worker ready\n"));
        assert_eq!(said(false, false, 0, false), both("down #not ready\n"));
    }
}
