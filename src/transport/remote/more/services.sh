# Windlass, host side: the services of hosts without systemd. Sections of the one library that prelude.sh begins.
#: other services
# Hosts without systemd: the same words as of systemctl, for what runit, OpenRC or an init script manages.
wl_without=
if ! command -v systemctl >/dev/null || { [ ! -d /run/systemd/system ] && ! systemctl show -p Version >/dev/null 2>&1; }; then wl_without=1; fi
# wl_find UNIT: its name in n, and in m what manages it: runit, openrc, sysv, or nothing when there is no such service.
wl_find() {
  [ "$scope" != user ] || wl_die "services of a user are systemd's, which does not run on this host"
  n=${1%.service}; m=; sd=
  for s in "$SVDIR" /var/service /etc/service /service; do [ -z "$s" ] || [ ! -d "$s/." ] || { sd=${s%/}; break; }; done
  command -v sv >/dev/null || sd=
  if [ -n "$sd" ] && { [ -d "/etc/sv/$n/." ] || [ -d "$sd/$n/." ]; }; then m=runit
  elif [ -d /run/openrc ] && command -v rc-service >/dev/null; then ! rc-service -e "$n" 2>/dev/null || m=openrc
  elif [ -x "/etc/init.d/$n" ]; then m=sysv
  elif [ -z "$sd" ] && [ ! -d /etc/init.d ]; then wl_die "this host has neither systemd, runit, OpenRC nor init scripts: nothing here manages services"; fi
}
wl_other() { wl_die "systemd does not answer on this host, and nothing else manages services here"; }
if [ -n "$wl_without" ]; then
  wl_show() {
    load=not-found active=inactive substate= kind= invocation= triggers= reloads=yes enabled= pid=0 restarts=0 result= reload=no kin=
    wl_find "$1"
    case $m in
      runit)
        load=loaded enabled=disabled
        [ ! -d "$sd/$n/." ] || [ -e "$sd/$n/down" ] || enabled=enabled
        s=; [ ! -d "$sd/$n/." ] || s=$(sv status "$sd/$n" 2>&1); s=${s%%;*}
        case $s in
          run:*) active=active; s=${s#*"(pid "}; pid=${s%%)*} ;;
          finish:*) active=deactivating ;;
          down:*want\ up*) active=activating substate=auto-restart ;;
        esac ;;
      openrc) wl_show_openrc ;;
      sysv)
        load=loaded
        grep -q 'status\|init-d-script' "/etc/init.d/$n" || wl_die "/etc/init.d/$n has no \`status\`, so whether it runs cannot be told"
        ls /etc/rc[0-9].d/K[0-9][0-9]"$n" >/dev/null 2>&1 && enabled=disabled
        ls /etc/rc[2-5].d/S[0-9][0-9]"$n" >/dev/null 2>&1 && enabled=enabled
        wl_script status >/dev/null 2>&1 && active=active
        for f in "/run/$n.pid" "/run/$n/$n.pid"; do
          [ $active = active ] && [ -s "$f" ] && wl_line "$f" && wl_born "$f" && pid=$f && break
        done ;;
    esac
    return 0
  }
  wl_sc() {
    verb=$1; shift; [ "$1" != -- ] || shift
    case $verb in daemon-reload|reset-failed) return 0 ;; esac
    wl_find "$1"
    case $m in runit) wl_runit "$verb" >&2 ;; openrc) wl_openrc "$verb" >&2 ;; sysv) wl_sysv "$verb" >&2 ;; *) wl_die "there is no service $n on this host" ;; esac
  }
  wl_oneshot() { return 1; }
  wl_log() { # SCOPE UNIT LINES
    scope=$1; wl_find "$2"
    for f in "/var/log/$n/current" "$sd/$n/log/main/current" "/var/log/$n.log"; do [ ! -r "$f" ] || { tail -n "$3" "$f"; break; }; done
    return 0
  }
