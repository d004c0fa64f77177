//! HAProxy's agent-check: one line for whoever connects.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::judge::{Judge, Verdict};
use super::listener::{ACCEPT_PAUSE, Caller, Listener, is_near};
use super::sources::Sources;
use crate::config::visible_line;

/// Connections at once.
const MOST: usize = 256;

/// So much is taken in of what somebody says, in bytes: what asks for a weight is one word.
const LARGEST: usize = 8 * 1024;

/// How long somebody may take to read a line.
const TIME: Duration = Duration::from_secs(2);

/// What asks for a weight as well, as HAProxy's `agent-send` sends it right after connecting. Unasked, none is told but
/// the full one: of a server's default weight of 1 HAProxy makes 0 at 99 %, and sends it nobody any more.
const WEIGHT: &[u8] = b"weight";

/// How long is waited for that: HAProxy without `agent-send` says nothing.
const ASKED: Duration = Duration::from_millis(50);

/// Answers until the future is dropped. When all places are taken the oldest of the address that has the most
/// is closed: nobody keeps HAProxy out who asks from elsewhere, nor who asks first.
pub async fn serve(listener: Listener, sources: Sources) {
    let mut connections = Connections::default();
    loop {
        let caller = tokio::select! {
            caller = listener.accept() => caller,
            Some(ended) = connections.tasks.join_next_with_id() => {
                connections.forget(ended);
                continue;
            }
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the agent port");
                connections.close_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = match &caller {
            Caller::Tcp(_, peer) => Some(peer.to_canonical()),
            Caller::Unix(_) => None,
        };
        let near = address.is_none_or(is_near);
        let lines = sources.judged(|judge| [false, true].map(|weighed| line(judge, near, weighed)));
        connections.begin(address, async move {
            let said = async {
                match caller {
                    Caller::Tcp(stream, _) => say(stream, lines).await,
                    Caller::Unix(stream) => say(stream, lines).await,
                }
            };
            // Whoever does not wait for the line does not need it.
            let _ = tokio::time::timeout(TIME, said).await;
        });
    }
}

/// All that are open, by where they come from; Unix sockets are one such place.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    addresses: HashMap<Id, Option<IpAddr>>,
    /// The oldest of each first.
    places: HashMap<Option<IpAddr>, VecDeque<AbortHandle>>,
}

impl Connections {
    fn begin(&mut self, address: Option<IpAddr>, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(task);
        self.addresses.insert(task.id(), address);
        self.places.entry(address).or_default().push_back(task);
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        if self.addresses.len() > MOST {
            self.close_one();
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let Some(address) = self.addresses.remove(&id) else { return };
        let Some(places) = self.places.get_mut(&address) else { return };
        places.retain(|task| task.id() != id);
        if places.is_empty() {
            self.places.remove(&address);
        }
    }

    fn close_one(&mut self) {
        let fullest = self.places.iter().max_by_key(|(_, places)| places.len()).map(|(address, _)| *address);
        let Some(places) = fullest.and_then(|it| self.places.get_mut(&it)) else { return };
        let Some(oldest) = places.pop_front() else { return };
        if places.is_empty() {
            self.places.remove(&fullest.flatten());
        }
        self.addresses.remove(&oldest.id());
        oldest.abort();
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
    let mut heard = 0;
    while heard < LARGEST {
        match stream.read(&mut said).await? {
            0 => break,
            count => heard += count,
        }
    }
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
