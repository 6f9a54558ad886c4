#!/usr/bin/env bash
# lab.sh: a fleet of real OpenSSH servers on one machine, for tests and benchmarks. Needs root.
#
#   lab.sh up N                 N hosts h1..hN on 127.0.1.1..127.0.1.N, port 2222, RTT ~0
#   lab.sh up-rtt N MS [MBIT]   the same in their own network namespace, RTT = MS milliseconds
#                               (no netem needed: see delaylink.rs), optionally MBIT per direction
#   lab.sh exec CMD...          run CMD where the hosts can be reached (the controller's namespace)
#   lab.sh ips | names | status | reset | down
#
# Each host has its own sshd (own pid, host key, config), hostname, and its own /srv, /root and /tmp
# (bind mounts in a private mount namespace), all on one tmpfs, so every host can use the same paths.
# Written in $LAB: id_ed25519 (client key), known_hosts, ssh_config (Host h1..hN), hosts ("hI IP").
# CPU accounting (cgroup v1 cpuacct): group `lab` for the hosts, `lablink` for the delay link.
# Everything is ended by pid from a pid file; nothing is killed by name.
# shellcheck disable=SC2015,SC2016,SC2086,SC2206,SC2231 # names and paths here have no blanks, and lists of them are split on purpose
set -euo pipefail
LAB=${LAB:-/run/windlass-bench}
SIZE=${LAB_SIZE:-16g}
PORT=${LAB_PORT:-2222}
HERE=$(cd "$(dirname "$0")" && pwd)
CG=/sys/fs/cgroup/cpuacct

die() { echo "lab.sh: $*" >&2; exit 1; }

in_cg() { # GROUP CMD...: run CMD in the accounting group, if this machine has cpuacct
  local g=$1; shift
  if [ -d $CG ]; then mkdir -p $CG/$g; sh -c 'echo $$ > "$0"/cgroup.procs; exec "$@"' $CG/$g "$@"
  else "$@"; fi
}

host_up() { # I IP [NETNS]
  local i=$1 ip=$2 ns=${3:-} d=$LAB/h$1
  mkdir -p $d/{srv,root,tmp}; chmod 700 $d/root; chmod 1777 $d/tmp
  mkdir -p $d/srv/app
  [ -f $d/hostkey ] || ssh-keygen -q -t ed25519 -N '' -C "h$i" -f $d/hostkey
  cat > $d/sshd_config <<E
Port $PORT
ListenAddress $ip
HostKey $d/hostkey
PidFile $d/sshd.pid
AuthorizedKeysFile $LAB/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
MaxStartups 2000
MaxSessions 1000
PrintMotd no
PrintLastLog no
AllowStreamLocalForwarding yes
AllowTcpForwarding yes
AllowAgentForwarding yes
LogLevel ${LAB_LOGLEVEL:-ERROR}
SetEnv LAB_HOST=h$i
Subsystem sftp /usr/lib/openssh/sftp-server
${LAB_SSHD_EXTRA:-}
E
  local enter=()
  [ -n "$ns" ] && enter=(nsenter --net=/run/netns/$ns)
  in_cg lab "${enter[@]}" unshare --mount --uts sh -c '
    d=$1; hostname "$2"
    mount --bind $d/srv /srv; mount --bind $d/root /root; mount --bind $d/tmp /tmp
    cd /; exec /usr/sbin/sshd -f $d/sshd_config -E $d/sshd.log' sh $d h$i
  echo "h$i $ip" >> $LAB/hosts
  echo "[$ip]:$PORT $(cut -d' ' -f1,2 $d/hostkey.pub)" >> $LAB/known_hosts
  cat >> $LAB/ssh_config <<E
Host h$i
  HostName $ip
E
}

