"""A client of HTTP/2 that keeps to a GOAWAY and never retries: h2_client.py http|https HOST PORT STREAMS PATH

Run by an interpreter that has h2. Goes on until its standard input ends, and prints how many requests were answered,
on how many connections, and what became of the others.
"""

import collections
import json
import select
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events


class Connection(h2.connection.H2Connection):
    """h2 forgets every stream at a GOAWAY; those below its number are answered."""

    goaway = None

    def _receive_goaway_frame(self, frame):
        self.goaway = frame.last_stream_id if self.goaway is None else min(self.goaway, frame.last_stream_id)
        return [], []


class Client:
    def __init__(self, scheme, address, streams, path):
        self.scheme, self.address, self.streams, self.path = scheme, address, streams, path
        self.lost, self.answered, self.connections = collections.Counter(), 0, 0

    def connect(self):
        sock = socket.create_connection(self.address, 30)
        if self.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            sock = context.wrap_socket(sock)
            assert sock.selected_alpn_protocol() == "h2", sock.selected_alpn_protocol()
        sock.settimeout(30)
        return sock

    def serve(self, over):
        """One connection, until it ends or `over` says so and nothing is under way."""
        self.connections += 1
        sock = self.connect()
        h2c = Connection(h2.config.H2Configuration(client_side=True))
        h2c.initiate_connection()
        waiting = set()
        try:
            while True:
                while h2c.goaway is None and not over() and len(waiting) < self.streams:
                    stream = h2c.get_next_available_stream_id()
                    h2c.send_headers(
                        stream,
                        [(":method", "GET"), (":path", self.path), (":scheme", self.scheme), (":authority", "a")],
                        end_stream=True,
                    )
                    waiting.add(stream)
                sock.sendall(h2c.data_to_send())
                if not waiting and (h2c.goaway is not None or over()):
                    return
                data = sock.recv(65536)
                if not data:
                    raise ConnectionError("closed")
                for event in h2c.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        # Or the server may send no more when all answers of the connection have come to 64 KiB.
                        h2c.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    self.hear(event, waiting)
                for stream in [stream for stream in waiting if h2c.goaway is not None and stream > h2c.goaway]:
                    waiting.discard(stream)
                    self.lost["beyond a GOAWAY"] += 1
        except OSError as error:
            self.lost[str(error)] += len(waiting)
        finally:
            sock.close()

    def hear(self, event, waiting):
        if isinstance(event, h2.events.StreamEnded):
            waiting.discard(event.stream_id)
            self.answered += 1
        elif isinstance(event, h2.events.StreamReset):
            waiting.discard(event.stream_id)
            self.lost["reset with %s" % event.error_code] += 1
        elif isinstance(event, h2.events.ResponseReceived):
            status = {bytes(k): bytes(v) for k, v in ((as_bytes(k), as_bytes(v)) for k, v in event.headers)}[b":status"]
            if status != b"200":
                self.lost[status.decode()] += 1


def as_bytes(text):
    return text.encode() if isinstance(text, str) else text


def main():
    scheme, host, port, streams, path = sys.argv[1:]
    client = Client(scheme, (host, int(port)), int(streams), path)

    def over():
        return bool(select.select([0], [], [], 0)[0])

    while not over():
        client.serve(over)
    print(json.dumps({"answered": client.answered, "connections": client.connections, "lost": client.lost}))


main()
