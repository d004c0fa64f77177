//! What happens to a server in its life, seen through each edge: nothing of it may be lost on a client.

use nix::sys::signal::Signal;

use crate::front::{CADDY, Edge, Front, HAPROXY, HAPROXY_AGENT, NGINX, NGINX_ALONE, NGINX_CURRENT, TRAEFIK};
use crate::harness::Ostlerd;
use crate::pair::{NAMES, Pair};
use crate::table::{Clients, Row};

/// Both servers and the edge, all running.
struct Stage<'a> {
    edge: &'a Edge,
    pair: &'a Pair,
    daemons: [Ostlerd<'a>; 2],
    front: Front,
    /// What the two releases call themselves.
    names: [&'static str; 2],
}

impl Stage<'_> {
    /// `ostler restart shop` with a new release, one server after the other.
    fn new_release(&mut self) -> Row {
        let clients = Clients::of(&self.front);
        self.names = ["third", "fourth"];
        for ((ostlerd, server), name) in self.daemons.iter().zip(&self.pair.servers).zip(self.names) {
            server.mend_release(name);
            ostlerd.restart("shop");
            clients.more();
        }
        self.front.reaches(&self.names);
        clients.stop(self.edge, "a new release")
    }

    /// `ostler drain` and `ostler undrain` on one server.
    fn drain_and_back(&self) -> Row {
        let clients = Clients::of(&self.front);
        self.daemons[0].ostler(&["drain"]).exits(0);
        if self.edge.checks.is_some() {
            self.front.reaches(&self.names[1..]);
        }
        clients.more();
        self.daemons[0].ostler(&["undrain"]).exits(0);
        self.front.reaches(&self.names);
        clients.stop(self.edge, "drain, then back")
    }

    /// One server's daemon ends on SIGTERM, stays away for a while, and is started again.
    fn away_and_back(&mut self) -> Row {
        let clients = Clients::of(&self.front);
        self.daemons[0].signal(Signal::SIGTERM);
        let status = self.daemons[0].ends();
        assert!(status.success(), "ostlerd ended with {status} on SIGTERM");
        clients.more();
        self.daemons[0] = self.pair.servers[0].site.start();
        self.daemons[0].serving("shop");
        self.front.reaches(&self.names);
        clients.stop(self.edge, "SIGTERM, then back")
    }

    /// A release that does not boot, on both servers.
    fn bad_release(&self) -> Row {
        let clients = Clients::of(&self.front);
        for (at, (ostlerd, server)) in self.daemons.iter().zip(&self.pair.servers).enumerate() {
            server.break_release();
            ostlerd.restart_fails("shop");
            server.mend_release(self.names[at]);
            clients.more();
        }
        self.front.reaches(&self.names);
        clients.stop(self.edge, "a release that fails")
    }
}

fn staged(edge: &Edge, play: impl FnOnce(&mut Stage<'_>) -> Vec<Row>) -> Vec<Row> {
    let pair = Pair::new(edge);
    let daemons = pair.start();
    let front = pair.front(edge);
    let rows = play(&mut Stage { edge, pair: &pair, daemons, front, names: NAMES });
    for row in &rows {
        println!("{row}");
    }
    rows
}

/// Every change; every request of every client has to be answered well.
fn nothing_is_lost_behind(edge: &Edge) {
    let rows = staged(edge, |stage| {
        vec![stage.new_release(), stage.drain_and_back(), stage.away_and_back(), stage.bad_release()]
    });
    for row in rows {
        row.lost_nothing();
    }
}

#[test]
fn nothing_is_lost_behind_nginx() {
    nothing_is_lost_behind(&NGINX);
}

#[test]
fn nothing_is_lost_behind_a_current_nginx() {
    nothing_is_lost_behind(&NGINX_CURRENT);
}

#[test]
fn nothing_is_lost_behind_haproxy_with_http_checks() {
    nothing_is_lost_behind(&HAPROXY);
}

#[test]
fn nothing_is_lost_behind_haproxy_with_agent_checks() {
    nothing_is_lost_behind(&HAPROXY_AGENT);
}

#[test]
fn nothing_is_lost_behind_traefik() {
    nothing_is_lost_behind(&TRAEFIK);
}

#[test]
fn nothing_is_lost_behind_caddy() {
    nothing_is_lost_behind(&CADDY);
}

#[test]
fn an_nginx_that_may_not_ask_the_next_server_loses_clients_while_one_is_away() {
    let rows = staged(&NGINX_ALONE, |stage| vec![stage.new_release(), stage.away_and_back()]);
    rows[0].lost_nothing();
    assert!(rows[1].lost() > 0, "ostler-edge(7) says that this loses some");
}