prepare() {
  [ -e $LAB/hosts ] && die "already up: run '$0 down' first"
  mkdir -p $LAB /run/sshd
  mountpoint -q $LAB || mount -t tmpfs -o size=$SIZE,mode=755 tmpfs $LAB
  [ -f $LAB/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -C lab -f $LAB/id_ed25519
  cp $LAB/id_ed25519.pub $LAB/authorized_keys
  : > $LAB/hosts; : > $LAB/known_hosts; : > $LAB/ssh_config
}

finish() { # the shared ssh_config part; waits until every sshd listens
  cat >> $LAB/ssh_config <<E
Host *
  Port $PORT
  User root
  IdentityFile $LAB/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile $LAB/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
E
  local d n=0
  for d in $LAB/h*/; do
    until [ -s $d/sshd.pid ]; do sleep 0.05; n=$((n+1)); [ $n -lt 400 ] || die "$d: sshd did not start"; done
  done
  echo "up: $(wc -l < $LAB/hosts) hosts, ssh -F $LAB/ssh_config h1"
}

up() {
  local n=$1; [ "$n" -le 250 ] || die "at most 250 hosts"
  prepare; echo loop > $LAB/mode
  for i in $(seq 1 $n); do host_up $i 127.0.1.$i; done
  finish
}

up_rtt() {
  local n=$1 ms=$2 rate=${3:-0} i
  [ "$n" -le 250 ] || die "at most 250 hosts"
  prepare; echo "rtt $ms $rate" > $LAB/mode
  [ -x $LAB/delaylink ] || rustc -O --edition 2021 "$HERE/link/delaylink.rs" -o $LAB/delaylink
  for i in labctl labhosts; do ip netns add $i; ip -n $i link set lo up; done
  in_cg lablink $LAB/delaylink labctl labhosts $((ms * 500)) $rate > $LAB/link.out 2>&1 &
  echo $! > $LAB/link.pid
  until grep -q ready $LAB/link.out; do sleep 0.05; done
  # 198.18.0.0/15 is the benchmarking range (RFC 2544); both namespaces have no way out.
  ip -n labctl addr add 198.18.0.1/16 dev dl0
  ip -n labctl link set dl0 up mtu 1500 txqueuelen 100000
  for i in $(seq 1 $n); do ip -n labhosts addr add 198.18.1.$i/16 dev dl0; done
  ip -n labhosts link set dl0 up mtu 1500 txqueuelen 100000
  ip -n labhosts route replace 198.18.0.1 dev dl0 2>/dev/null || true
  for i in $(seq 1 $n); do host_up $i 198.18.1.$i labhosts; done
  finish
}

down() {
  local f p
  for f in $LAB/h*/sshd.pid $LAB/link.pid; do
    [ -s $f ] || continue
    p=$(cat $f)
    # sessions are children of the listener: end them first, by pid
    for c in $(pgrep -P $p || true); do kill $c 2>/dev/null || true; done
    kill $p 2>/dev/null || true; rm -f $f
  done
  for p in labctl labhosts; do ip netns del $p 2>/dev/null || true; done
  if mountpoint -q $LAB; then umount $LAB 2>/dev/null || umount -l $LAB; fi
  rm -rf $LAB
}

status() {
  local n=0 rss=0 pss=0 p
  for f in $LAB/h*/sshd.pid; do
    p=$(cat $f); n=$((n+1))
    rss=$((rss + $(awk '/^Rss:/{print $2}' /proc/$p/smaps_rollup)))
    pss=$((pss + $(awk '/^Pss:/{print $2}' /proc/$p/smaps_rollup)))
  done
  echo "mode=$(cat $LAB/mode) sshd=$n rss_kib_each=$((rss/n)) pss_kib_each=$((pss/n))"
  [ -d $CG/lab ] && echo "cpu_s lab=$(awk '{print $1/1e9}' $CG/lab/cpuacct.usage)" || true
}

case ${1:-} in
  up) up "$2" ;;
  up-rtt) up_rtt "$2" "$3" "${4:-0}" ;;
  down) down ;;
  status) status ;;
  ips) cut -d' ' -f2 $LAB/hosts ;;
  names) cut -d' ' -f1 $LAB/hosts ;;
  reset) for d in $LAB/h*/; do rm -rf $d/srv/* $d/tmp/* $d/root/.ansible $d/root/.??*; mkdir -p $d/srv/app; done ;;
  exec) shift
    case $(cat $LAB/mode) in rtt*) exec nsenter --net=/run/netns/labctl "$@" ;; *) exec "$@" ;; esac ;;
  *) sed -n '2,17p' "$0"; exit 2 ;;
esac
