//! HAProxy's agent-check: one line for whoever connects.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::Sources;
use super::judge::{Judge, Verdict};
use super::serve::{Caller, Listener, is_near};

/// Connections at once; more are closed without a word.
const MOST: usize = 64;

/// How long somebody may take to read a line.
const TIME: Duration = Duration::from_secs(2);

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
        let line = sources.judged(|judge| line(judge, near));
        tokio::spawn(async move {
            let said = async {
                match caller {
                    Caller::Tcp(stream, _) => say(stream, &line).await,
                    Caller::Unix(stream) => say(stream, &line).await,
                }
            };
            // Whoever does not wait for the line does not need it.
            let _ = tokio::time::timeout(TIME, said).await;
            drop(place);
        });
    }
}

/// Says the line and takes in what the other end has said: closing before would throw the line away.
async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, line: &str) -> std::io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    let mut said = [0; 256];
    while stream.read(&mut said).await? > 0 {}
    Ok(())
}

/// What an agent says; the reason of a failure only on this machine.
fn line(judge: &Judge<'_>, near: bool) -> String {
    if judge.live().is_ok() && judge.status.draining {
        return "drain\n".to_owned();
    }
    match judge.machine(|_| false) {
        Verdict::Fail(reason) if near => format!("down #{}\n", reason.replace(|c: char| c.is_control(), " ")),
        Verdict::Fail(_) => "down #not ready\n".to_owned(),
        Verdict::Pass | Verdict::Warn(_) => format!("up ready {}%\n", judge.weight()),
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
            line(&judge, near)
        };
        assert_eq!(said(true, false, 0, false), "up ready 100%\n");
        assert_eq!(said(true, false, 1, false), "up ready 50%\n");
        assert_eq!(said(true, false, 2, false), "up ready 10%\n");
        assert_eq!(said(true, true, 0, true), "drain\n");
        assert_eq!(said(false, false, 0, true), "down #shop: 0 of 1 workers ready\n");
        assert_eq!(said(false, false, 0, false), "down #not ready\n");
    }
}
