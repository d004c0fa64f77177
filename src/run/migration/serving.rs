//! The code that serves, started once more beside its workers: a worker that is held, on a socket of its own that nobody knows.
//! It ends when it has answered its probe.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, bind, getsockname, socket,
};
use tokio::time::timeout;

use crate::plan::Blueprint;
use crate::run::children::Children;
use crate::run::memory_file;
use crate::run::messages::last_words;
use crate::run::process::ProcessHandle;
use crate::run::scope::ScopeContents;
use crate::run::wire::Wire;
use crate::run::worker_process::{
    FIRST_LISTENER, SCOREBOARD, launch_spec, probe_order, proof, start_interpreter,
};
use crate::run::{launch_spec::LaunchSpec, stand};
use crate::supervise::{Exit, GenerationId, LastWords, Proof, Tolerance};
use crate::worker::{ListenerAddress, ListenerOrder, Message, Orders, SLOT_SIZE, SlotRange, bundle};

/// How long it may take to end once it has answered.
const END: Duration = Duration::from_secs(5);

/// What it shows of itself, or why it does not come up within this time. Nothing of it is left then, also if the future is
/// dropped.
pub(super) async fn ask(
    children: &Children,
    generation: GenerationId,
    blueprint: &Blueprint,
    within: Duration,
) -> Result<Proof, LastWords> {
    let of = |message: String| LastWords { message, traceback: String::new() };
    let mut asked = AskedWorker::start(children, generation, blueprint)
        .map_err(|error| of(format!("another process of it could not be made: {error}")))?;
    match timeout(within, asked.listen()).await {
        Ok(Ok(answer)) => {
            asked.leave().await;
            answer
        }
        Ok(Err(exit)) => Err(of(format!("another process of it ended ({exit}) before it was ready"))),
        Err(_) => {
            let stand = stand::of(&asked.process, &asked.wire.report, blueprint.code()).await;
            let place = stand.as_ref().map(|it| format!(": it waits in {}", it.at)).unwrap_or_default();
            let message =
                format!("another process of it was not ready within {} s{place}", within.as_secs_f64());
            Err(LastWords { message, traceback: stand.map(|it| it.stacks).unwrap_or_default() })
        }
    }
}

struct AskedWorker {
    process: ProcessHandle,
    wire: Wire,
}

impl Drop for AskedWorker {
    fn drop(&mut self) {
        // One that has ended needs none.
        let _ = self.process.kill_group();
    }
}

impl AskedWorker {
    fn start(
        children: &Children,
        generation: GenerationId,
        blueprint: &Blueprint,
    ) -> io::Result<AskedWorker> {
        let (listener, port) = own_socket()?;
        let slot = memory_file::of_one_size("ostler-slot", &[0; SLOT_SIZE])?;
        let mut orders = Orders::worker(blueprint.app.as_str(), 0, generation.0, SlotRange::at(0));
        orders.entry = Some(blueprint.entry.clone());
        orders.args = blueprint.args.clone();
        let address = ListenerAddress::Inet(Ipv4Addr::LOCALHOST.to_string(), port);
        orders.listeners = vec![ListenerOrder { fd: FIRST_LISTENER, address, backlog: 1 }];
        orders.hold = true;
        // What its answer means is judged by who knows how it was before.
        orders.probe = blueprint.probe.as_ref().map(|probe| probe_order(probe, Tolerance::ALL));
        orders.log_file = blueprint.log_file.as_ref().map(|file| file.display().to_string());
        let title = format!("ostler: {} [asked, {generation}]", blueprint.app);
        let scope = children.place(&blueprint.app, ScopeContents::Generation(generation));
        let mut spec = LaunchSpec { scope, ..launch_spec(blueprint, title) };
        spec.env.extend(children.variables(blueprint));
        let stream = children.stream(blueprint);
        let mut fds = vec![(slot.as_fd(), SCOREBOARD), (listener.as_fd(), FIRST_LISTENER)];
        fds.extend(stream.iter().flat_map(|stream| stream.outputs()));
        let (process, wire) = start_interpreter(children, &spec, (&bundle(), &orders.to_json()), &fds)?;
        Ok(AskedWorker { process, wire })
    }

    /// Lets it end by itself, as a worker does that is not needed: with the app's own end.
    async fn leave(&self) {
        self.wire.end();
        let _ = timeout(END, self.process.ended()).await;
    }

    /// Listens until it has answered; the error is how it ended without an answer.
    async fn listen(&mut self) -> Result<Result<Proof, LastWords>, Exit> {
        let (mut open, mut shown) = (true, Proof::default());
        loop {
            let ended = tokio::select! {
                biased;
                _ = self.wire.control.readable(), if open => false,
                () = self.process.ended() => true,
            };
            let received = self.wire.read(&self.process, ended);
            open &= !received.closed;
            for message in received.messages {
                match message {
                    Message::Proved(proved) => shown = proof(proved),
                    Message::Loaded => return Ok(Ok(shown)),
                    Message::Failed(failed) => return Ok(Err(last_words(&failed))),
                    _ => {}
                }
            }
            if ended {
                return Err(self.process.wait().await);
            }
        }
    }
}

/// A socket of this machine's that takes no connection, and its port.
fn own_socket() -> io::Result<(OwnedFd, u16)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None::<SockProtocol>)?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let name: SockaddrIn = getsockname(fd.as_raw_fd())?;
    Ok((fd, name.port()))
}
