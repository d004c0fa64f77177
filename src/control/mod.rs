//! Commands over the control socket: protocol, server, client, and the verbs of `ostler`.
