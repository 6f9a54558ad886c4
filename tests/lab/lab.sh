#!/usr/bin/env bash
# lab.sh: Linux hosts on this machine for the end-to-end tests. Run as root.
#
# Each host has its own network, pid, uts, ipc, cgroup and mount namespaces, an overlay root over one shared
# rootfs, a disk quota, real systemd as PID 1, and real sshd with its own host key. No container engine, no VM,
# no kernel module. The tool under test runs in a control namespace that has no way out, so that a packet for a
# host that is down cannot leave the machine.
#
#   lab.sh rootfs               build the shared rootfs once ('up' does it when it is missing)
#   lab.sh up N | down          N hosts h01..hNN up | everything away again
#   lab.sh hold N               up, then say so, and down once standard input ends: whoever holds it may be killed
#   lab.sh status | hosts       one line a host | 'NAME ADDRESS' lines
#   lab.sh ssh HOST [CMD...]    ssh as root
#   lab.sh exec CMD...          run CMD in the control namespace (this machine's files, the lab's network)
#   lab.sh in HOST CMD...       run CMD in the host, without ssh
#  Faults; HOST may be a list h01,h05 or 'all'. 'heal' takes back cut, delay, hang and full.
#   lab.sh cut HOST             the network drops every packet, both ways, in silence
#   lab.sh heal HOST
#   lab.sh delay HOST MS        MS more round trip
#   lab.sh sshd-kill HOST       kill sshd and its sessions (systemd starts the listener again)
#   lab.sh kill HOST            power cut: no FIN, no RST, all processes gone, the disk stays
#   lab.sh boot HOST            power on again
#   lab.sh hang HOST            every process frozen; the kernel still answers SYN and ping
#   lab.sh full HOST [KB_LEFT]  the disk is full, at once
#
# For the tool, in $LAB: ssh_config, known_hosts, id_ed25519.
# Needs: bash, util-linux >= 2.38, iproute2, openssh-client, mmdebstrap, a cgroup2 tree; python3 for 'delay' where
#   the kernel has no netem.
# Settings (environment; two labs differ in LAB, LAB_NAME and LAB_NET): LAB=/run/windlass-lab LAB_NAME=wl
#   LAB_NET=10.78.0 LAB_CACHE=/var/cache/windlass-lab LAB_DISK=256m LAB_SUITE=bookworm LAB_MIRROR=URL LAB_JOBS=8
# shellcheck disable=SC2016 # what is not expanded here is for a shell in a host
# shellcheck disable=SC2038,SC2046 # process numbers and names of hosts have no blanks
# shellcheck disable=SC2015 # after `A && B || C`, C is wanted where B fails as well
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export LAB=${LAB:-/run/windlass-lab} LAB_NAME=${LAB_NAME:-wl} LAB_NET=${LAB_NET:-10.78.0}
export LAB_CACHE=${LAB_CACHE:-/var/cache/windlass-lab} LAB_DISK=${LAB_DISK:-256m} LAB_SUITE=${LAB_SUITE:-bookworm}
export LAB_JOBS=${LAB_JOBS:-8} LAB_MIRROR=${LAB_MIRROR:-}
CTL=$LAB_NAME-ctl
BR=br-lab
PACKAGES=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,busybox-static,fish,haproxy,libfaketime,runit,sudo,tcsh
SELF=$(readlink -f "$0")

