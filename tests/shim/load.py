"""A client that never retries and tells every way to lose a request from the others."""

import collections
import socket
import threading
import time


class Lost(Exception):
    """A request without its whole, good answer; says which way."""


class Client:
    """One HTTP/1.1 client, closing after each request or keeping its connection as long as the server lets it."""

    def __init__(self, shop, keep):
        self.shop, self.keep = shop, keep
        self.connection, self.used = None, False

    def get(self, path="/"):
        fresh = self.connection is None
        if fresh:
            try:
                self.connection = self.shop.connect()
            except OSError as error:
                raise Lost("refused: %s" % error) from None
        head = "GET %s HTTP/1.1\r\nHost: shop.example.com\r\nConnection: %s\r\n\r\n" % (
            path,
            "keep-alive" if self.keep else "close",
        )
        try:
            self.connection.sendall(head.encode())
            status, headers, body = self.answer(fresh)
        except socket.timeout:
            self.close()
            raise Lost("timed out") from None
        except OSError as error:
            self.close()
            raise Lost("reset on a %s connection: %s" % ("fresh" if fresh else "reused", error)) from None
        except Lost:
            self.close()
            raise
        if not self.keep or headers.get("connection", "").lower() == "close":
            self.close()
        if status >= 500:
            raise Lost("status %d" % status)
        return status, headers, body

    def answer(self, fresh):
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.connection.recv(65536)
            if not more:
                kind = "fresh" if fresh else "reused"
                raise Lost("truncated" if data else "closed before the first byte on a %s connection" % kind)
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            more = self.connection.recv(65536)
            if not more:
                raise Lost("truncated")
            body += more
        return int(lines[0].split()[1]), headers, body

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Load:
    """Clients that go on until told to stop; `answered` and `lost` say what became of it all."""

    def __init__(self, shop, keep, clients=4, pause=0.006, path="/"):
        self.shop, self.keep, self.pause, self.path = shop, keep, pause, path
        self.answered, self.lost = 0, collections.Counter()
        self.by = collections.Counter()
        self.lock, self.over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.go, args=(number,)) for number in range(clients)]

    def go(self, number):
        client = Client(self.shop, self.keep)
        # Each client has a rhythm of its own, so that all moments of a drain are met.
        pause = self.pause * (1 + number)
        while not self.over.is_set():
            try:
                body = client.get(self.path)[2]
                with self.lock:
                    self.answered += 1
                    self.by[body.split()[0]] += 1
            except Lost as lost:
                with self.lock:
                    self.lost[str(lost)] += 1
            time.sleep(pause)
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
