"""The listeners, which ostlerd owns: inherited, bound already; they may not listen yet, if the app had failed."""

import _socket
import os
import socket

KEPT = []  # they share a descriptor with another object: never to be collected


def listener(order, cfg, log):
    """gunicorn's own socket object around an inherited descriptor; nothing is bound, and nothing listens anew."""
    from gunicorn import sock

    base = {"inet": sock.TCPSocket, "inet6": sock.TCP6Socket, "unix": sock.UnixSocket}[order["family"]]

    def adopt(self, inherited, bound=False):
        kept = Listener(fileno=inherited.detach())
        if base is not sock.UnixSocket:
            kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept.setblocking(False)
        KEPT.append(kept)
        return kept

    address = order["address"]
    name = address if isinstance(address, str) else tuple(address)
    return type(base.__name__, (base,), {"set_options": adopt})(name, cfg, log, fd=order["fd"])


class Listener(socket.socket):
    """A listener that ostlerd owns: asking it to listen again would change the backlog for every worker."""

    def listen(self, backlog=None):
        pass


def begin(worker):
    """Before the first client: nobody else has them listen if the app had failed."""
    for order, owned in zip(worker.context.orders["listeners"], worker.sockets):
        # gevent has put a socket of its own kind in the place of ours.
        listener = _socket.socket(fileno=os.dup(owned.fileno()))
        try:
            if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            if order["family"] != "unix":
                # While it refuses it is without, so that nobody else gets the port.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.listen(order["backlog"])
        finally:
            listener.close()