fi
# A service that is supervised only so that it can be run now has a file `down` that says so.
wl_mine() { [ -f "$1/down" ] && wl_line "$1/down" && [ "$f" = windlass ]; }
wl_supervise() { # links the service, without starting it
  [ -e "/etc/sv/$n/down" ] || echo windlass >"/etc/sv/$n/down" || return 1
  ln -s "/etc/sv/$n" "$sd/$n" || return 1
  i=0
  until case $(sv status "$sd/$n" 2>&1) in run:*|down:*|finish:*) true ;; *) false ;; esac; do
    i=$((i+1)); [ $i -lt 100 ] || wl_die "$n is linked into $sd, and no runsvdir takes it up"
    sleep 0.1
  done
}
wl_runit() {
  at=$sd/$n
  case $1 in
    start) [ -d "$at/." ] || wl_supervise; sv up "$at" && wl_runs ;;
    restart) [ -d "$at/." ] || wl_supervise; sv -w 20 force-stop "$at" && sv up "$at" && wl_runs ;;
    reload) sv reload "$at" ;;
    stop) [ -d "$at/." ] || return 0
      sv -w 20 force-stop "$at" || return 1
      ! wl_mine "$at" || wl_release ;;
    enable)
      if [ -d "$at/." ]; then rm -f "$at/down"; else wl_supervise && rm -f "/etc/sv/$n/down"; fi ;;
    disable)
      case $(sv status "$at" 2>&1) in run:*) echo windlass >"$at/down" ;; *) if [ -L "$at" ]; then wl_release; else echo windlass >"$at/down"; fi ;; esac ;;
  esac
}
# wl_runs: waits until it was seen to run; what ended soon after its start is left down for a second before it is started again.
wl_runs() {
  i=0; until case $(sv status "$sd/$n" 2>&1) in run:*) true ;; *) false ;; esac || [ $i = 30 ]; do sleep 0.1; i=$((i+1)); done
}
wl_release() { # no longer supervised
  [ -L "$sd/$n" ] || return 0
  rm -f "$sd/$n" || return 1
  sv exit "/etc/sv/$n" >/dev/null 2>&1
  i=0; while case $(sv status "/etc/sv/$n" 2>&1) in run:*|down:*|finish:*) true ;; *) false ;; esac && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
  ! wl_mine "/etc/sv/$n" || rm -f "/etc/sv/$n/down"
}
wl_rc() { ( cd / && env -i PATH="$PATH" TERM=dumb rc-service "$n" "$1" ) </dev/null; }
# OpenRC's scripts get `status` from openrc-run, which ends with what it found.
wl_show_openrc() {
  load=loaded enabled=disabled
  for f in /etc/runlevels/*/"$n"; do [ ! -L "$f" ] || enabled=enabled; done
  grep -q reload "$(rc-service -r "$n" 2>/dev/null)" /dev/null || reloads=no
  wl_rc status >/dev/null 2>&1
  case $? in
    0) active=active ;;
    4) active=deactivating ;;
    8|16) active=activating ;;
    32) active=failed result=crashed ;;
    64) active=failed result=unsupervised ;;
  esac
  [ $active = active ] || return 0
  wl_line "/run/openrc/options/$n/child_pid"
  [ -n "$f" ] || for f in /run/openrc/daemons/"$n"/* "/run/$n.pid" "/run/$n/$n.pid"; do
    case $f in /run/openrc/*) wl_pidfile "$f" ;; esac
    [ -s "$f" ] && wl_line "$f" && break
    f=
  done
  case $f in ''|*[!0-9]*) return 0 ;; esac
  # With the start-stop-daemon of another system it does not see that its program is gone.
  if wl_born "$f"; then pid=$f; else active=failed result=crashed; fi
}
wl_crashed() { ( active=inactive; wl_show_openrc; [ $active = failed ] ); }
wl_pidfile() { # FILE: the one that it names, in f
  f=; [ ! -r "$1" ] || while IFS= read -r l; do case $l in pidfile=*) f=${l#*=} ;; esac; done <"$1"
}
# wl_openrc VERB: one that crashed counts as started there: it is forgotten before it is started, and once it was stopped.
wl_openrc() {
  levels=$W/s/levels-$n
  case $1 in
    start|restart) if wl_crashed; then wl_rc stop; wl_rc zap; wl_rc start; else wl_rc "$1"; fi ;;
    stop) wl_rc stop || { c=$?; wl_crashed && wl_rc zap || return $c; } ;;
    enable) # in the runlevels that this run took it from
      f=; [ ! -s "$levels" ] || read -r f <"$levels"
      rc-update add "$n" ${f:-default} ;;
    disable)
      f=; for l in /etc/runlevels/*/"$n"; do [ ! -L "$l" ] || { l=${l%/*}; f="$f ${l##*/}"; }; done
      [ -e "$levels" ] || echo "$f" >"$levels" || return 1
      [ -z "$f" ] || rc-update delete "$n" $f ;;
    *) wl_rc "$1" ;;
  esac
}
wl_script() { ( cd / && env -i PATH="$PATH" TERM=dumb "/etc/init.d/$n" "$1" ) </dev/null; }
wl_sysv() {
  case $1 in
    enable|disable)
      if command -v update-rc.d >/dev/null; then
        # one that had no links before gets rid of them again
        case $1:$was in disable:*" none") update-rc.d -f "$n" remove ;; disable:*) update-rc.d "$n" disable ;; *) update-rc.d "$n" defaults && update-rc.d "$n" enable ;; esac
      elif command -v chkconfig >/dev/null; then chkconfig "$n" "$([ "$1" = enable ] && echo on || echo off)"
      else wl_die "this host has neither update-rc.d nor chkconfig to $1 $n with"; fi ;;
    *) wl_script "$1" ;;
  esac
}
