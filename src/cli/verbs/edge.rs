//! `ostler edge PROGRAM`: the configuration of what stands in front.

use std::collections::BTreeMap;

use crate::cli::arguments::{Common, EdgeArguments};
use crate::cli::client::{Client, ClientError};
use crate::cli::config_file;
use crate::cli::edge::{Printed, Tls, Wanted, print};
use crate::cli::error::VerbError;
use crate::cli::follow::{explanation, next};
use crate::cli::screen::{complain, plain, say};
use crate::control::protocol::{StreamLine, exit};
use crate::plan::{self, Served};
use crate::supervise::{Command, Outcome};

/// Prints it; 64 where what is asked for cannot be.
pub(super) async fn run(client: &Client, arguments: EdgeArguments, common: &Common) -> Result<u8, VerbError> {
    let (served, source) = match &arguments.config {
        Some(file) => {
            let config = config_file::load(file).map_err(|why| VerbError::said(exit::CONFIGURATION, why))?;
            let served = plan::served(&config, &config.health, &BTreeMap::new());
            (served, format!("from the file {} and its apps.d, without asking ostlerd", file.display()))
        }
        None => (ask(client).await?, format!("from what ostlerd runs ({})", common.socket.display())),
    };
    let printed = print(arguments.program, &served, &wanted(arguments, source))
        .map_err(|why| VerbError::said(exit::USAGE, why))?;
    if common.how.json {
        say(&serde_json::to_string(&printed).expect("text and lists are JSON"))?;
    } else {
        say(&printed.configuration)?;
    }
    tell(&printed);
    Ok(0)
}

fn tell(printed: &Printed) {
    for warning in &printed.warnings {
        complain(&format!("ostler: warning: {}", plain(warning)));
    }
}

async fn ask(client: &Client) -> Result<Served, VerbError> {
    let mut feed = match client.command(&Command::Served).await {
        Err(error @ ClientError::Unreachable { .. }) => {
            let why = format!("{error}; without ostlerd, --config FILE goes by the files alone");
            return Err(VerbError::said(exit::UNREACHABLE, why));
        }
        feed => feed?,
    };
    loop {
        let Some(text) = next(&mut feed).await? else {
            return Err(VerbError::said(exit::UNREACHABLE, "ostlerd went away before it answered"));
        };
        match StreamLine::parse(&text) {
            StreamLine::Outcome(Outcome::Served { served }) => return Ok(*served),
            StreamLine::Outcome(other) => {
                return Err(VerbError::said(other.exit_status(), explanation(&other, None, false)));
            }
            StreamLine::Error(message, exit) => return Err(VerbError::said(exit, message)),
            StreamLine::Event(_) | StreamLine::Lagged(_) | StreamLine::Unknown(_) => {}
        }
    }
}

fn wanted(arguments: EdgeArguments, source: String) -> Wanted {
    let tls = match (arguments.no_tls, arguments.cert) {
        (true, _) => Tls::Off,
        (false, Some(cert)) => Tls::Files { cert, key: arguments.key },
        (false, None) => Tls::Automatic,
    };
    Wanted {
        source,
        app: arguments.app,
        own: arguments.own,
        peers: arguments.peers,
        hosts: arguments.hosts,
        tls,
        email: arguments.email,
        cdn: arguments.cdn,
        max_body: arguments.max_body,
        listen: arguments.listen,
        http_port: arguments.http_port,
        https_port: arguments.https_port,
        check_every: arguments.check_every,
        special: arguments.special,
    }
}
