"""Makes an image by hand, as an OCI layout: what no tool would put into one is put there.

    layout.py FOLDER <SPECIFICATION

The specification is JSON: `architecture`, `env`, `layers`, each a list of members with `name`, `type`, `link`, `mode`, `text`,
`zeros` (so many bytes of them), `hole` (a sparse file of that size), `pax`; with `list`, there is an index of one image for
each of these architectures.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

KINDS = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "disk": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
}
OCI = "application/vnd.oci.image."


class Zeros(io.RawIOBase):
    """As many as are read."""

    def read(self, size=-1):
        return bytes(size)


def add(archive, member):
    info = tarfile.TarInfo(member["name"])
    info.type = KINDS[member.get("type", "file")]
    info.linkname = member.get("link", "")
    info.mode = member.get("mode", 0o644)
    info.mtime = member.get("time", 1000)
    info.devmajor, info.devminor = 1, 3
    info.pax_headers = member.get("pax", {})
    text = member.get("text", "").encode()
    if "hole" in member:
        size = str(member["hole"])
        text = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
        keys = {"major": "1", "minor": "0", "name": member["name"], "realsize": size}
        info.pax_headers = {f"GNU.sparse.{key}": value for key, value in keys.items()}
    info.size = member.get("zeros", len(text))
    content = Zeros() if "zeros" in member else io.BytesIO(text)
    archive.addfile(info, content if info.isreg() else None)


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(f"{folder}/blobs/sha256")
        with open(f"{folder}/oci-layout", "w") as file:
            file.write('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, kind, content):
        name = hashlib.sha256(content).hexdigest()
        with open(f"{self.folder}/blobs/sha256/{name}", "wb") as file:
            file.write(content)
        return {"mediaType": OCI + kind, "digest": f"sha256:{name}", "size": len(content)}

    def image(self, architecture, env, layers):
        diffs, packed = [], []
        for members in layers:
            layer = io.BytesIO()
            with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for member in members:
                    add(archive, member)
            diffs.append("sha256:" + hashlib.sha256(layer.getvalue()).hexdigest())
            packed.append(self.blob("layer.v1.tar+gzip", gzip.compress(layer.getvalue(), 1, mtime=0)))
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": env},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        }
        config = self.blob("config.v1+json", json.dumps(config).encode())
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": packed}
        return self.blob("manifest.v1+json", json.dumps(manifest).encode())

    def index(self, manifests):
        return {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": manifests}

    def finish(self, named):
        named = {**named, "annotations": {"org.opencontainers.image.ref.name": "it"}}
        with open(f"{self.folder}/index.json", "w") as file:
            json.dump(self.index([named]), file)


def main():
    wanted = json.load(sys.stdin)
    layout = Layout(sys.argv[1])
    made = {name: layout.image(name, wanted["env"], wanted["layers"]) for name in wanted["architectures"]}
    if wanted.get("list"):
        entries = [{**it, "platform": {"os": "linux", "architecture": name}} for name, it in made.items()]
        layout.finish(layout.blob("index.v1+json", json.dumps(layout.index(entries)).encode()))
    else:
        layout.finish(made[wanted["architectures"][0]])


main()
