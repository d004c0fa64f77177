#!/usr/bin/env bash
# What a container cannot show, in a small virtual machine: control groups with their controllers on, as on every real
# machine. The Debian of tests/rootfs.sh, packed as an initramfs, with ostler, its unit, one environment of
# tests/venvs.sh and Debian's own kernel; inside it runs tests/vm/laws.py.
#
#   tests/vm.sh      or `make test-vm`; 0 where every law holds
#
# Needs root, as the Debian does. What else is missing is installed, or named. $OSTLER_BIN is a folder with ostlerd and
# ostler; without it they are built. What the console said is kept in target/vm/console.
set -euo pipefail
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rootfs=${OSTLER_ROOTFS:-$root/target/rootfs}
venv=${OSTLER_VENVS:-$root/target/venvs}/gunicorn-27
kept=$root/target/vm
# On a busy day: it takes some three minutes where nothing else runs.
patience=1200

fail() {
    echo "tests/vm.sh: $*" >&2
    exit 1
}

missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
command -v cpio >/dev/null || missing+=(cpio)
command -v dpkg-deb >/dev/null || fail "dpkg is missing: the virtual machine is made of Debian's packages"
((EUID == 0)) || fail "only root can: run it with sudo${missing[*]:+ (it then installs ${missing[*]})}"
[[ $(uname -m) == x86_64 ]] || fail "it boots Debian's kernel for amd64, and this machine is $(uname -m)"
if ((${#missing[@]})); then
    echo "tests/vm.sh: installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >/dev/null </dev/null || fail "apt-get could not install ${missing[*]}"
fi
[[ -r $rootfs/.stamp ]] || fail "$rootfs is missing: run \`bash tests/rootfs.sh\` first"
[[ -x $venv/bin/python ]] || fail "$venv is missing: run \`bash tests/venvs.sh\` first"
bin=${OSTLER_BIN:-$root/target/debug}
[[ -n ${OSTLER_BIN:-} ]] || (cd "$root" && cargo build --locked --quiet)
[[ -x $bin/ostlerd && -x $bin/ostler ]] || fail "$bin has no ostlerd and ostler"

mkdir -p "$kept"
work=$(mktemp -d "${TMPDIR:-/tmp}/ostler-vm.XXXXXX")
qemu=
trap 'if [[ -n $qemu ]]; then kill "$qemu" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

# The kernel, taken out of its package: this machine goes on booting its own.
if ! [[ -r $kept/vmlinuz ]]; then
    depends=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null || true)
    package=$(sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' <<<"$depends" | head -n 1)
    [[ -n $package ]] || fail "apt knows no linux-image-cloud-amd64: run \`apt-get update\`, on a Debian"
    echo "tests/vm.sh: fetching $package"
    mkdir "$work/kernel"
    chmod 777 "$work/kernel"
    (cd "$work/kernel" && apt-get download -qq "$package" >/dev/null 2>"$work/apt" </dev/null) ||
        fail "apt-get could not download $package: $(tail -n 2 "$work/apt")"
    dpkg-deb --fsys-tarfile "$work"/kernel/*.deb | tar -x -C "$work/kernel" ./boot
    cp "$work"/kernel/boot/vmlinuz-* "$kept/vmlinuz.new"
    mv "$kept/vmlinuz.new" "$kept/vmlinuz"
fi

packed() { find . -mindepth 1 -xdev -print0 | cpio --null --create --format=newc --quiet --owner=+0:+0 | gzip -1; }

extra=$work/extra
mkdir -p "$extra"/{usr/bin,usr/lib/systemd/system,usr/lib/ostler-vm,opt,etc/systemd/system/multi-user.target.wants}
for program in ostlerd ostler; do
    strip -o "$extra/usr/bin/$program" "$bin/$program" 2>/dev/null || cp "$bin/$program" "$extra/usr/bin/$program"
done
cp "$root/systemd/ostler.service" "$extra/usr/lib/systemd/system/"
cp "$root/tests/vm/laws.py" "$extra/usr/lib/ostler-vm/"
cp -a "$venv" "$extra/opt/venv"
# Its Python, where it looks for it.
python=$(readlink -f "$venv/bin/python")
mkdir -p "$extra$(dirname "${python%/bin/*}")"
cp -a "${python%/bin/*}" "$extra${python%/bin/*}"
cat >"$extra/etc/systemd/system/ostler-vm.service" <<'UNIT'
[Unit]
Description=What has to hold on a machine with controllers
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
Environment=SYSTEMD_COLORS=0 PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -u /usr/lib/ostler-vm/laws.py
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
UNIT
ln -s ../ostler-vm.service "$extra/etc/systemd/system/multi-user.target.wants/"
(cd "$rootfs" && packed) >"$work/initrd"
(cd "$extra" && packed) >>"$work/initrd"

# Without KVM: slower, and the same everywhere, in a virtual machine too.
console=$kept/console
began=$SECONDS
echo "tests/vm.sh: booting"
timeout "$patience" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot -nic none \
    -kernel "$kept/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 rdinit=/lib/systemd/systemd panic=1 quiet loglevel=1 systemd.show_status=no" \
    </dev/null >"$console" 2>&1 &
qemu=$!
# As it happens, for whoever waits.
tail --pid="$qemu" -n +1 -F "$console" 2>/dev/null | sed -un 's/\r$//; /^vm: /p'
status=0
wait "$qemu" || status=$?
qemu=
took=$((SECONDS - began))
if grep -aq '^vm: every law holds' "$console"; then
    echo "tests/vm.sh: passed in $took s"
elif ((status == 124)); then
    fail "FAILED: no end within $patience s; see $console"
else
    tail -n 60 "$console" >&2
    fail "FAILED after $took s; see $console"
fi
