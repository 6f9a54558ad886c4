# Windlass, host side: facts, copies, files for the controller, units, a restart. Sections of the one library that prelude.sh begins.
#: shared
wl_line() { f=; [ ! -r "$1" ] || read -r f <"$1"; }
wl_root() { [ "$(id -u)" = 0 ] || wl_die "$1 are changed by root only; call it with \`sudo: true\`"; }
# wl_manager: the package manager of this host, in m.
wl_manager() {
  for m in apt-get dnf yum apk zypper pacman none; do command -v "$m" >/dev/null && break; done
  [ "$m" != apt-get ] || m=apt
}
#: host
# wl_facts: lines of a name and its value; what is not known has none.
wl_facts() {
  o=/etc/os-release; [ -r $o ] || o=/usr/lib/os-release
  ( ID= VERSION_ID= VERSION_CODENAME= ID_LIKE= PRETTY_NAME=
    # shellcheck source=/dev/null
    [ ! -r "$o" ] || . "$o"
    printf 'os %s\nos_name %s\nos_version %s\nos_codename %s\nos_like %s\n' "${ID:-$(uname -s)}" "$PRETTY_NAME" "$VERSION_ID" "$VERSION_CODENAME" "$ID_LIKE" )
  n=$(uname -n); f=$(timeout 3 hostname -f 2>/dev/null) || f=$n
  printf 'kernel %s\narch %s\nhostname %s\nfqdn %s\n' "$(uname -r)" "$(uname -m)" "${n%%.*}" "$f"
  echo "cpus $(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)"
  while read -r k v u; do case $k in
    MemTotal:) echo "memory_bytes $((v * 1024))" ;; SwapTotal:) echo "swap_bytes $((v * 1024))" ;;
  esac; done </proc/meminfo
  wl_line /proc/1/comm; i=other
  if [ -d /run/systemd/system ]; then i=systemd
  elif [ -d /run/openrc ]; then i=openrc
  else case $f in systemd|runit*) i=${f%-init} ;; init) [ ! -e /etc/inittab ] || [ ! -d /etc/init.d ] || i=sysvinit ;; esac; fi
  echo "init $i"; wl_manager; echo "package_manager $m"
  v=$(systemd-detect-virt 2>/dev/null); echo "virtualization $v"
  f=disabled; [ ! -e /sys/fs/selinux/enforce ] || { wl_line /sys/fs/selinux/enforce; [ "$f" = 1 ] && f=enforcing || f=permissive; }; echo "selinux $f"
  wl_line /etc/machine-id; echo "machine_id $f"
  wl_line /proc/sys/kernel/random/boot_id; echo "boot_id $f"
  printf 'user %s\nuid %s\nhome %s\n' "$(id -un)" "$(id -u)" "$HOME"
  a4= a6= all= dev= src=
  if command -v ip >/dev/null; then
    # the documentation's address: no packet is sent for asking which way it would go
    set -- $(ip -o -4 route get 192.0.2.1 2>/dev/null)
    while [ $# -gt 1 ]; do case $1 in dev) dev=$2 ;; src) src=$2 ;; esac; shift; done
    all=$(ip -o addr show scope global 2>/dev/null | while read -r n d k v u; do case $k in inet|inet6) printf '%s ' "${v%/*}" ;; esac; done)
  else all=$(hostname -I 2>/dev/null); fi
  for v in $all; do case $v in *:*) [ -n "$a6" ] || a6=$v ;; *) [ -n "$a4" ] || a4=$v ;; esac; done
  printf 'ipv4 %s\nipv6 %s\ninterface %s\naddresses %s\n' "${src:-$a4}" "$a6" "$dev" "$all"
}
wl_measure() { # PATH: its size and sha256
  wl_path "$1"
  [ -e "$p" ] || wl_die "$p is not there"
  [ -f "$p" ] || wl_die "$p is not a file"
  s=$(stat -L -c %s -- "$p") || exit 1
  wl_hash "$p"; echo "$s $h"
}
wl_piece() { wl_path "$1"; dd if="$p" bs=1048576 skip="$2" count="$3" 2>/dev/null || wl_die "$p cannot be read"; }
wl_pour() { { cat -- "$1" >&8 && wl_flush "$t"; } || { rm -f "$t"; exit 1; }; }
wl_copy() { # SAVE FROM TO MODE OWNER GROUP
  wl_path "$2"; from=$p; [ ! -L "$p" ] || wl_later wl_ours "$p"
  [ -e "$from" ] || wl_die "$from is not there"
  [ ! -d "$from" ] || wl_die "$from is a directory; a file is copied"
  [ -f "$from" ] || wl_die "$from is not a file"
  # What an unfinished run of others made so may not stay.
  [ -s "$W/s/$1.done" ] || { d=$W/s/$1; wl_claim same; }
  wl_path "$3"; wl_parent
  [ ! -L "$p" ] || wl_die "$p is a symbolic link (to $(readlink "$p")), not a file; remove the link first, or name its target"
  [ ! -d "$p" ] || wl_die "$p is a directory; name the file in it"
  [ ! -e "$p" ] || [ -f "$p" ] || wl_odd
  wl_hash "$from"; sum=$h
  if [ -f "$p" ]; then
    wl_hash "$p"
    if [ "$h" = "$sum" ]; then
      wl_differs "$4" "$5" "$6" "$p" || wl_same "$1"
      wl_set "$1" "$4" "$5" "$6" "$p"; echo changed; exit 0
    fi
  fi
  t=$dir/.wl-$wl_u-$1; wl_private; wl_t=$t; { [ ! -e "$t" ] && [ ! -L "$t" ]; } || rm -f "$t"
  umask 077; wl_new "$t" wl_pour "$from" || { set +C; wl_die "no new file can be made in $dir (no permission, or no space)"; }
  wl_hash "$t"; [ "$h" = "$sum" ] || { rm -f "$t"; wl_die "$from changed while it was copied"; }
  m=$4; old=
  if [ -f "$p" ]; then
    old=$(stat -c '%a %u %g' -- "$p") || exit 1
    [ -n "$m" ] || m=${old%% *}
    old=${old#* }
  elif [ -z "$m" ]; then m=$(stat -L -c %a -- "$from") || exit 1; m=$(printf %03d "$m"); m=${m#"${m%???}"}; fi
  wl_dress "$m" "$5" "$6" "$old"
  wl_keep "$1"; wl_makes file "$sum"
  mv -fT -- "$t" "$p" || { rm -f "$t"; exit 1; }
  echo changed
}
wl_unit() { # SCOPE UNIT, and the words of wl_put
  scope=$1 u=$2; shift 2
  command -v systemctl >/dev/null || wl_die "there is no systemd on this host, so no unit can be told to it"
  wl_private; echo "$scope" >"$W/s/$1.reload" || exit 1
  ( wl_put "$@" ) || exit $?
  [ -s "$W/s/$1.done" ] || { rm -f "$W/s/$1.reload"; exit 0; }
  # What its manager tries again and again may come up by itself on the new file.
  ( wl_show "$u"; case $active:$substate in activating:auto-restart*) [ -e "$W/s/u-$scope-$u" ] || echo >"$W/s/loops-$scope-$u" ;; esac )
  wl_sc daemon-reload || exit 1
  active=inactive triggers=; case $u in *@.*) ;; *) wl_show "$u" ;; esac
  read -r k <"$W/s/$1.done"; case $k:$2 in absent:*"/$u") wl_keep_new "$1" "$u" ;; esac
  case $u in *@.*) exit 0 ;; esac
  case $load in bad-setting|error|masked)
    wl_path "$2"; systemd-analyze verify --man=no "$p" >&2
    wl_die "systemd does not take $u: $(wl_sc show -p LoadError --value -- "$u")" ;; esac
}
# wl_ran_back SAVE: what ran before a restart of the host that is undone by another one, and does not start at boot, runs again; but for
# what the run itself had started. Sockets come before what has them.
wl_ran_back() {
  scope=system; up=
  while read -r unit; do
    wl_show "$unit"; wl_first "$unit"
    # A part of the system is started by whoever needs it.
    case ${first:-active}:$active:$enabled in
      active:inactive:static) case $(wl_sc show -p FragmentPath --value -- "$unit") in /etc/*) ;; *) continue ;; esac ;;
      active:inactive:disabled|active:inactive:indirect|active:inactive:linked) ;;
      active:failed:*) ;;
      *) continue ;;
    esac
    case $unit in *.socket) up="$unit $up" ;; *) up="$up $unit" ;; esac
  done <"$W/s/$1.ran"
  for unit in $up; do wl_up "$unit"; done
}
wl_reboot() { # SAVE AFTER KNOWN MESSAGE: once for a save; without KNOWN, the boot that this is, it is not done yet
  wl_line /proc/sys/kernel/random/boot_id; b=$f
  [ -n "$b" ] || wl_die "this host has no /proc/sys/kernel/random/boot_id to tell its boots apart by"
  [ -z "$2" ] || [ -s "$W/s/$2.done" ] || { echo same; exit 0; }
  d=$W/s/$1; w=$3
  [ ! -s "$d.done" ] || w=$(cat "$d.was")
  [ -n "$w" ] || { echo "now $b"; exit 0; }
  [ "$w" = "$b" ] || { [ -z "$2" ] || [ ! -s "$W/s/$2.ran" ] || { said=$( ( wl_ran_back "$2" ) 2>&1 ) || { echo "down $said" | head -c 2000; exit 0; }; }; echo "back $b"; exit 0; }
  [ ! -s "$d.done" ] || { echo "going $b"; exit 0; }
  [ "$(id -u)" = 0 ] || wl_die "only root restarts a host; call it with \`sudo: true\`"
  # What undoing started does not run behind it.
  p=boot; wl_note "$1" reboot "$b"; rm -f "$W"/s/u-*.back
  [ -n "$2" ] || [ ! -d /run/systemd/system ] || systemctl list-units --state=active --type=service,socket,timer,path --plain --no-legend --no-pager --full |
    while read -r one _; do echo "$one"; done >"$d.ran" || wl_fail
  sync
  if command -v systemctl >/dev/null; then set -- "$1" "$4" systemctl reboot ${4:+--message="$4"}
  elif command -v shutdown >/dev/null; then set -- "$1" "$4" shutdown -r now ${4:+"$4"}
  else set -- "$1" "$4" reboot; fi
  shift 2
  out=$("$@" 2>&1 </dev/null) || { rm -f "$d.done"; wl_die "the host does not restart: $out"; }
  echo "going $b"
}
