# Windlass, host side: a block of changes that the host takes back by itself unless it is confirmed over a new connection.
# $W/g has, for a guard SAVE: SAVE.sh, the timer's program, and one of armed-SAVE (who the timer is), firing-SAVE, fired-SAVE (what it could
# not put back) and confirmed-SAVE, which become each other by renames only; and `list`, what was done since, in order.
#: guarded
# wl_guards: the guarded block that is open here, in armed; false when the host has restored itself, or is about to.
wl_guards() {
  armed=
  for gf in "$W"/g/armed-*; do [ ! -e "$gf" ] || armed=${gf##*/armed-}; done
  for gf in "$W"/g/firing-* "$W"/g/fired-*; do [ ! -e "$gf" ] || return 1; done
}
# While a host restores itself, nothing else is restored.
wl_no_fire() { n=0; while set -- "$W"/g/firing-*; [ -e "$1" ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; }
# wl_in_guard WORD NAME: before a change, the list has what is to be put back. Once that began, nothing changes any more.
wl_in_guard() {
  wl_here; wl_no_fire
  wl_guards && { [ -z "$armed" ] || { echo "$1 $2" >>"$W/g/list" && wl_guards; }; } && return 0
  [ -z "$t" ] || rm -rf -- "$t"
  wl_die "this host has restored itself: what the guarded block changed was not confirmed in time"
}
#: guard
wl_guard() { # SAVE SECONDS SIZE: starts the timer, whose program is asked for, and tells once it runs
  p=guard; wl_private; g=$W/g; [ -d "$g" ] || mkdir -m 700 "$g" || wl_fail
  wl_guards || wl_die "this host has restored itself in this run: it is to be undone first"
  [ -z "$armed" ] || [ "$armed" = "$1" ] || wl_die "this host is in a guarded block already"
  [ ! -e "$g/confirmed-$1" ] && [ -z "$armed" ] || { echo same; exit 0; } # sent twice
  t=$g/$1.sh; : >"$g/list" || wl_fail
  wl_need "$3" "$t" 8>"$t" || exit 74; [ "$(stat -c %s "$t")" = "$3" ] || exit 74
  wl_note "$1" guard "$2"
  command -v setsid >/dev/null || wl_die "there is no setsid on this host, so nothing can outlive this connection"
  wl_c=$wl_c wl_run=$wl_run wl_u=$wl_u setsid sh "$t" "$1" "$2" </dev/null >"$g/$1.log" 2>&1 & q=$!
  i=0
  while [ ! -e "$g/armed-$1" ]; do
    sleep 0.05; i=$((i+1)); [ $i -lt 200 ] || { kill -KILL "-$q" "$q" 2>/dev/null; wl_die "the timer does not start: $(head -c 500 "$g/$1.log")"; }
  done
  read -r q b <"$g/armed-$1" && wl_born "$q" && [ "$b0" = "$b" ] || wl_die "the timer has ended at once: $(head -c 500 "$g/$1.log")"
  echo same
}
# wl_timer SAVE SECONDS: the timer. What it does, it does alone: the shells that this run has here are ended before.
wl_timer() {
  wl_here() { :; }; wl_no_fire() { :; }
  cd /; g=$W/g; wl_born $$ && echo "$$ $b0" >"$g/new-$1" && mv -T -- "$g/new-$1" "$g/armed-$1" || exit 1
  sleep "$2"
  mv -T -- "$g/armed-$1" "$g/firing-$1" 2>/dev/null || exit 0
  trap '' TERM HUP INT PIPE
  wl_c=${wl_c%/*}/guard; ( wl_alone )
  : >"$g/left"
  while read -r k s <&3; do [ "$k" != ran ] || ( wl_end "$s" ) || echo "a command does not end ($s)" >>"$g/left"; done 3<"$g/list"
  sed '1!G;h;$!d' "$g/list" >"$g/back"
  while read -r k s <&3; do
    case $k in
      saved) wl_try wl_restore "$s" ;;
      undo) [ ! -e "$W/x/$s.started" ] || if sh "$g/$s.undo" </dev/null; then mv -f -- "$W/x/$s.started" "$W/x/$s.undone"
        else echo "$s: the command that undoes it failed" >>"$g/left"; fi ;;
    esac
  done 3<"$g/back"
  while read -r k s <&3; do
    case $k in
      saved) wl_try wl_resume "$s" ;;
      again) [ ! -e "$W/x/$s.started" ] || wl_try sh "$g/$s.again" ;;
    esac
  done 3<"$g/list"
  # Files of before the block may still be put back, and need their own restart then.
  rm -f -- "$W"/s/u-*.back
  mv -T -- "$g/left" "$g/fired-$1.new" && mv -T -- "$g/fired-$1.new" "$g/fired-$1"; rm -f -- "$g/firing-$1"
}
# wl_try FUNCTION NAME: does it, and goes on; what could not be done is told to whoever asks.
wl_try() { ( "$@" ) 2>"$g/said" || { cat "$g/said"; echo "$2: $(head -n 1 "$g/said")" >>"$g/left"; }; }
wl_confirm() { # SAVE: ends the timer; tells when it was quicker, and what it could not put back
  g=$W/g
  [ -s "$W/s/$1.done" ] || wl_die "nothing is known here of this guarded block: $W is gone, or was never there"
  if mv -T -- "$g/armed-$1" "$g/confirmed-$1" 2>/dev/null; then wl_disarmed "$1"; fi
  [ ! -e "$g/confirmed-$1" ] || { echo confirmed; exit 0; }
  i=0
  while [ -e "$g/firing-$1" ] && [ ! -e "$g/fired-$1" ]; do sleep 0.1; i=$((i+1)); [ $i -lt 600 ] || wl_die "the host does not come to an end with restoring itself"; done
  [ -e "$g/fired-$1" ] || wl_die "nothing is known here of the timer of this guarded block"
  echo fired; cat "$g/fired-$1"
}
# wl_disarmed SAVE: a timer that must not fire any more does not stay.
wl_disarmed() {
  q=; read -r q b <"$g/confirmed-$1"
  [ -z "$q" ] || ! wl_born "$q" || [ "$b0" != "$b" ] || kill -KILL "-$q" 2>/dev/null || :
}
wl_back_guard() { # SAVE: before the changes of its block are undone from here
  g=$W/g; ( wl_confirm "$1" ) >/dev/null || exit 1
  # From here on, what this run does is its undoing.
  [ ! -e "$g/fired-$1" ] || mv -T -- "$g/fired-$1" "$g/confirmed-$1"
  echo same; exit 0
}
wl_guard_told() { # RECEIPT WORD BODY: how a command is undone, or that it is to be repeated
  g=$W/g; [ -d "$g" ] || { echo same; exit 0; }
  printf '%s' "$3" >"$g/$1.$2" || wl_fail
  wl_watched "$2" "$1"; echo same
}
