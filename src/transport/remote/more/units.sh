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
  # Of one that the run was told to stop or start, it is known how it was when the run began.
  for one in $held; do
    f=$W/s/u-$scope-$one; first=; [ ! -s "$f" ] || read -r first <"$f"
    case $first:$ran in active:*|:*"$LF$one$LF"*) wl_act start "$one" ;; esac
  done
}
#: kin
# Units that systemd stops or starts along with another one: those that require it, that are part of it or conflict with it, and what it
# needs. SAVE.kin has them, with how they were before the step, and after it.
# wl_kinds_of UNITS: a line for each: its name, how it is, and those that go with it. What comes with the system itself always runs.
wl_kinds_of() {
  s=$(wl_sc show --no-pager -p Id,ActiveState,RequiredBy,BoundBy,ConsistsOf,Requires,BindsTo,Wants,PropagatesStopTo,Upholds -- "$@") || exit 1
  printf '%s\n\n' "$s" | while IFS= read -r l; do
    case $l in
      Id=*) id=${l#*=} ;; ActiveState=*) state=${l#*=} ;; *=) ;; *=*) along="$along ${l#*=}" ;;
      '') [ -z "$id" ] || echo "$id $state$along"; id= state= along= ;;
    esac
  done
}
wl_keep_kin() { # SAVE UNITS
  [ ! -e "$W/s/$1.kin" ] || return 0
  save=$1; shift; wl_private; known=' ' lines=
  while :; do
    wl_kindred "$@"; next=
    for one in $kin; do case $known in *" $one "*) ;; *) known="$known$one " next="$next $one" ;; esac; done
    set -- $next; [ $# -gt 0 ] || break
    found=$(wl_kinds_of "$@") || wl_fail
    set -- $(printf '%s\n' "$found" | cut -d ' ' -f 3-)
    lines=$lines$found$LF
  done
  [ "$lines" ] || return 0
  printf '%s' "$lines" | while read -r one state _; do echo "$one $state"; done >"$W/s/$save.kin" || wl_fail
}
wl_kin_after() { # SAVE: once the step has acted
  set -- "$1" $(cut -d ' ' -f 1 <"$W/s/$1.kin")
  save=$1; shift
  now=$LF$(wl_kinds_of "$@")$LF
  while read -r one state _; do
    l=${now#*"$LF$one "}; l=${l%%"$LF"*}; echo "$one $state ${l%% *}"
  done <"$W/s/$save.kin" >"$W/s/$save.after" && mv -f "$W/s/$save.after" "$W/s/$save.kin" || wl_fail
}
# wl_kin_stop UNIT: it ends; what ran, and ends along with it, is known from then on.
wl_kin_stop() {
  names=$(cut -d ' ' -f 1 <"$d.kin")
  there=$LF$(wl_kinds_of $names)$LF
  wl_sc stop -- "$1" || exit 1
  now=$LF$(wl_kinds_of $names)$LF
  while read -r one state after; do
    case $there:$now in *"$LF$one active"*:*"$LF$one active"*) ;; *"$LF$one active"*:*) after=inactive ;; esac
    echo "$one $state $after"
  done <"$d.kin" >"$d.after" && mv -f "$d.after" "$d.kin" || wl_fail
}
# wl_first UNIT: how it was when the run first came to it, or to one that it goes along with, in first.
wl_first() {
  first=; [ ! -s "$W/s/u-$scope-$1" ] || read -r first <"$W/s/u-$scope-$1"
  [ -z "$first" ] || return 0
  old=
  for f in "$W"/s/*.kin; do
    [ -s "$f" ] && { [ -z "$old" ] || [ "$f" -ot "$old" ]; } && grep -q "^$1 " "$f" && old=$f
  done
  [ -z "$old" ] || first=$(sed -n "s/^$1 \([^ ]*\).*/\1/p" "$old" | head -n 1)
}
# wl_up UNIT: it runs again. A socket is opened while its service does not have it.
wl_up() {
  wl_show "$1"
  [ "$active" != failed ] || wl_sc reset-failed -- "$1" 2>/dev/null
  held=; case $1 in *.socket) p=$1; wl_holders start; held=$holders; for one in $held; do wl_sc stop -- "$one" || exit 1; done ;; esac
  wl_act start "$1"
  for one in $held; do wl_act start "$one"; done
}
# wl_kin_back SAVE: what the step stopped along with its service runs again, and what it started ends; as it was when the run began, where
# the run came to it by its name as well. Sockets come before what has them.
wl_kin_back() {
  read -r scope _ <"$W/s/$1.was"; save=$1; up=
  while read -r unit before after; do
    [ "$before" != "$after" ] || continue
    wl_first "$unit"; wl_show "$unit"
    case ${first:-$before}:$before:$active in
      # Nobody can start what has no file any more.
      active:*:inactive|active:*:failed|active:*:deactivating) [ "$load" = not-found ] || case $unit in *.socket) up="$unit $up" ;; *) up="$up $unit" ;; esac ;;
      active:*) ;;
      *:inactive:active|*:failed:active|*:inactive:activating|*:failed:activating)
        wl_sc stop -- "$unit" || exit 1
        [ "$before" = failed ] || wl_sc reset-failed -- "$unit" 2>/dev/null ;;
    esac
  done <"$W/s/$save.kin"
  for unit in $up; do wl_up "$unit"; done
}
#: unit links
# Enabling makes more than one link, and disabling takes more than enabling made: those of units that are named in Also=, other names,
# and the link by which a unit from elsewhere is known at all. So the set of links is kept, and comes back as a set.
# wl_units: the directory where its manager's links are, in units.
wl_units() { if [ "$scope" = user ]; then units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user; else units=/etc/systemd/system; fi; }
# wl_also UNIT: it, its template, and the units that they name in Also=, and so on, between spaces in names.
wl_also() {
  names=' '
  while [ $# -gt 0 ]; do
    one=$1; shift
    case $names in *" $one "*) continue ;; esac
    names="$names$one "
    case $one in *@.*) ;; *@*) set -- "$@" "${one%%@*}@.${one##*.}" ;; esac
    for f in "$units" /etc/systemd /run/systemd /usr/local/lib/systemd /usr/lib/systemd /lib/systemd; do
      [ "$f" = "$units" ] || f=$f/$scope
      [ -f "$f/$one" ] || continue
      set -- "$@" $(sed -n 's/^[[:space:]]*Also[[:space:]]*=//p' "$f/$one" "$f/$one.d"/*.conf 2>/dev/null)
      break
    done
  done
}
# wl_links UNIT: the links that have to do with it: `PATH TARGET`, and `PATH/` for each directory that could hold some, below $units.
wl_links() {
  wl_also "$1"; set --
  for l in "$units"/*.wants "$units"/*.requires "$units"/*.upholds; do [ ! -d "$l" ] || echo "${l##*/}/"; done
  for l in "$units"/* "$units"/*.wants/* "$units"/*.requires/* "$units"/*.upholds/*; do
    case ${l#"$units"/} in *[[:space:]]*) ;; *) [ ! -L "$l" ] || set -- "$@" "$l" ;; esac
  done
  [ $# -gt 0 ] || return 0
  s=$(readlink -- "$@" 2>/dev/null) || s=$(for l; do readlink -- "$l"; done)
  printf '%s\n' "$s" | while IFS= read -r to; do
    case $names in *" ${1##*/} "*|*" ${to##*/} "*) echo "${1#"$units"/} $to" ;; esac
    shift
  done
}
wl_keep_links() { # SAVE UNIT: before the step is on record
  wl_units
  [ -s "$W/s/$1.done" ] || { wl_private; links=$(wl_links "$2") && printf '%s\n' "$links" >"$W/s/$1.links" || wl_fail; }
}
# wl_linked SAVE UNIT VERB STATE: after it; false when it has changed neither links nor the unit's state, so that nothing was done.
wl_linked() {
  was=$(cat "$W/s/$1.links"); links=$(wl_links "$2")
  if [ "$3" = disable ]; then wl_known "$2"; fi
  printf '%s\n' "$links" >"$W/s/$1.linked"; wl_show "$2"
  [ "$links" != "$was" ] || [ "${enabled:-none}" != "$4" ] || { rm -f "$W/s/$1.done" "$W/s/$1.links" "$W/s/$1.linked"; return 1; }
}
# wl_known UNIT: systemd disables a unit from elsewhere by forgetting that there is one. It is not to start at boot, that is all.
wl_known() {
  to=$(printf '%s\n' "$was" | sed -n "s|^$1 ||p")
  [ -n "$to" ] && [ "${to##*/}" = "$1" ] && [ ! -e "$units/$1" ] && [ ! -L "$units/$1" ] || return 0
  ln -s -- "$to" "$units/$1" && wl_sc daemon-reload || exit 1
  links=$(wl_links "$1")
}
# wl_links_back UNIT: what the step made goes and what it took comes back. False when it did neither, as far as links can tell.
wl_links_back() {
  wl_units; was=$LF$(cat "$d.links")$LF; now=$LF$(wl_links "$1")$LF; made=$now
  [ ! -e "$d.linked" ] || made=$LF$(cat "$d.linked")$LF
  [ "$made" != "$was" ] || return 1
  printf '%s' "${made#"$LF"}" | while IFS= read -r l; do
    case $was in *"$LF$l$LF"*) continue ;; esac
    case $l in ''|*/) continue ;; esac
    case $now in *"$LF$l$LF"*) rm -f -- "$units/${l%% *}" || exit 1 ;; esac
  done || exit 1
  printf '%s' "${was#"$LF"}" | while IFS= read -r l; do
    case $made in *"$LF$l$LF"*) continue ;; esac
    [ "$l" ] || continue
    f=$units/${l%% *}
    case $l in */) ( umask 022; mkdir -p -- "$f" ) || exit 1; continue ;; */*' '*) ( umask 022; mkdir -p -- "${f%/*}" ) || exit 1 ;; esac
    [ -e "$f" ] || [ -L "$f" ] || ln -s -- "${l#* }" "$f" || exit 1
  done || exit 1
  printf '%s' "${made#"$LF"}" | while IFS= read -r l; do
    case $was in *"$LF$l$LF"*) continue ;; esac
    case $l in ?*/) rmdir -- "$units/$l" 2>/dev/null ;; esac
  done
  wl_sc daemon-reload || exit 1
}
#: anew
# wl_anew SAVE SECONDS [SCOPE UNIT]..: of these services, which the run did not come to, or not once all files were back, those are restarted that began, or ended badly,
# in the last SECONDS: they may run from files that were put back since. And those that should have come up at a boot since.
wl_anew() {
  by=$1 old=$2 end=same; shift 2
  tick=$(getconf CLK_TCK 2>/dev/null) || tick=100
  now=$(wl_ticks self) || now=0
  while [ "$2" ]; do
    scope=$1 u=$2 f=$W/s/u-$1-$2; shift 2
    [ -z "$wl_edits" ] || rm -f -- "$wl_edits"
    [ ! -d "$wl_home" ] || wl_only_one "unit-$scope-$u" 12000
    if [ -e "$f.back" ]; then [ "$(cat "$f.back")" != "$by" ] || end=changed; continue; fi
    # One that the run did come to: what ran when it began runs again, unless it does so since the last file was put back.
    if [ -e "$f" ]; then [ "$(cat "$f")" = active ] || continue; wl_show "$u"
    else wl_show "$u"; wl_young || continue; fi
    [ "$reload" != yes ] || { wl_sc daemon-reload; wl_show "$u"; }
    # Nobody can start it once more.
    [ "$load:$active" != not-found:active ] || continue
    wl_sc reset-failed -- "$u" 2>/dev/null
    [ -d "$W/s" ] || wl_private
    # Where there is no room to say so, it is done once more when it is asked for once more; and so it is where a file comes back meanwhile.
    { echo active >"$f" && echo "$by" >"$f.now"; } 2>/dev/null || rm -f "$f" "$f.now"
    wl_act restart "$u"
    mv -f "$f.now" "$f.back" 2>/dev/null
    end=changed
  done
  echo $end
}
# wl_young: whether $u, as wl_show found it, began or failed in the last $old seconds. What cannot be told counts as young.
wl_young() {
  case $active in
    active)
      # Nothing of it runs.
      [ "${pid:-0}" != 0 ] || { [ -n "$wl_without" ]; return; }
      a=$(wl_ticks "$pid") || return 0
      [ $(( (now - a) / tick )) -le "$old" ] ;;
    failed|activating)
      [ -z "$wl_without" ] && a=$(wl_sc show --no-pager -p StateChangeTimestampMonotonic --value -- "$u") || return 1
      [ $(( now / tick - a / 1000000 )) -le "$old" ] ;;
    inactive) case $enabled in enabled*) [ $(( now / tick )) -le "$old" ] ;; *) return 1 ;; esac ;;
    *) return 1 ;;
  esac
}
# wl_ticks PID: when it began, in clock ticks since boot. A name in the line may have blanks.
wl_ticks() { IFS= read -r l 2>/dev/null <"/proc/$1/stat" && set -- ${l##*") "} && echo "${20}"; }
