# Windlass, host side: functions for one persistent POSIX sh. Needs coreutils (GNU or busybox); systemctl for services.
# The controller sends this text once, then one line `wl N FUNCTION ARGS` at a time, and reads until the mark.
# wl_k (the mark, a secret of this session) and wl_run (the run's name) are set before this text.
wl_home=$HOME/.windlass
W=$wl_home/runs/$wl_run
LF='
'
wl() {
  wl_n=$1; shift
  ( "$@" ); wl_c=$?
  printf '\n%s %s %s\n' "$wl_k" "$wl_n" "$wl_c"
  printf '\n%s %s\n' "$wl_k" "$wl_n" >&2
  [ $wl_c != 74 ] || exit 74 # what the controller still sends is no command
}
wl_die() { printf '%s\n' "$*" >&2; exit 1; }
# wl_need SIZE FILE: asks the controller for SIZE bytes and keeps them in FILE.
wl_need() {
  printf '\n%s %s need\n' "$wl_k" "$wl_n"
  head -c "$1" >"$2" || exit 74
}
# The path behind ~, in p.
wl_path() { case $1 in "~") p=$HOME ;; "~/"*) p=$HOME/${1#"~/"} ;; *) p=$1 ;; esac; }
wl_parent() {
  dir=${p%/*}; [ -n "$dir" ] || dir=/
  [ -d "$dir" ] || wl_die "the directory $dir is not there"
}
wl_hash() { h=$(sha256sum <"$1") || exit 1; h=${h%% *}; }
wl_begin() { [ -d "$W/s" ] || { ( umask 077; mkdir -p "$W/s" "$W/x" ) || exit 1; }; }
# wl_keep SAVE: keeps what is at $p, once, in the directory $d.
wl_keep() {
  wl_begin; d=$W/s/$1
  [ -e "$d/done" ] && return 0
  rm -rf "$d"; ( umask 077; mkdir "$d" ) || exit 1
  printf '%s' "$p" >"$d/path" || exit 1
  if [ -L "$p" ]; then cp -P "$p" "$d/was" && k=link
  elif [ -f "$p" ]; then { ln "$p" "$d/was" 2>/dev/null || cp -p "$p" "$d/was"; } && k=file
  elif [ -d "$p" ]; then k=directory
  elif [ -e "$p" ]; then wl_die "$p is neither a file, a directory nor a link"
  else k=absent; fi || exit 1
  printf '%s' "$k" >"$d/done" || exit 1
}
# wl_note SAVE KIND TEXT: keeps a text of that kind instead.
wl_note() {
  wl_begin; d=$W/s/$1
  [ -e "$d/done" ] && return 0
  rm -rf "$d"; ( umask 077; mkdir "$d" ) || exit 1
  printf '%s' "$p" >"$d/path" && printf '%s' "$3" >"$d/was" && printf '%s' "$2" >"$d/done" || exit 1
}
# wl_attributes MODE OWNER GROUP FILE: what differs from that is set on FILE; changed tells.
wl_attributes() {
  changed=
  set -- "$1" "$2" "$3" "$4" $(stat -L -c '%a %U %G %u %g' -- "$4")
  [ $# -ge 9 ] || exit 1
  if [ -n "$2" ] && [ "$2" != "$6" ] && [ "$2" != "$8" ]; then chown -- "$2" "$4" || exit 1; changed=1; fi
  if [ -n "$3" ] && [ "$3" != "$7" ] && [ "$3" != "$9" ]; then chgrp -- "$3" "$4" || exit 1; changed=1; fi
  if [ -n "$1" ] && { [ "$1" != "$5" ] || [ -n "$changed" ]; }; then chmod -- "$1" "$4" || exit 1; changed=1; fi
}
# wl_differs MODE OWNER GROUP FILE: true when wl_attributes would change something.
wl_differs() {
  set -- "$1" "$2" "$3" "$4" $(stat -L -c '%a %U %G %u %g' -- "$4")
  [ $# -ge 9 ] || exit 1
  { [ -n "$1" ] && [ "$1" != "$5" ]; } || { [ -n "$2" ] && [ "$2" != "$6" ] && [ "$2" != "$8" ]; } ||
    { [ -n "$3" ] && [ "$3" != "$7" ] && [ "$3" != "$9" ]; }
}
# wl_set SAVE MODE OWNER GROUP FILE: the same with the old values kept.
wl_set() {
  wl_note "$1" attributes "$(stat -L -c '%a %u %g' -- "$5")"
  wl_attributes "$2" "$3" "$4" "$5"
}
# wl_put SAVE PATH SHA256 SIZE MODE OWNER GROUP VALIDATE SHOW [CONTENT]: a file with that content. Without CONTENT it is asked for.
wl_put() {
  wl_path "$2"; wl_parent
  [ -L "$p" ] && wl_die "$p is a symbolic link (to $(readlink "$p")), not a file; remove the link first, or name its target"
  [ -d "$p" ] && wl_die "$p is a directory, not a file"
  if [ -f "$p" ]; then
    wl_hash "$p"
    if [ "$h" = "$3" ]; then
      wl_differs "$5" "$6" "$7" "$p" || { echo same; exit 0; }
      wl_set "$1" "$5" "$6" "$7" "$p"; echo changed; exit 0
    fi
  fi
  t=$dir/.wl-$1
  rm -f "$t"; : 2>/dev/null >"$t" || wl_die "no new file can be made in $dir: $(: 2>&1 >"$t")"
  chmod 600 "$t" || exit 1
  if [ $# -ge 10 ]; then printf '%s' "${10}" >"$t" || { rm -f "$t"; exit 74; }
  else
    wl_need "$4" "$t"; wl_hash "$t"
    [ "$h" = "$3" ] || { rm -f "$t"; wl_die "$p arrived with sha256 $h, expected $3"; }
  fi
  m=$5; o=$6; g=$7
  if [ -f "$p" ]; then
    old=$(stat -c '%a %u %g' -- "$p") || exit 1
    [ -n "$m" ] || m=${old%% *}
    old=${old#* }
    [ "$(id -u)" != 0 ] || { [ -n "$o" ] || o=${old% *}; [ -n "$g" ] || g=${old#* }; }
  fi
  [ -n "$m" ] || m=644
  ( wl_attributes "$m" "$o" "$g" "$t" ) || { rm -f "$t"; exit 1; }
  if [ -n "$8" ]; then
    out=$(sh -c "$8" windlass-validate "$t" </dev/null 2>&1) || { rm -f "$t"; wl_die "the new $p does not pass \`validate\`:$LF$out"; }
  fi
  sync "$t" 2>/dev/null || sync
  wl_keep "$1"
  echo changed
  if [ -n "$9" ] && [ "$k" = file ] && [ "$(stat -c %s "$d/was")" -le 65536 ]; then cat "$d/was"; fi
  mv -fT -- "$t" "$p" || { rm -f "$t"; exit 1; }
}
wl_content() { # PATH LIMIT
  wl_path "$1"
  [ -e "$p" ] || wl_die "$p is not there"
  [ -f "$p" ] || wl_die "$p is not a file"
  s=$(stat -L -c %s -- "$p") || exit 1
  [ "$s" -le "$2" ] || wl_die "$p has $s bytes; at most $2 are read"
  cat -- "$p"
}
wl_digest() { wl_path "$1"; [ -e "$p" ] || { echo none; exit 0; }; [ -f "$p" ] || wl_die "$p is not a file"; wl_hash "$p"; echo "$h"; }
wl_stat() {
  wl_path "$1"; [ -e "$p" ] || [ -L "$p" ] || { echo none; exit 0; }
  stat -c '%f %s %U %G %Y' -- "$p" || exit 1
  [ ! -L "$p" ] || readlink -- "$p"
}
wl_list() { # PATTERN; a pattern that matches nothing gives nothing
  case $1 in "~/"*) cd "$HOME" || exit 1; g=${1#"~/"}; b=$HOME/ ;; *) g=$1; b= ;; esac
  IFS=; for f in $g; do if [ -e "$f" ] || [ -L "$f" ]; then printf '%s%s\0' "$b" "$f"; fi; done
}
wl_mkdir() { # SAVE PATH MODE OWNER GROUP
  wl_path "$2"
  if [ -d "$p" ]; then
    wl_differs "$3" "$4" "$5" "$p" || { echo same; exit 0; }
    wl_set "$1" "$3" "$4" "$5" "$p"; echo changed; exit 0
  fi
  if [ -e "$p" ] || [ -L "$p" ]; then wl_die "$p is there, and is not a directory"; fi
  goal=$p; q=$p
  while u=${q%/*}; [ -n "$u" ] && [ ! -e "$u" ]; do q=$u; done
  p=$q; wl_keep "$1"; p=$goal
  mkdir -p -- "$p" && wl_attributes "$3" "$4" "$5" "$p" && echo changed
}
wl_link() { # SAVE PATH TARGET
  wl_path "$2"; wl_parent
  if [ -L "$p" ]; then [ "$(readlink -- "$p"; echo .)" != "$3$LF." ] || { echo same; exit 0; }
  elif [ -d "$p" ]; then wl_die "$p is a directory, not a link; move it away first"
  elif [ -e "$p" ]; then wl_die "$p is a file, not a link; remove it first"; fi
  t=$dir/.wl-$1; rm -f "$t"; ln -s -- "$3" "$t" || exit 1
  wl_keep "$1"
  mv -fT -- "$t" "$p" && echo changed
}
wl_rename() { # SAVE FROM TO
  wl_path "$3"; to=$p; wl_parent; wl_path "$2"
  if [ ! -e "$p" ] && [ ! -L "$p" ]; then
    if [ -e "$to" ] || [ -L "$to" ]; then echo same; exit 0; fi
    wl_die "$p is not there"
  fi
  if [ -e "$to" ] || [ -L "$to" ]; then wl_die "$to is there already"; fi
  wl_note "$1" moved "$to"
  mv -T -- "$p" "$to" && echo changed
}
wl_remove() { # SAVE PATH
  wl_path "$2"
  [ -e "$p" ] || [ -L "$p" ] || { echo same; exit 0; }
  case $p in */*[!/]*) ;; *) wl_die "refuses to remove $p" ;; esac
  [ "$p" != "$HOME" ] || wl_die "refuses to remove the home directory $p"
  b=${p##*/}; t=${p%/*}/.wl-trash-$1-$b
  wl_note "$1" moved "$t"; printf '%s\n' "$t" >>"$W/trash"
  mv -T -- "$p" "$t" && echo changed
}
wl_chmod() { # SAVE PATH MODE OWNER GROUP
  wl_path "$2"
  [ -e "$p" ] || wl_die "$p is not there"
  wl_differs "$3" "$4" "$5" "$p" || { echo same; exit 0; }
  wl_set "$1" "$3" "$4" "$5" "$p"; echo changed
}
wl_unpack() { # SAVE ARCHIVE DIRECTORY STRIP
  wl_path "$2"; a=$p; wl_path "$3"; wl_parent
  [ -f "$a" ] || wl_die "the archive $a is not there"
  if [ -d "$p" ] && [ -f "$p/.windlass-unpacked" ]; then
    wl_hash "$a"; [ "$(cat "$p/.windlass-unpacked")" != "$h $4" ] || { echo same; exit 0; }
  elif [ -d "$p" ]; then
    [ -z "$(ls -A "$p")" ] || wl_die "$p holds files that no unpack put there; an archive is unpacked into a directory of its own"
    wl_hash "$a"
  elif [ -e "$p" ] || [ -L "$p" ]; then wl_die "$p is there, and is not a directory"
  else wl_hash "$a"; fi
  t=$dir/.wl-$1; rm -rf "$t"; mkdir "$t" || exit 1
  case $(head -c 6 "$a" | od -An -tx1 | tr -d ' \n') in
    1f8b*) z=gzip ;; fd377a585a00) z=xz ;; 28b52ffd*) z=zstd ;; 425a68*) z=bzip2 ;; *) z=cat ;;
  esac
  command -v "$z" >/dev/null || { rm -rf "$t"; wl_die "$a is packed with $z, which is not on this host"; }
  [ "$z" = cat ] || z="$z -dc"
  { $z <"$a" || echo "the archive is damaged" >&2; } | tar -xof - -C "$t" $( [ "$4" = 0 ] || echo "--strip-components=$4" ) || { rm -rf "$t"; wl_die "$a could not be unpacked"; }
  printf '%s' "$h $4" >"$t/.windlass-unpacked" || { rm -rf "$t"; exit 74; }
  chmod 755 "$t"
  if [ -d "$p" ]; then
    o=$dir/.wl-trash-$1; wl_note "$1" moved "$o"; printf '%s\n' "$o" >>"$W/trash"
    mv -T -- "$p" "$o" || exit 1
  else wl_keep "$1"; fi
  mv -T -- "$t" "$p" && echo changed
}
# wl_exec RECEIPT LIMIT SECONDS DIRECTORY STDIN-SIZE BODY: BODY as a script of its own, away from this connection.
wl_exec() {
  wl_begin; x=$W/x/$1
  if [ ! -e "$x/started" ]; then
    rm -rf "$x"; ( umask 077; mkdir "$x"; printf '%s' "$6" >"$x/body" ) || exit 74
    in=/dev/null
    if [ "$5" != 0 ]; then in=$x/in; ( umask 077; : >"$in" ); wl_need "$5" "$in"; fi
    case $4 in '') at=$HOME ;; *) wl_path "$4"; at=$p ;; esac
    cd -- "$at" || exit 1
    cat /proc/sys/kernel/random/boot_id >"$x/boot" 2>/dev/null
    : >"$x/started"
    setsid sh -c '
      x=$1; echo $$ >"$x/pid"
      if [ "$2" != 0 ]; then ( sleep "$2" & echo $! >"$x/clock"; wait; [ -e "$x/code" ] || { trap "" TERM; : >"$x/over"; kill -TERM -$$; sleep 2; kill -KILL -$$; } ) >/dev/null 2>&1 </dev/null & fi
      trap : TERM
      sh "$x/body" <"$3" >"$x/out" 2>"$x/err" &
      wait $!; c=$?
      echo $c >"$x/code.new"; mv "$x/code.new" "$x/code"
      [ "$2" = 0 ] || { k=$(cat "$x/clock"); kill "$k"; } 2>/dev/null
    ' windlass-run "$x" "$3" "$in" </dev/null >/dev/null 2>&1 &
    wait $!
  fi
  wl_await "$2"
}
# Waits for a command that an earlier connection left behind, then tells how it ended.
wl_await() {
  while [ ! -e "$x/code" ]; do
    [ "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)" = "$(cat "$x/boot")" ] || { echo rebooted; exit 75; }
    [ -s "$x/pid" ] && ! kill -0 "$(cat "$x/pid")" 2>/dev/null && [ ! -e "$x/code" ] && { [ -e "$x/over" ] || { echo vanished; exit 75; }; break; }
    sleep 0.1
  done
  if [ -e "$x/over" ]; then c=over; else c=$(cat "$x/code"); fi
  o=$(stat -c %s "$x/out") && e=$(stat -c %s "$x/err") || exit 1
  echo "$c $o $e"
  head -c "$1" "$x/out"; head -c "$1" "$x/err" >&2
}
# The same for a command that only looks: nothing of it stays.
wl_probe() { # RECEIPT LIMIT SECONDS DIRECTORY STDIN-SIZE BODY
  r=$1-$$; shift; ( wl_exec "$r" "$@" ); c=$?; rm -rf "$W/x/$r"; exit $c
}
wl_sc() {
  command -v systemctl >/dev/null || wl_die "there is no systemctl on this host"
  if [ "$scope" = user ]; then
    [ -n "$XDG_RUNTIME_DIR" ] || export XDG_RUNTIME_DIR="/run/user/$(id -u)"
    systemctl --user "$@"
  else systemctl "$@"; fi
}
wl_show() { # UNIT: sets load active enabled pid restarts result reload
  load= active= enabled= pid=0 restarts=0 result= reload=no
  s=$(wl_sc show --no-pager -p LoadState,ActiveState,UnitFileState,MainPID,NRestarts,Result,NeedDaemonReload -- "$1") || exit 1
  IFS=$LF; set -f
  for l in $s; do case $l in
    LoadState=*) load=${l#*=} ;; ActiveState=*) active=${l#*=} ;; UnitFileState=*) enabled=${l#*=} ;; MainPID=*) pid=${l#*=} ;;
    NRestarts=*) restarts=${l#*=} ;; Result=*) result=${l#*=} ;; NeedDaemonReload=*) reload=${l#*=} ;;
  esac; done; unset IFS; set +f
}
wl_told() { echo "$1 $load $active ${enabled:-none} ${pid:-0} ${restarts:-0} ${result:-none}"; }
wl_status() { scope=$1; wl_show "$2"; wl_told same; }
wl_log() { # SCOPE UNIT LINES
  scope=$1; command -v journalctl >/dev/null || exit 0
  if [ "$scope" = user ]; then journalctl --user -u "$2" -n "$3" --no-pager -o cat 2>&1; else journalctl -u "$2" -n "$3" --no-pager -o cat 2>&1; fi
  exit 0
}
# wl_act VERB UNIT: does it and sees that it stays done.
wl_act() {
  # systemd counts starts; those that a person asks for, by a deploy or by undoing one, are not what it is to stop
  wl_sc "$1" -- "$2" 2>"$W/said" || { c=$?; wl_show "$2"
    [ "$result" = start-limit-hit ] && [ "$1" != reload ] && wl_sc reset-failed -- "$2" && wl_sc start -- "$2"
  } || { cat "$W/said" >&2; ( wl_log "$scope" "$2" 15 ) >&2; exit $c; }
  case $1 in start|restart|reload) ;; *) return 0 ;; esac
  for i in 1 2 3 4; do
    sleep 0.05; wl_show "$2"
    case $active in failed|inactive) [ "$result" = success ] && [ "$pid" = 0 ] && [ "$active" = inactive ] && wl_oneshot "$2" && return 0
      echo "$2 is $active after its $1 ($result)" >&2; ( wl_log "$scope" "$2" 15 ) >&2; exit 1 ;; esac
    [ "$active" = activating ] && [ "$i" = 4 ] && [ "${restarts:-0}" -gt 0 ] && { echo "$2 ends again and again after its $1 ($result)" >&2; ( wl_log "$scope" "$2" 15 ) >&2; exit 1; }
  done; return 0
}
wl_oneshot() { [ "$(wl_sc show --no-pager -p Type --value -- "$1")" = oneshot ]; }
wl_service() { # SAVE VERB SCOPE UNIT
  scope=$3 p=$4; wl_show "$4"
  [ "$reload" != yes ] && [ "$load" != not-found ] || { wl_sc daemon-reload; wl_show "$4"; }
  case $2 in
    stop|disable) [ "$load" != not-found ] || { wl_told same; exit 0; } ;;
    *) [ "$load" != not-found ] || wl_die "there is no service $4 on this host" ;;
  esac
  v=$2
  case $2:$active:$enabled in
    start:active:*|start:reloading:*|stop:inactive:*|enable:*:enabled|enable:*:static|enable:*:alias) wl_told same; exit 0 ;;
    disable:*:disabled|disable:*:static) wl_told same; exit 0 ;;
    reload:inactive:*|reload:failed:*|restart:inactive:*|restart:failed:*) v=start ;;
  esac
  was=$active; [ "$was" != activating ] || was=active
  wl_note "$1" service "$scope $v $was ${enabled:-none}"
  case $v in enable|disable) ;; *) mkdir -p "$W/u"; [ -e "$W/u/$scope-$4" ] || printf '%s' "$was" >"$W/u/$scope-$4" || exit 1 ;; esac
  [ "$active" != failed ] || wl_sc reset-failed -- "$4" 2>/dev/null
  case $v in
    enable|disable) wl_sc "$v" -- "$4" >&2 2>/dev/null || wl_sc "$v" -- "$4" || exit 1 ;;
    *) wl_act "$v" "$4" ;;
  esac
  wl_show "$4"; wl_told changed
}
wl_restore() { # SAVE
  d=$W/s/$1
  [ -e "$d/done" ] || { echo same; exit 0; }
  k=$(cat "$d/done"); p=$(cat "$d/path"; echo .); p=${p%.}; was=
  case $k in attributes|moved|service) was=$(cat "$d/was"; echo .); was=${was%.} ;; esac
  t=${p%/*}/.wl-$1
  case $k in
    absent) rm -rf -- "$p" || exit 1 ;;
    directory) echo same; exit 0 ;;
    link|file)
      [ -e "$d/was" ] || [ -L "$d/was" ] || { echo same; exit 0; }
      [ ! -d "$p" ] || [ -L "$p" ] || wl_die "$p was a $k and is a directory now"
      [ -d "${p%/*}/" ] || mkdir -p -- "${p%/*}/" || exit 1
      rm -f "$t"; { ln "$d/was" "$t" 2>/dev/null || cp -pP "$d/was" "$t"; } && sync "$t" 2>/dev/null
      { [ -e "$t" ] || [ -L "$t" ]; } || exit 1
      # two names of one file: mv would do nothing and leave both
      if [ "$t" -ef "$p" ] && [ ! -L "$t" ]; then rm -f "$t"; else mv -fT -- "$t" "$p" || exit 1; fi ;;
    attributes) set -- $was; chown "$2:$3" -- "$p" 2>/dev/null; chmod "$1" -- "$p" || exit 1 ;;
    moved)
      if [ -e "$was" ] || [ -L "$was" ]; then
        if [ -e "$p" ] || [ -L "$p" ]; then rm -rf -- "$t"; mv -T -- "$p" "$t" || exit 1; fi
        mv -T -- "$was" "$p" || exit 1; rm -rf -- "$t"
      fi ;;
    service)
      u=$p; set -- $was; scope=$1
      case $2:$3:$4 in
        restart:active:*|reload:*|stop:*|enable:*:enabled|disable:*:disabled) echo same; exit 0 ;;
        start:*|restart:inactive:*|restart:failed:*) wl_sc stop -- "$u" || exit 1
          [ "$3" = failed ] || wl_sc reset-failed -- "$u" 2>/dev/null ;;
        enable:*) wl_sc disable -- "$u" 2>/dev/null || exit 1 ;;
        disable:*:enabled) wl_sc enable -- "$u" 2>/dev/null || exit 1 ;;
      esac ;;
    *) wl_die "this Windlass does not know what '$k' is" ;;
  esac
  echo changed
}
wl_resume() { # SAVE: what ran when the run began runs again, on its old files; once a service
  d=$W/s/$1
  [ -e "$d/done" ] && [ "$(cat "$d/done")" = service ] || { echo same; exit 0; }
  u=$(cat "$d/path"); set -- $(cat "$d/was"); scope=$1
  f=$W/u/$scope-$u
  case $2 in enable|disable) echo same; exit 0 ;; esac
  [ ! -e "$f.back" ] && [ "$(cat "$f")" = active ] || { echo same; exit 0; }
  wl_show "$u"; [ "$reload" != yes ] || wl_sc daemon-reload
  [ "$active" != failed ] || wl_sc reset-failed -- "$u" 2>/dev/null
  if [ "$2" = reload ] && [ "$active" = active ]; then wl_act reload "$u"
  else wl_act restart "$u"; : >"$f.back"; fi
  echo changed
}
wl_forget() {
  if [ -e "$W/trash" ]; then while IFS= read -r t; do case $t in */.wl-trash-*) rm -rf -- "$t" ;; esac; done <"$W/trash"; fi
  rm -rf -- "$W"; rmdir "$wl_home/runs" "$wl_home" 2>/dev/null; echo changed
}
