# Windlass, host side: units that start others, and the links by which units are enabled. Sections of the one library that prelude.sh begins.
#: units that start others
# What a socket, a timer or a path starts goes on when that one is stopped. So undoing ends it as well, but for what ran before: the
# names in SAVE.ran, kept once, before the step could start anything.
wl_running() { for one; do ( wl_show "$one"; case $active in inactive|failed) ;; *) echo "$one" ;; esac ); done; } # UNITS
wl_keep_ran() { # SAVE UNITS
  [ ! -e "$W/s/$1.ran" ] || return 0
  save=$1; shift; ran=$(wl_running "$@"); wl_private; printf '%s\n' "$ran" >"$W/s/$save.ran" || wl_fail
}
# wl_instances TEMPLATE: those that systemd knows.
wl_instances() { wl_sc list-units --plain --no-legend --no-pager --full -- "${1%@.*}@*.${1##*.}" | while read -r one _; do echo "$one"; done; }
# wl_keep_new SAVE UNIT: the same of a unit whose file is new, when systemd has read it, and wl_show was asked about it.
wl_keep_new() {
  [ ! -e "$W/s/$1.ran" ] || return 0
  case $2:$active in *@.*) ran=$(wl_instances "$2") ;; *:inactive|*:failed) ran= ;; *) ran=$2 ;; esac
  [ -z "$triggers" ] || ran=$ran$LF$(wl_running $triggers)
  printf '%s\n' "$ran" >"$W/s/$1.ran" || wl_fail
}
#: units that end
# wl_unit_ends UNIT: before its file goes, it ends, and then what it has started.
wl_unit_ends() {
  case $1 in *@.*) set -- $(wl_instances "$1") ;; *) wl_show "$1"; set -- "$1" $triggers ;; esac
  wl_ends "$@"
}
wl_ends() { # UNITS: but for those that ran before
  ran=$LF$(cat "$d.ran")$LF
  for one; do
    case $ran in *"$LF$one$LF"*) continue ;; esac
    wl_show "$one"
    case $active in inactive) continue ;; failed) ;; *) wl_sc stop -- "$one" || exit 1 ;; esac
    wl_sc reset-failed -- "$one" 2>/dev/null
  done; return 0
}
#: sockets
# wl_holders VERB: which of its triggers hold the socket $p, in holders: systemd opens no socket anew that a running service has. What
# goes along with a restart of its socket does not, nor does what was given one connection each.
wl_holders() {
  holders=; along=; verb=$1
  s=$(wl_sc show --no-pager -p Accept,RequiredBy,BoundBy,ConsistsOf -- "$p") || exit 1
  case $LF$s$LF in *"${LF}Accept=yes$LF"*) return 0 ;; esac
  [ "$verb" != restart ] || along=" $(printf '%s\n' "$s" | sed 's/^[^=]*=//' | tr '\n' ' ')"
  for one in $triggers; do
    case $along in *" $one "*) continue ;; esac
    ( wl_show "$one"; case $active:$substate in inactive:*|failed:*|*:auto-restart*) exit 1 ;; esac ) && holders="$holders $one"
  done; return 0
}
wl_free_socket() { # VERB
  wl_holders "$1"; holders=${holders# }
  [ -z "$holders" ] || wl_die "$p cannot be opened anew while $holders runs and has it; restart $holders for settings of its own, or stop $holders first for those of $p"
}
# wl_socket_back SOCKET: it is opened anew. What has it is stopped for that, and comes back where it ran before.
wl_socket_back() {
  p=$1; v=start; [ "$active" != active ] || v=restart
  wl_holders $v; held=$holders
  ran=$LF; [ ! -e "$d.ran" ] || ran=$LF$(cat "$d.ran")$LF
  for one in $held; do wl_sc stop -- "$one" || exit 1; done
  wl_act restart "$p"
  for one in $held; do case $ran in *"$LF$one$LF"*) wl_act start "$one" ;; esac; done
}