die() { echo "lab: $*" >&2; exit 1; }
number() { local n=${1#h}; echo $((10#$n)); }
dir() { echo "$LAB/hosts/$1"; }
address() { echo "$LAB_NET.$((10 + $(number "$1")))"; }
mac() { printf '02:4e:00:00:00:%02x' $((10 + $(number "$1"))); }
port() { [ -e "$(dir "$1")/lag" ] && echo "d-$1" || echo "v-$1"; }   # its port of the bridge now
known() { [ -d "$(dir "$1")" ] || die "no host '$1'"; }
hosts() { ls "$LAB/hosts" 2>/dev/null || true; }
in_ctl() { nsenter --net="/run/netns/$CTL" -- "$@"; }

# ---- cgroups: every process of a host is in its own, so no pid is ever guessed ----
cgroup2() {
  if mountpoint -q /sys/fs/cgroup/unified; then echo /sys/fs/cgroup/unified
  elif [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then echo /sys/fs/cgroup
  else die "no cgroup2 tree: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"; fi
}
cgroup() { echo "$(cgroup2)/$LAB_NAME-lab${1:+/$1}"; }
busy() { grep -qx 'populated 1' "$1/cgroup.events" 2>/dev/null; }
reap() {  # kill all in that cgroup and wait for it to be empty
  local c; c=$(cgroup "$1"); busy "$c" || return 0
  if [ -e "$c/cgroup.kill" ]; then echo 1 >"$c/cgroup.kill"
  else find "$c" -name cgroup.procs -exec cat {} + | xargs -r kill -9 2>/dev/null || true; fi   # before Linux 5.14
  for _ in $(seq 200); do busy "$c" || return 0; sleep 0.02; done
  die "processes are left in $c"
}
cgroup_remove() {  # it is empty by now; a few tries, the kernel may lag
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -d "$1" ] || return 0
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && return 0
    sleep 0.1
  done
}
initpid() {  # PID 1 of the host as seen from here; empty when it is off
  local p; p=$(cat "$(dir "$1")/init.pid" 2>/dev/null) || return 0
  [ -n "$p" ] && grep -q "^0::/$LAB_NAME-lab/$1\(/\|$\)" "/proc/$p/cgroup" 2>/dev/null && echo "$p" || true
}

# ---- the shared rootfs ----
rootfs() { echo "$LAB_CACHE/rootfs-$LAB_SUITE-$(echo "v1,$PACKAGES" | sha256sum | cut -c1-10)"; }
rootfs_build() {
  local R T s; R=$(rootfs); [ ! -d "$R" ] || return 0
  command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
  mkdir -p "$LAB_CACHE"; T="$R.tmp.$$"
  [ -n "$LAB_MIRROR" ] || LAB_MIRROR=$(apt-get indextargets --format '$(SITE)' | grep -m1 -v security || true)   # what this machine's apt uses
  echo "lab: building $R (once) ..." >&2
  $(command -v eatmydata || true) mmdebstrap -q --mode=root --variant=minbase --include="$PACKAGES" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$LAB_SUITE" "$T" "$LAB_MIRROR" >&2 || { rm -rf "$T"; die "mmdebstrap failed"; }
  rm -f "$T"/etc/ssh/ssh_host_* "$T/var/lib/dbus/machine-id" "$T/etc/hostname"
  : >"$T/etc/machine-id"
  s="$T/etc/systemd/system"
  for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
           e2scrub_reap.service systemd-udevd.service systemd-networkd.service getty.target console-getty.service haproxy.service \
           systemd-random-seed.service systemd-firstboot.service systemd-remount-fs.service systemd-pstore.service \
           dev-hugepages.mount sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
           sys-kernel-config.mount dev-mqueue.mount systemd-sysctl.service kmod-static-nodes.service \
           systemd-modules-load.service systemd-timesyncd.service; do
    ln -sfn /dev/null "$s/$u"
  done
  mkdir -p "$T/etc/systemd/journald.conf.d" "$T/etc/systemd/system.conf.d" "$T/etc/ssh/sshd_config.d" "$T/srv"
  printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\nAudit=no\n' >"$T/etc/systemd/journald.conf.d/lab.conf"
  printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$T/etc/systemd/system.conf.d/lab.conf"
  printf 'PasswordAuthentication no\nUseDNS no\nPermitRootLogin prohibit-password\nHostKey /etc/ssh/ssh_host_ed25519_key\n' >"$T/etc/ssh/sshd_config.d/lab.conf"
  rm -rf "$T"/var/cache/apt/archives/*.deb "$T"/var/lib/apt/lists/*
  mv "$T" "$R"
}

# ---- network ----
net_init() {
  [ -e "/run/netns/$CTL" ] && return 0
  ip netns add "$CTL"
  ip -n "$CTL" -batch - <<E
link set lo up
link add $BR address 02:4e:00:00:00:01 type bridge
link set $BR up
addr add $LAB_NET.1/24 dev $BR
E
}
net_up() {  # a fresh namespace for the host: no old socket, rule or address survives
  local h=$1; net_down "$h"
  ip netns add "$LAB_NAME-$h"
  ip -n "$CTL" -batch - <<E
link add v-$h type veth peer name eth0 address $(mac "$h") netns $LAB_NAME-$h
link set v-$h arp off addrgenmode none master $BR up
E
  ip -n "$LAB_NAME-$h" -batch - <<E
link set lo up
link set eth0 up
addr add $(address "$h")/24 dev eth0
route add default via $LAB_NET.1
E
}
net_down() {  # the port first: the peers hear nothing more, then sockets die unheard
  ip -n "$CTL" link del "v-$1" 2>/dev/null || true
  [ ! -e "/run/netns/$LAB_NAME-$1" ] || ip netns del "$LAB_NAME-$1"
}

# ---- a host ----
disk_up() {
  local h=$1 d e; d=$(dir "$h"); mkdir -p "$d/disk" "$d/root"
  mountpoint -q "$d/disk" && return 0
  mount -t tmpfs -o "size=$LAB_DISK,mode=755" "lab-$h" "$d/disk"
  e="$d/disk/u"; mkdir -p "$e/etc/ssh" "$e/root/.ssh" "$d/disk/w"
  chmod 700 "$e/root" "$e/root/.ssh"
  echo "$h" >"$e/etc/hostname"
  { echo "127.0.0.1 localhost $h"; echo "$LAB_NET.1 control"; cat "$LAB/etc-hosts"; } >"$e/etc/hosts"
  ssh-keygen -q -t ed25519 -N '' -C "root@$h" -f "$e/etc/ssh/ssh_host_ed25519_key"
  cp "$LAB/id_ed25519.pub" "$e/root/.ssh/authorized_keys"
}
inner() {  # PID 1 of the host's pid namespace: builds its root, drops what could hurt the machine, becomes systemd
  local h=$1 d m n caps; d=$(dir "$h"); m="$d/root"
  mount --make-rprivate /
  mount -t overlay "lab-$h" -o "lowerdir=$(cat "$LAB/rootfs"),upperdir=$d/disk/u,workdir=$d/disk/w" "$m"
  mkdir -p "$m"/{proc,sys,dev,run,tmp}
  mount -t tmpfs -o mode=755,nosuid,size=4m lab-dev "$m/dev"
  for n in null zero full random urandom tty; do : >"$m/dev/$n"; mount --bind "/dev/$n" "$m/dev/$n"; done
  ln -s /proc/self/fd "$m/dev/fd"; ln -s fd/0 "$m/dev/stdin"; ln -s fd/1 "$m/dev/stdout"; ln -s fd/2 "$m/dev/stderr"
  mkdir "$m/dev/pts" "$m/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$m/dev/pts"; ln -s pts/ptmx "$m/dev/ptmx"
  mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmpfs "$m/dev/shm"
  : >"$m/dev/console"; mount --bind "$d/console.log" "$m/dev/console"
  mount -t tmpfs -o mode=755,nosuid,nodev,size=64m tmpfs "$m/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmpfs "$m/tmp"
  mount -t proc -o nosuid,nodev,noexec proc "$m/proc"
  for n in sys sysrq-trigger irq bus; do
    [ ! -e "$m/proc/$n" ] || { mount --bind "$m/proc/$n" "$m/proc/$n" && mount -o remount,bind,ro "$m/proc/$n"; } 2>/dev/null || true
  done
  cat /proc/sys/kernel/random/uuid >"$m/run/.boot_id"; mount --bind "$m/run/.boot_id" "$m/proc/sys/kernel/random/boot_id"   # a new one each boot
  mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$m/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$m/sys/fs/cgroup"
  hostname "$h"
  cd "$m"; mkdir -p .old; pivot_root . .old
  umount -l /.old; rmdir /.old
  caps=-sys_time,-sys_module,-sys_rawio,-mknod,-syslog,-wake_alarm,-mac_admin,-mac_override,-audit_control,-bpf,-perfmon
  exec env -i PATH="$PATH" container=lab setpriv --bounding-set="$caps" --inh-caps="$caps" \
    /lib/systemd/systemd --log-level=warning --log-target=console
}
power() {  # the host's power supply: boots it, boots it again when it asked for a reboot, ends when it is off
  local h=$1 d rc u p up me; d=$(dir "$h")
  echo $$ >"$(cgroup "$h")/cgroup.procs"; me=$(readlink /proc/self/ns/pid)
  for _ in $(seq 50); do
    net_up "$h"
    : >>"$d/console.log"; rc=0; up=$(cut -d. -f1 /proc/uptime)
    nsenter --net="/run/netns/$LAB_NAME-$h" -- unshare --mount --uts --ipc --pid --cgroup --time --boottime "-$up" --fork --kill-child \
      -- bash "$SELF" _inner "$h" </dev/null >>"$d/console.log" 2>&1 & u=$!
    for _ in $(seq 200); do   # note the host's PID 1
      p=$(cat "/proc/$u/task/$u/children" 2>/dev/null) || break
      p=${p%% *}; [ -n "$p" ] && [ "$(readlink "/proc/$p/ns/pid")" != "$me" ] && { echo "$p" >"$d/init.pid"; break; }
      sleep 0.01
    done
    wait $u 2>/dev/null || rc=$?
    : >"$d/init.pid"
    [ $rc = 129 ] || break      # SIGHUP from the kernel: reboot(2) said restart
    lag_off "$h"
  done
  net_down "$h"
}
inotify() {  # a systemd host holds 6 instances of root; another lab on this machine may have taken the limit back meanwhile
  local n; n=$(hosts | wc -l)
  [ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge $((8 * n + 1024)) ] || echo $((8 * n + 1024)) >/proc/sys/fs/inotify/max_user_instances
}
boot() {  # power on, not waiting for sshd
  local h=$1 d; d=$(dir "$h")
  [ -z "$(initpid "$h")" ] || return 0
  inotify; mkdir -p "$(cgroup "$h")"; disk_up "$h"
  setsid bash "$SELF" _power "$h" </dev/null >>"$d/power.log" 2>&1 &
  for _ in $(seq 300); do [ -s "$d/init.pid" ] && return 0; sleep 0.02; done
  die "$h: no PID 1; see $d/power.log, $d/console.log"
}
off() {  # power cut
  lag_off "$1"; ip -n "$CTL" link del "v-$1" 2>/dev/null || true   # silence first: no FIN, no RST
  reap "$1"; net_down "$1"
  : >"$(dir "$1")/init.pid"; rm -f "$(dir "$1")"/fault.*
}
wait_ssh() {  # SECONDS HOST...: until each host greets
  local max=$1; shift
  in_ctl timeout "$max" bash -c 'net=$1; shift; for h; do n=$((10#${h#h})); ip=$net.$((10+n))
    until timeout 2 bash -c "exec 3<>/dev/tcp/$ip/22 && read -t 2 -u 3 l && [[ \$l == SSH-2.0* ]]" 2>/dev/null; do sleep 0.05; done; done' _ "$LAB_NET" "$@" ||
    die "not every host greets on port 22 after $max s"
}
keys_out() {  # known_hosts and ssh_config, for the tool under test
  local h
  for h in $(hosts); do echo "$h,$(address "$h") $(cut -d' ' -f1,2 "$(dir "$h")/disk/u/etc/ssh/ssh_host_ed25519_key.pub")"; done >"$LAB/known_hosts"
  { for h in $(hosts); do printf 'Host %s\n  HostName %s\n' "$h" "$(address "$h")"; done
    printf 'Host h*\n  User root\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n  StrictHostKeyChecking yes\n  ConnectTimeout 5\n' "$LAB/id_ed25519" "$LAB/known_hosts"
  } >"$LAB/ssh_config"
}

# ---- faults ----
lag_off() {
  [ -e "$(dir "$1")/lag" ] || return 0
  reap "lag-$1"; ip -n "$CTL" link del "d-$1" 2>/dev/null || true; rm -f "$(dir "$1")/lag"; cgroup_remove "$(cgroup "lag-$1")"
  ip -n "$CTL" link set "v-$1" master $BR 2>/dev/null || true
}
heal() {
  local h=$1 d; d=$(dir "$h"); lag_off "$h"
  in_ctl bridge link set dev "v-$h" state 3 2>/dev/null || true
  in_ctl tc qdisc del dev "v-$h" root 2>/dev/null || true
  [ ! -e "/run/netns/$LAB_NAME-$h" ] || nsenter --net="/run/netns/$LAB_NAME-$h" tc qdisc del dev eth0 root 2>/dev/null || true
  [ ! -e "$(cgroup "$h")/cgroup.freeze" ] || echo 0 >"$(cgroup "$h")/cgroup.freeze"
  mount -o "remount,size=$LAB_DISK" "$d/disk"
  rm -f "$d"/fault.*
}
delay() {
  local h=$1 ms=$2 half; lag_off "$h"; half=$(awk "BEGIN{print $ms/2}")
  if in_ctl tc qdisc replace dev "v-$h" root netem delay "${half}ms" 2>/dev/null; then
    nsenter --net="/run/netns/$LAB_NAME-$h" tc qdisc replace dev eth0 root netem delay "${half}ms"
  else  # a kernel without netem: the frames go through a small program
    command -v python3 >/dev/null || die "delay needs netem or python3"
    mkdir -p "$(cgroup "lag-$h")"; : >"$(dir "$h")/lag"
    setsid sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$(cgroup "lag-$h")" nsenter --net="/run/netns/$CTL" -- \
      python3 -c "$(lag_py)" "v-$h" "d-$h" $BR "$half" </dev/null >>"$(dir "$h")/power.log" 2>&1 &
    for _ in $(seq 100); do in_ctl ip link show "d-$h" up 2>/dev/null | grep -q "master $BR" && break; sleep 0.02; done
  fi
  echo "delay ${ms}ms" >"$(dir "$h")/fault.delay"
}
lag_py() { cat <<'E'
# PORT PLUG BRIDGE DELAY_MS (each way): PORT <-> PLUG, frames held for a while and never reordered.
# virtio-net headers pass through, so checksum and segmentation offload go on working.
import sys, socket, heapq, select, time, signal, subprocess
port, plug, br, ms = sys.argv[1:4] + [float(sys.argv[4])]
ip = lambda *a: subprocess.run(("ip",) + a, check=False, stderr=subprocess.DEVNULL)
tail = "q" + plug[1:]
ip("link", "del", plug)
ip("link", "add", plug, "type", "veth", "peer", "name", tail)
for i in (plug, tail): ip("link", "set", i, "addrgenmode", "none", "arp", "off")
ip("link", "set", tail, "up")
def tap(i):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(263, 15, 1)            # PACKET_VNET_HDR
    s.setsockopt(263, 23, 1)            # PACKET_IGNORE_OUTGOING
    s.bind((i, 3)); s.setblocking(False); return s
ends = [tap(port), tap(tail)]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ip("link", "set", port, "nomaster"); ip("link", "set", plug, "master", br, "up")
q, n = [], 0
while True:
    w = max(0, q[0][0] - time.monotonic()) if q else None
    for s in select.select(ends, [], [], w)[0]:
        for _ in range(64):
            try: f = s.recv(70000)
            except BlockingIOError: break
            except OSError: sys.exit(0)      # the port is gone
            n += 1; heapq.heappush(q, (time.monotonic() + ms / 1000, n, ends.index(s), f))
    now = time.monotonic()
    while q and q[0][0] <= now:
        _, _, way, f = heapq.heappop(q)
        try: ends[1 - way].send(f)
        except OSError: pass
E
}

# ---- up, down ----
up() {
  local n=$1 i h; [ "$n" -ge 1 ] && [ "$n" -le 100 ] || die "N: 1 to 100"
  [ "$(id -u)" = 0 ] || die "needs root"
  rootfs_build; mkdir -p "$LAB/hosts"; chmod 755 "$LAB"
  rootfs >"$LAB/rootfs"
  [ -f "$LAB/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB/id_ed25519"
  for i in $(seq "$n"); do h=$(printf 'h%02d' "$i"); mkdir -p "$(dir "$h")"; echo "$(address "$h") $h"; done >"$LAB/etc-hosts"
  [ -f "$LAB/inotify" ] || cat /proc/sys/fs/inotify/max_user_instances >"$LAB/inotify"
  net_init; mkdir -p "$(cgroup "")"
  seq "$n" | xargs -P "$LAB_JOBS" -I{} bash -c 'exec bash "$0" _boot "$(printf h%02d {})"' "$SELF"
  keys_out
  wait_ssh 120 $(hosts)
}
down() {
  local h d
  for h in $(hosts); do ip -n "$CTL" link del "v-$h" 2>/dev/null || true; done
  reap ""
  for h in $(hosts); do
    d=$(dir "$h"); net_down "$h"
    for _ in 1 2 3 4 5; do mountpoint -q "$d/disk" || break; umount "$d/disk" 2>/dev/null || sleep 0.2; done
    ! mountpoint -q "$d/disk" || umount -l "$d/disk"
  done
  [ ! -e "/run/netns/$CTL" ] || ip netns del "$CTL"
  cgroup_remove "$(cgroup "")"
  [ ! -f "$LAB/inotify" ] || cat "$LAB/inotify" >/proc/sys/fs/inotify/max_user_instances
  rm -rf --one-file-system "$LAB"
}
hold() {  # one holder at a time; what an earlier one left is taken down first
  exec 9>"$LAB.lock"; flock 9
  ( exec 9>&-; down; up "$1" ) || { ( exec 9>&-; down ); exit 1; }
  trap '' INT TERM HUP PIPE
  echo "up $LAB" || true   # who asked may be gone already
  cat >/dev/null
  ( exec 9>&-; down )
}

c=${1:-help}; shift || true
case $c in   # HOST may be 'all' or a list h01,h05
  cut|heal|delay|kill|boot|hang|full|sshd-kill)
    list=${1:?HOST}; shift; [ "$list" != all ] || list=$(hosts | paste -sd,)
    if [[ $list == *,* ]]; then tr , '\n' <<<"$list" | xargs -P "$LAB_JOBS" -I{} bash "$SELF" "$c" {} "$@"; exit; fi
    known "$list"; set -- "$list" "$@" ;;
  ssh|in) known "${1:?HOST}" ;;
esac
case $c in
  rootfs) rootfs_build; rootfs ;;
  up) up "${1:?N}" ;;
  down) down ;;
  hold) hold "${1:?N}" ;;
  hosts) awk '{print $2, $1}' "$LAB/etc-hosts" ;;
  status) for h in $(hosts); do
      printf '%s %-12s %-4s disk=%s %s\n' "$h" "$(address "$h")" "$([ -n "$(initpid "$h")" ] && echo on || echo off)" \
        "$(df --output=pcent "$(dir "$h")/disk" 2>/dev/null | tail -1 | tr -d ' ')" "$(cat "$(dir "$h")"/fault.* 2>/dev/null | tr '\n' ';')"; done ;;
  ssh) h=$1; shift; exec nsenter --net="/run/netns/$CTL" -- ssh -q -F "$LAB/ssh_config" "$h" "$@" ;;
  exec) exec nsenter --net="/run/netns/$CTL" -- "$@" ;;   # a signal to this process reaches CMD
  in) p=$(initpid "$1"); [ -n "$p" ] || die "$1 is off"; shift; exec nsenter -t "$p" -a -- "$@" ;;
  cut) in_ctl bridge link set dev "$(port "$1")" state 0; echo cut >"$(dir "$1")/fault.cut" ;;
  heal) heal "$1" ;;
  delay) delay "$1" "${2:?MS}" ;;
  sshd-kill) p=$(initpid "$1"); nsenter -t "$p" -p -m -- sh -c 'for d in /proc/[0-9]*; do [ "$(cat $d/comm 2>/dev/null)" = sshd ] && kill -9 "${d#/proc/}"; done; true' ;;
  kill) off "$1" ;;
  boot) boot "$1"; wait_ssh 60 "$1" ;;
  hang) echo 1 >"$(cgroup "$1")/cgroup.freeze"; echo hung >"$(dir "$1")/fault.hang" ;;
  full) d=$(dir "$1"); used=$(df --output=used -k "$d/disk" | tail -1); mount -o "remount,size=$((used + ${2:-0} + 4))k" "$d/disk"; echo "disk full" >"$d/fault.full" ;;
  _inner) inner "$1" ;;
  _power) power "$1" ;;
  _boot) boot "$1" ;;
  *) sed -n '2,/^set -/p' "$SELF" | sed '$d; s/^# \{0,1\}//'; [ "$c" = help ] ;;
esac
