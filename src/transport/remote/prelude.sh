# shellcheck shell=sh
# What it cannot know here, and why each is right:
# shellcheck disable=SC2154 # wl_k, wl_c, wl_run, wl_u, wl_lock and wl_e are set by the controller before this text
# shellcheck disable=SC1007,SC2209 # `a= b=` sets several to nothing, and `k=link` is a word
# shellcheck disable=SC2015 # after `A && B || C`, C is wanted where B fails as well
# shellcheck disable=SC2016,SC2088 # what is not expanded here is for another program, or is written so by people
# shellcheck disable=SC2046,SC2086 # what is split is our own words, numbers, and names of packages and groups, which have no blanks
# shellcheck disable=SC2317 # what is defined within a function takes the place of what others call
# shellcheck disable=SC2165,SC2167 # an inner loop may take the variable of the outer one, which its next round sets anew
# shellcheck disable=SC2030,SC2031 # what a subshell sets is for it alone, and meant so
# shellcheck disable=SC2094 # a list that is read is not the one that is written
# shellcheck disable=SC3013 # dash, busybox and mksh have -ef
# Windlass, host side: functions for one persistent POSIX sh. Needs coreutils (GNU or busybox); systemctl for services.
# The controller sends lines `wl N FUNCTION ARGS`, one at a time, and reads until the mark. Before a function is called for the first
# time, it sends the section that has it, and those that this one needs: a section begins at `#: NAME`, the first goes out at once.
# wl_k (the mark, a secret of this session), wl_c (whose shell it is), wl_run (the run's name) and wl_u (what tells it from runs of
# other ledgers, and stands in every name that it leaves beside a path) are set before this text.
wl_home=$HOME/.windlass wl_o=
[ -w "$HOME/." ] || wl_home=/var/tmp/.windlass-$(id -u) wl_o=1
# Where it is another's, or anybody may have made it, nothing in it is believed before wl_own has looked: by each call
# but the greeting, from when wl_v is wl_o.
[ -O "$wl_home" ] || [ ! -e "$wl_home" ] || wl_o=1
W=$wl_home/runs/$wl_run-$wl_u
# Holders of the lock (wl_lock; this is the wl_e-th) that this host was shown: a file for each, which stays when the run has ended.
wl_f=$wl_home/ledgers/$wl_lock
t= wl_t= wl_a= wl_w= wl_edits= wl_without= # what a login's environment calls so is not ours to remove
LF='
'
wl() {
  wl_n=$1; shift
  wl_do "$@"; wl_x=$?
  [ $wl_x != 73 ] || { wl_more; wl_do "$@"; wl_x=$?; }
  printf '\n%s %s %s\n' "$wl_k" "$wl_n" "$wl_x"
  printf '\n%s %s\n' "$wl_k" "$wl_n" >&2
  # What the controller still sends is no command.
  [ $wl_x != 74 ] || exit 74
}
wl_do() ( trap wl_ended TERM; trap : PIPE; [ ! "$wl_v" ] || wl_later wl_own "$1"; "$@" )
# What wl_alone ends takes its new file or directory, $wl_t, with it. (PIPE has a handler, or telling nobody would end it first;
# programs that it runs have the usual one.)
wl_ended() { [ -z "$wl_t" ] || rm -rf -- "$wl_t"; [ -z "$wl_a" ] || rm -f -- "$wl_a"; exit 74; }
# wl_later FUNCTION ARGS: calls one that most shells never need. Where it was not sent yet, all that is done so far is done again
# once it was: nothing may have been changed until then.
wl_later() { command -v "$1" >/dev/null || exit 73; "$@"; }
wl_more() {
  printf '\n%s %s more\n' "$wl_k" "$wl_n"
  read -r wl_s && eval "$(head -c "$wl_s")"
}
wl_die() { printf 'windlass: %s\n' "$*" >&2; exit 1; }
wl_odd() { wl_die "$p is neither a file, a directory nor a link"; }
# Ends a function that changes nothing: what it made beforehand, $t, goes.
wl_refuse() { [ -z "$t" ] || rm -rf -- "$t"; wl_die "$@"; }
wl_fail() { wl_refuse "what is there before the change cannot be kept in $W: No space left on device, or no permission"; }
# wl_need SIZE FILE: asks the controller for SIZE bytes and keeps them in FILE, which is empty and open as 8; on disk, where dd can do that.
wl_need() {
  printf '\n%s %s need\n' "$wl_k" "$wl_n"
  said=$(LC_ALL=C dd bs=256k iflag=fullblock,count_bytes count="$1" conv=fsync 2>&1 >&8) && return 0
  case $said in
    *nvalid*|*nrecognized*|*"not found"*) head -c "$1" >&8 || exit 74; wl_flush "$2" ;; # a dd that cannot count bytes
    *) printf '%s\n' "${said%%"$LF"*}" >&2; exit 74 ;;
  esac
}
# wl_flush FILE: puts what is open as 8 on disk; uutils' sync of one file is one of the whole machine.
wl_flush() { dd if=/dev/null conv=fsync 2>/dev/null >&8 || sync "$1" 2>/dev/null || sync; }
# The path behind ~, in p.
wl_path() { case $1 in "~") p=$HOME ;; "~/"*) p=$HOME/${1#"~/"} ;; *) p=$1 ;; esac; }
wl_parent() {
  dir=${p%/*}; [ -n "$dir" ] || dir=/
  [ -d "$dir" ] || wl_die "the directory $dir is not there"
}
wl_hash() { h=$(sha256sum <"$1") || exit 1; h=${h%% *}; }
# Makes the directories that nobody else can enter; the one that other shells look for comes last.
wl_private() {
  [ -d "$W/s" ] && [ -d "${wl_w:+$wl_f/}." ] || {
    wl_claim beside
    ( umask 077; mkdir -p "$wl_home/sums" "$W/p" "$W/x" "$W/l" ${wl_w:+"$wl_f"} && { [ -z "$wl_e" ] || echo "$wl_lock $wl_run $wl_by" >"$W/of"; } && mkdir -p "$W/s" ) || wl_fail
  }
  wl_here
  [ -z "$wl_w" ] || [ -e "$wl_f/$wl_w" ] || wl_fence
}
# Leaves word that this shell is at work for the run, for wl_alone. Who comes later has shown itself before it looks for such words, so
# the fence is looked at once more: one of the two sees the other.
wl_here() {
  [ -e "$W/l/$$" ] || [ ! -d "$W/l" ] || {
    { wl_born $$ && echo "$wl_c $g0 $s0 $b0" >"$W/l/$$"; } 2>/dev/null
    [ -z "$wl_w" ] || wl_fence
  }
}
# wl_fenced FUNCTION ARGS: calls one that changes something, unless this host was shown a later holder of the lock.
wl_fenced() { wl_w=$wl_e; wl_fence; "$@"; }
# A name appears in one instant, and nobody takes a higher one away.
wl_fence() {
  [ "$wl_e" ] || return 0
  for E in "$wl_f"/[0-9]*; do [ ! -e "$E" ] || [ "${E##*/}" -le "$wl_e" ] || { echo "${E##*/}"; exit 76; }; done
  [ -e "$wl_f/$wl_e" ] || [ ! -d "$wl_f" ] || printf '' >"$wl_f/$wl_e" || exit 1
}
# wl_claim KIND TEXT: before $p is changed, or rested on. Others have a run here only where they left word of it.
wl_claim() {
  for f in "$wl_home"/runs/*/of; do
    [ "$f" = "$W/of" ] || [ ! -e "$f" ] || wl_later wl_claimed "$@"
  done
}
# wl_born PID: its group, session and time of birth (g0 s0 b0); false when it is gone.
wl_born() {
  { read -r _ _ z0 _ g0 s0 _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ b0 _ <"/proc/$1/stat"; } 2>/dev/null && [ "$z0" != Z ]
}
# Ends the shells that an earlier connection of this run has left at work here, with what they started: two at one step would
# undo each other's work. wl_c (POOL/HOST/CONNECTION) says whose a shell is; other hosts of one pool may be this machine, too.
wl_alone() {
  for f in "$W"/l/*; do
    read -r c g s b 2>/dev/null <"$f" || continue
    case $c in "$wl_c") continue ;; "${wl_c%/*}"/*) ;; "${wl_c%%/*}"/*) continue ;; esac
    q=${f##*/}
    if [ "$q" != $$ ] && wl_born "$q" && [ "$b0" = "$b" ]; then
      # The whole group, where it is the connection's own.
      k=$q; if [ "$g" = "$q" ] || [ "$g" = "$s" ]; then k=-$g; fi
      # One that is idle has no children, and is gone at once; what another one runs may need a moment to clean up.
      kids=unknown; { read -r kids <"/proc/$q/task/$q/children" || [ -n "$kids" ] || kids=; } 2>/dev/null
      kill -TERM "$k" 2>/dev/null; i=0
      while { { [ -n "$kids" ] && kill -0 "$k" 2>/dev/null; } || { wl_born "$q" && [ "$b0" = "$b" ]; }; } && [ $i -lt 80 ]; do
        sleep 0.05; i=$((i+1)); [ $i != 60 ] || kill -KILL "$k" 2>/dev/null
      done
    fi
    rm -f "$f"
  done
}
# wl_watched WORD NAME: before a change within a guarded block (more/guard.sh).
wl_watched() { [ ! -d "$W/g" ] || wl_later wl_in_guard "$@"; }
[ "$wl_o" ] || [ ! -d "$W/l" ] || ( wl_fence >/dev/null; wl_alone )
#: alive
# wl_calm: before something is restored within a guarded block.
wl_calm() { [ ! -d "$W/g" ] || wl_later wl_no_fire; }
# wl_lives PID BIRTH: whether it is still that process; a number is given again. (A receipt of an earlier Windlass has no birth.)
wl_lives() { wl_born "$1" && { [ -z "$2" ] || [ "$b0" = "$2" ]; }; }
# wl_kin PID BIRTH: whether anything is left of the group of that process. While there is, its number is not given again.
wl_kin() { { ! wl_born "$1" || [ -z "$2" ] || [ "$b0" = "$2" ]; } && kill -0 -"$1" 2>/dev/null; }
#: own
# wl_own FUNCTION: ends the call where the directory is not this user's alone. Where anybody may make it, a change makes it first, and
# by itself: it is ours then, or known not to be. What a shell does first is done once that is known.
wl_own() {
  case $1$wl_home in wl_fenced/var/tmp/*) ( umask 077; mkdir -- "$wl_home" 2>/dev/null ) ;; esac
  [ -e "$wl_home" ] || [ -L "$wl_home" ] || return 0
  case $wl_home in /var/tmp/*) [ ! -L "$wl_home" ] && [ -d "$wl_home" ] && [ "$(stat -c %a -- "$wl_home")" = 700 ] ;; esac &&
    [ -O "$wl_home" ] || { ls -ld -- "$wl_home"; exit 77; }
  [ -e "$W/l/$$" ] || [ ! -d "$W/l" ] || ( wl_fence >/dev/null; wl_alone )
}
#: saves
# wl_real: keeps where $p lies, when a link leads there: undoing goes there, wherever the link leads by then.
wl_real() {
  [ "${p#/}" != "$p" ] && here=$PWD && cd -P -- "${p%/*}/" 2>/dev/null || return 0
  l=${PWD%/}/${p##*/}; cd -- "$here" || exit 1
  [ "$l" = "$p" ] || [ -s "$d.real" ] || printf '%s' "$l" >"$d.real" || wl_fail
}
# wl_keep SAVE: keeps what is at $p, once, as $d.was (a file's other name), $d.path and, last, $d.done. Where it is then, is in kept.
wl_keep() {
  wl_watched saved "$1"; d=$W/s/$1 kept=$W/s/$1.was
  if [ -s "$d.done" ]; then
    read -r k <"$d.done"
    [ "$k" = beside ] && kept=${p%/*}/.wl-trash-$wl_u-$1 && [ ! -e "$kept" ] && [ ! -L "$kept" ] || return 0
  fi
  wl_private
  printf '%s' "$p" >"$d.path" || wl_fail
  wl_real; wl_claim file
  [ ! -e "$d.was" ] && [ ! -L "$d.was" ] || rm -f "$d.was"
  if [ -L "$p" ] || [ -f "$p" ]; then k=file; [ ! -L "$p" ] || k=link; ln -- "$p" "$d.was" 2>/dev/null || wl_later wl_keep_else "$1"
  elif [ -d "$p" ]; then k=directory
  elif [ -e "$p" ]; then wl_odd
  else k=absent; fi || wl_fail
  echo "$k" >"$d.done" || wl_fail
}
# wl_note SAVE KIND TEXT: keeps a text of that kind instead.
wl_note() {
  wl_watched saved "$1"; d=$W/s/$1
  [ -s "$d.done" ] && return 0
  wl_private
  printf '%s' "$p" >"$d.path" || wl_fail
  wl_real; wl_claim "$2" "$3"
  printf '%s' "$3" >"$d.was" && echo "$2" >"$d.done" || wl_fail
}
# wl_makes KIND TEXT: what the step makes of what it has kept: undoing it looks whether that is still there.
wl_makes() { [ -s "$d.new" ] || printf '%s %s' "$1" "$2" >"$d.new" || wl_fail; }
# wl_same SAVE: it is as asked. When this very step made it so before its answer was lost, it has changed it.
# When an unfinished run of others made it so, it may not stay.
wl_same() { if [ -s "$W/s/$1.done" ]; then echo changed; else d=$W/s/$1; wl_claim same; echo same; fi; exit 0; }
# wl_attributes MODE OWNER GROUP FILE: what differs from that is set on FILE; changed tells.
wl_attributes() {
  changed=
  [ -n "$1$2$3" ] || return 0
  r=-h; [ ! -L "$4" ] || { r=; wl_later wl_ours "$4"; }
  wl_owned "$4"
  if [ -n "$2" ] && [ "$2" != "$uid" ] && [ "$2" != "${names%%/*}" ]; then chown $r -- "$2" "$4" || exit 1; changed=1; fi
  if [ -n "$3" ] && [ "$3" != "$gid" ] && [ "$3" != "${names#*/}" ]; then chgrp $r -- "$3" "$4" || exit 1; changed=1; fi
  if [ -n "$1" ] && { [ "$1" != "$mode" ] || [ -n "$changed" ]; }; then wl_mode "$1" "$4" || exit 1; changed=1; fi
}
# wl_mode MODE PATH: of the very thing that is there, whatever is put into its place meanwhile.
wl_mode() {
  if [ -L "$2" ] || { [ ! -f "$2" ] && [ ! -d "$2" ]; } || [ ! -r "$2" ] || [ ! -e /proc/self/fd/0 ]; then chmod -- "00$1" "$2"; return; fi
  { [ /proc/self/fd/0 -ef "$2" ] && [ ! -L "$2" ] && chmod -- "00$1" /proc/self/fd/0; } <"$2"
}
# wl_owned FILE: mode uid gid names; a name may have spaces.
wl_owned() {
  names=$(stat -L -c '%a %u %g %U/%G' -- "$1") || exit 1
  mode=${names%% *}; names=${names#* }; uid=${names%% *}; names=${names#* }; gid=${names%% *}; names=${names#* }
}
# wl_differs MODE OWNER GROUP FILE: true when wl_attributes would change something.
wl_differs() {
  [ -n "$1$2$3" ] || return 1
  wl_owned "$4"
  { [ -n "$1" ] && [ "$1" != "$mode" ]; } || { [ -n "$2" ] && [ "$2" != "$uid" ] && [ "$2" != "${names%%/*}" ]; } ||
    { [ -n "$3" ] && [ "$3" != "$gid" ] && [ "$3" != "${names#*/}" ]; }
}
# wl_set SAVE MODE OWNER GROUP FILE: the same with the old values kept.
wl_set() {
  [ ! -L "$5" ] || wl_later wl_ours "$5" "$1"
  [ -z "$3$4" ] || [ ! -f "$5" ] || [ ! -x "$5" ] || wl_later wl_capable "$1" "$5"
  wl_note "$1" attributes "$(stat -L -c '%a %u %g' -- "$5")"
  wl_makes attributes "${2:--} ${3:--} ${4:--}"
  wl_attributes "$2" "$3" "$4" "$5"
}
#: mounts
# wl_mounts PATH: where it lies (at), on which mount (on, of that kind), and what is mounted at it or below it (below). No process.
wl_mounts() {
  here=$PWD
  if [ -d "$1" ] && [ ! -L "$1" ]; then cd -P -- "$1" && at=$PWD; else cd -P -- "${1%/*}/" && at=${PWD%/}/${1##*/}; fi 2>/dev/null || at=$1
  cd -- "$here" || exit 1; on= kind= below=
  while read -r _ _ _ _ m r; do
    case $m in *\\*) m=$(printf '%b' "$(printf %s "$m" | sed 's/\\/\\0/g')") ;; esac
    case $at/ in "${m%/}"/*) [ "${#m}" -lt "${#on}" ] || { on=$m kind=${r#* - }; } ;; esac
    case $m/ in "$at"/*) below=$m ;; esac
  done 2>/dev/null </proc/self/mountinfo
}
# wl_unmounted PATH: refuses a directory that something is mounted in: it is not the run's to move or to remove.
wl_unmounted() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 0
  wl_mounts "$1"
  [ -z "$below" ] || wl_die "$below is mounted, so $1 is neither moved nor removed; unmount it first"
}
#: over
# wl_over NEW PATH: takes its place in one instant; uutils' mv refuses a link to nothing for a link to a directory.
wl_over() {
  said=$(mv -fT -- "$1" "$2" 2>&1) || { [ -L "$1" ] && [ -L "$2" ] && rm -f -- "$2" && mv -T -- "$1" "$2"; } || { printf '%s\n' "$said" >&2; return 1; }
  # Of two names of one file, mv would leave both.
  { [ ! -e "$1" ] && [ ! -L "$1" ]; } || rm -f -- "$1"
}
#: moves
# wl_gone PATH: removes it; directories that may not be written, too. What is mounted in it is not the run's.
wl_gone() {
  [ -e "$1" ] || [ -L "$1" ] || return 0
  wl_unmounted "$1"
  rm -rf -- "$1" 2>/dev/null && return
  [ ! -d "$1" ] || [ -L "$1" ] || find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
  rm -rf -- "$1"
}
# wl_shift FROM TO PART: FROM gets the name TO, where nothing is: by a rename, else by a copy at PART, which is whole and compared before
# FROM goes. mv would begin to take away before a copy of its own is whole.
wl_shift() {
  wl_slide "$1" "$2"; c=$?
  if [ $c != 2 ]; then [ $c != 0 ] || [ -z "$d" ] || echo >"$d.moved"; return $c; fi
  wl_gone "$3"; cp -a -- "$1" "$3" || { wl_gone "$3"; return 1; }
  wl_equal "$1" "$3" || { wl_gone "$3"; wl_die "$1 can only be copied to where it is to go, and the copy is not the same (owners, times, attributes)"; }
  [ -z "$d" ] || echo >"$d.far" || return 1
  mv -T -- "$3" "$2" && { [ -z "$d" ] || echo >"$d.moved"; } && wl_gone "$1" && { [ -z "$d" ] || echo >"$d.cleared"; }
}
# wl_slide FROM TO: a rename that is one; 2 where only a copy could do it, or nobody can tell. Device numbers do not say: a bind mount
# has that of its source, and a directory of an overlay's lower layer is renamed by nobody.
wl_slide() {
  if [ "${1%/*}" = "${2%/*}" ]; then
    [ -d "$1" ] && [ ! -L "$1" ] || { mv -T -- "$1" "$2"; return; }
    wl_mounts "$1"
  else
    wl_mounts "${2%/*}/."; onto=$on
    wl_mounts "$1"; [ "$on" = "$onto" ] || return 2
    [ -d "$1" ] && [ ! -L "$1" ] || kind="plain $kind"
  fi
  plain=
  case $kind in
    *prj*|*pquota*) ;;
    plain\ *|'') mv -T -- "$1" "$2"; return ;;
    ext[234]\ *|xfs\ *|btrfs\ *|tmpfs\ *|ramfs\ *|zfs\ *|f2fs\ *|nfs*|vfat\ *|exfat\ *) plain=1; [ "${1%/*}" != "${2%/*}" ] || { mv -T -- "$1" "$2"; return; } ;;
  esac
  said=$(LC_ALL=C mv -T --no-copy -- "$1" "$2" 2>&1) && return
  case $said in
    *ross-device*) return 2 ;;
    *nrecognized*|*nexpected*|*"nvalid option"*) ;;
    *) printf '%s\n' "$said" >&2; return 1 ;;
  esac
  if command -v perl >/dev/null; then
    perl -e 'rename $ARGV[0], $ARGV[1] or do { exit 2 if $! == 18; print STDERR "mv: cannot move \x27$ARGV[0]\x27 to \x27$ARGV[1]\x27: $!\n"; exit 1 }' "$1" "$2"
  elif [ -n "$plain" ] && [ "$(stat -c %d -- "$1")" = "$(stat -c %d -- "${2%/*}/.")" ]; then mv -T -- "$1" "$2"
  else return 2; fi
}
# wl_equal ONE COPY: true when the copy has all of it: names, kinds, modes, owners, times, names of one file, contents, attributes.
# (busybox' cp gives links a new time.)
wl_equal() { [ "$(wl_all_of "$1")" = "$(wl_all_of "$2")" ]; }
wl_all_of() {
  LC_ALL=C; export LC_ALL; x='^(user|security.capability|system.posix)'
  if [ ! -d "$1" ] || [ -L "$1" ]; then
    if [ -L "$1" ]; then stat -c '%f %u %g' -- "$1"; readlink -- "$1"; else stat -c '%f %u %g %s %Y' -- "$1"; sha256sum <"$1"; fi
    ! command -v getfattr >/dev/null || getfattr -hd -m "$x" -- "$1" 2>/dev/null | grep -v '^#'
    return
  fi
  cd -- "$1" || exit 1
  { find . -type d -exec stat -c '%f %u %g %Y %n' {} +
    find . ! -type d ! -type l -exec stat -c '%f %u %g %s %Y %n' {} +
    find . -type l -exec stat -c '%f %u %g %N' {} +
    find . -type f -exec sha256sum {} +
    find . ! -type d -links +1 -exec stat -c '%i %n' {} + | sort | awk '{ i = $1; sub(/^[^ ]* /, ""); if (i == was) print first, $0; else { was = i; first = $0 } }'
    ! command -v getfattr >/dev/null || find . -exec getfattr -hd -m "$x" {} + 2>/dev/null
  } | sort | sha256sum
}
#: keeping
# wl_keep_else SAVE: where a name in $W is on another file system, one beside the path; where it can have no other name, a copy that
# lacks nothing.
wl_keep_else() {
  kept=${p%/*}/.wl-trash-$wl_u-$1
  printf '%s' "$kept" >"$W/p/$1-was.at" || return 1
  if ln -- "$p" "$kept" 2>/dev/null || { [ ! -L "$p" ] && [ "$kept" -ef "$p" ]; }; then
    printf '%s' "$kept" >"$d.was" && k=beside; return
  fi
  rm -f "$W/p/$1-was.at"; kept=$d.was
  wl_mounts "$p"
  [ "$below" != "$at" ] || wl_refuse "$p is mounted, so nothing can take its place; unmount it first, or change what is in it by \`run\`"
  if [ ! -L "$p" ]; then wl_hold "$p" "$kept"; return; fi
  # A link of somebody else goes out of the way itself.
  cp -P -- "$p" "$kept" && [ "$(stat -c '%u %g' -- "$p")" = "$(stat -c '%u %g' -- "$kept")" ] && return
  kept=${p%/*}/.wl-trash-$wl_u-$1
  printf '%s' "$kept" >"$W/p/$1-was.at" && rm -f "$d.was" && printf '%s' "$kept" >"$d.was" && k=beside && echo beside >"$d.done" && mv -T -- "$p" "$kept"
}
# wl_hold FILE COPY: a copy of what can have no other name; refused where it would not be the same.
wl_hold() {
  cp -a -- "$1" "$2" 2>/dev/null || return 1
  [ "$(wl_bearing "$1")" = "$(wl_bearing "$2")" ] || { rm -rf -- "$2"
    [ -d "$1" ] || [ "$(stat -c %h -- "$1")" = 1 ] || wl_refuse "$1 has other names (hard links), so a copy of it could not be put back as it is; name it in no \`writes\`, or change it by a step of its own"
    wl_refuse "$1 could not be put back as it is (its mode, owner and group are $(stat -c '%a %U %G' -- "$1")); its owner may change it, or root with \`sudo: true\`"; }
}
wl_bearing() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then ( cd -- "$1" && find . -exec stat -c '%f %u %g %n' {} + | LC_ALL=C sort ); else stat -c '%f %u %g %s %Y %h' -- "$1"; fi
}
# wl_ours PATH: refuses a link by which somebody who is neither root nor this user leads to what is not their own.
wl_ours() {
  [ -L "$1" ] || return 0
  set -- "$1" "$(stat -c '%u %U' -- "$1")" "$(stat -L -c %u -- "$1")" "$2"
  case ${2%% *} in 0|"$3"|"$(id -u)") ;; *) wl_die "$1 is a link of ${2#* } to what is not theirs ($(readlink -- "$1")), so it is not followed" ;; esac
  [ -z "$4" ] || wl_led "$4" "$1"
}
# wl_capable SAVE FILE: with its owner a program loses its capabilities; they are kept.
wl_capable() {
  command -v getcap >/dev/null && [ ! -s "$W/s/$1.done" ] || return 0
  c=$(getcap -- "$2" 2>/dev/null) || c=; c=${c#"$2"}; c=${c# =}; wl_private
  [ -z "$c" ] || echo "${c# }" >"$W/s/$1.caps" || wl_fail
}
#: sums
# wl_know FILE: which file it is (i), and its sha256 (h) when that is on record for this very file: one that was not touched since.
wl_know() {
  i=$(stat -L -c '%d:%i:%s:%.Y:%.Z' -- "$1") || exit 1
  was=; h=; r=${i#*:}; r=$wl_home/sums/${i%%:*}-${r%%:*}
  [ ! -f "$r" ] || [ ! -O "$r" ] || read -r was h <"$r"
  [ "$was" = "$i" ] || h=
}
# wl_learn: puts h on record for the file of wl_know. Without fractions of a second a change could go unseen.
wl_learn() {
  case $i in *.*:*.*) ;; *) return 0 ;; esac
  wl_private
  set -- "$wl_home"/sums/*; [ $# -lt 100 ] || rm -f -- "$@"
  { echo "$i $h" >"$r"; } 2>/dev/null
}
#: parts
# wl_new FILE FUNCTION ARGS: calls it with FILE as 8, an empty one that nobody but this call has made; false when there is none.
wl_new() { made=$1; shift; set -C; { set +C; "$@" 2>&9; } 9>&2 2>/dev/null 8>"$made"; }
# wl_part SHA256 SIZE FILE: what an earlier connection left in FILE makes room; of a large one it is kept, as a copy: that
# connection's shell may still be writing.
wl_part() {
  if [ "$2" -ge 1048576 ] && [ -s "$3" ] && [ -f "$3" ] && [ ! -L "$3" ] && [ -O "$3" ]; then
    wl_private; cp -- "$3" "$W/p/$1" 2>/dev/null || rm -f "$W/p/$1"
  fi
  rm -f -- "$3"
}
# wl_fetch SAVE SHA256 SIZE FILE: asks for a file's bytes; of a large one, for those that have not arrived by an earlier connection.
wl_fetch() {
  [ "$3" -ge 1048576 ] || { wl_need "$3" "$4"; return; }
  part=$W/p/$2
  if [ -s "$part" ]; then
    wl_hash "$part"; has=$(stat -c %s "$part") || exit 1
    printf '\n%s %s need %s %s\n' "$wl_k" "$wl_n" "$has" "$h"
    read -r from || exit 74 # 0 when the controller has another beginning
    [ "$from" = 0 ] || cat "$part" >&8 || exit 74
    rm -f "$part"; head -c "$(($3-from))" >&8 || exit 74
    wl_flush "$4"
  else wl_need "$3" "$4"; fi
}
# wl_begin SAVE FILE: keeps the name of a file that will stay when this shell ends, before there is one: for as long as the run
# lasts, since a cut connection and a whole file look the same here.
wl_begin() { wl_private; printf '%s' "$2" >"$W/p/$1.at" || wl_fail; }
# wl_whole SAVE SIZE FILE: ends here when FILE was cut off. Another connection may be at it by now: it is left to that one's
# wl_part, or to the end of the run, and nothing is made for a run that has been forgotten.
wl_whole() {
  has=$(stat -c %s "$3") || exit 1
  [ "$has" = "$2" ] || { { printf '%s' "$3" >"$W/p/$1.at"; } 2>/dev/null || rm -f -- "$3"; exit 74; }
}
#: put
# wl_swept: at the end of a call, what it has not put into place goes, and others may edit.
wl_swept() { [ -z "$wl_t$wl_edits" ] || rm -f -- ${wl_t:+"$wl_t"} ${wl_edits:+"$wl_edits"}; }
# wl_put SAVE PATH SHA256 SIZE MODE OWNER GROUP VALIDATE SHOW [CONTENT]: a file with that content. Without CONTENT it is asked for.
wl_put() {
  wl_path "$2"; wl_parent
  [ -L "$p" ] && wl_die "$p is a symbolic link (to $(readlink "$p")), not a file; remove the link first, or name its target"
  [ -d "$p" ] && wl_die "$p is a directory, not a file"
  [ ! -e "$p" ] || [ -f "$p" ] || wl_odd
  old=
  if [ -f "$p" ]; then
    # Of a large file, its size and what is on record are asked first.
    if [ "$4" -lt 262144 ]; then wl_hash "$p"
    else
      wl_know "$p"; q=${i#*:*:}
      if [ "${q%%:*}" != "$4" ]; then h=none
      elif [ -z "$h" ]; then wl_hash "$p"; [ "$h" != "$3" ] || wl_learn; fi
    fi
    if [ "$h" = "$3" ]; then
      wl_differs "$5" "$6" "$7" "$p" || wl_same "$1"
      wl_set "$1" "$5" "$6" "$7" "$p"; echo changed; exit 0
    fi
    old=$(stat -c '%s %a %u %g' -- "$p") || exit 1
    size=${old%% *}; old=${old#* }
  fi
  m=${5:-${old%% *}}; o=$6; g=$7; old=${old#* }
  t=$dir/.wl-$wl_u-$1; wl_private
  { [ ! -e "$t" ] && [ ! -L "$t" ]; } || wl_part "$3" "$4" "$t"
  [ -z "$8" ] || u=$(umask)
  # What has arrived of a large one stays, to be gone on with.
  if [ $# -lt 10 ] && [ "$4" -ge 1048576 ]; then wl_begin "$1" "$t"; else wl_t=$t; trap wl_swept EXIT; fi
  if [ -n "$m" ]; then umask 077; else umask 022; fi
  wl_new "$t" wl_fill "$@" || { set +C; wl_die "no new file can be made in $dir (no permission, or no space)"; }
  if [ $# -lt 10 ]; then
    wl_hash "$t"
    [ "$h" = "$3" ] || { wl_whole "$1" "$4" "$t"; rm -f "$t"; wl_die "$p arrived with sha256 $h, expected $3"; }
  fi
  wl_t=$t; wl_dress "$m" "$o" "$g" "$old"
  if [ -n "$8" ]; then
    out=$(umask "$u"; sh -c "$8" windlass-validate "$t" </dev/null 2>&1) || { rm -f "$t"; wl_die "the new $p does not pass \`validate\`:$LF$out"; }
  fi
  wl_keep "$1"; wl_makes file "$3"
  # What only its owner may read is shown to nobody.
  if [ -z "$9" ] || [ "${m%00}" != "$m" ]; then echo changed
  elif [ "$k" = absent ]; then echo made
  elif [ "$size" -le 65536 ]; then echo replaced; cat "$kept"
  else echo changed; fi
  mv -fT -- "$t" "$p" || { rm -f "$t"; exit 1; }
  wl_t=
  [ "$4" -lt 262144 ] || { wl_know "$p"; h=$3; wl_learn; }
}
# wl_fill: the words of wl_put. $t, open as 8, gets its content.
wl_fill() {
  if [ $# -ge 10 ]; then { printf '%s' "${10}" >&8 && wl_flush "$t"; } || { rm -f "$t"; exit 74; }
  # What is too small to be gone on with does not stay.
  else ( wl_fetch "$1" "$3" "$4" "$t" ) || { c=$?; [ "$4" -ge 1048576 ] || rm -f -- "$t"; exit $c; }; fi
}
#: edit
# wl_edit BEFORE PUT-ARGS...: wl_put, unless what is there is by now neither BEFORE nor what it would make. One at a time on this host, so
# that nobody's change is lost between the look and the rename.
wl_edit() {
  before=$1; shift; wl_path "$2"
  wl_standing; [ "$h" = "$3" ] || { wl_private; wl_only_one; wl_standing; }
  case $h in "$before"|"$3") ;; *) echo overtaken; exit 0 ;; esac
  wl_put "$@"
}
wl_standing() { h=absent; [ ! -f "$p" ] || wl_hash "$p"; }
# wl_only_one: waits until no other shell edits, and keeps others waiting until this call ends. Who keeps them waiting is in the link.
wl_only_one() { # [NAME TWENTIETHS]: of an edit, or of what is named so; how long it waits at most
  set -- "${1:-edit}" "${2:-600}"; wl_born $$; i=0
  until ln -sT -- "$$.$b0" "$wl_home/$1" 2>/dev/null; do
    i=$((i+1)); [ $i -lt "$2" ] || wl_die "another one is at work on this host for too long: $wl_home/$1 is kept by $(readlink -- "$wl_home/$1")"
    o=$(readlink -- "$wl_home/$1") || continue
    if wl_born "${o%%.*}" && [ "$b0" = "${o#*.}" ]; then sleep 0.05
    else mv -T -- "$wl_home/$1" "$wl_home/$1-$$" 2>/dev/null && rm -f -- "$wl_home/$1-$$"; fi
    wl_born $$
  done
  wl_edits=$wl_home/$1; trap wl_swept EXIT
}
#: dress
# wl_dress MODE OWNER GROUP OLD: gives the new file $t a mode, an owner and a group, else those in OLD (of the file $p that it is for).
# A link that somebody else put there is not followed.
wl_dress() {
  [ ! -L "$t" ] || wl_die "$t was replaced by a link"
  # What root writes stays whose it was.
  if [ -n "$2" ]; then set -- "$1" "$2" "$3" "$4"
  elif [ -n "$4" ] && [ -O "$t" ] && ! [ -O "$p" ]; then set -- "$1" "${4% *}" "$3" "$4"; fi
  [ -z "$2" ] || chown -h -- "$2" "$t" || { rm -f -- "$t"; exit 1; }
  if [ -n "$3" ]; then chgrp -h -- "$3" "$t" || { rm -f -- "$t"; exit 1; }
  elif [ -n "$4" ] && ! { [ -G "$p" ] && [ -G "$t" ]; }; then
    # Who is not root cannot give a file to a group of others.
    chgrp -h -- "${4#* }" "$t" 2>/dev/null || [ "$(id -u)" != 0 ] || { rm -f -- "$t"; exit 1; }
  fi
  [ -z "$1" ] || { [ ! -L "$t" ] && wl_mode "$1" "$t"; } || { rm -f -- "$t"; exit 1; }
}
#: looks
wl_content() { # PATH LIMIT
  wl_path "$1"
  [ -e "$p" ] || wl_die "$p is not there"
  [ -f "$p" ] || wl_die "$p is not a file"
  s=$(stat -L -c %s -- "$p") || exit 1
  [ "$s" -le "$2" ] || wl_die "$p has $s bytes; at most $2 are read"
  cat -- "$p"
}
# wl_is FORMAT: what stat says of $p, in is; false when nothing is there. What cannot be looked at is not absent.
wl_is() {
  is=$(LC_ALL=C stat -c "$1" -- "$p" 2>&1) && return 0
  case $is in *"No such file"*|*"Not a directory"*|*"Too many levels"*) return 1 ;; *) wl_die "${is#*: }" ;; esac
}
wl_digest() { wl_path "$1"; if ! wl_is %F || { [ -L "$p" ] && [ ! -e "$p" ]; }; then echo none; exit 0; fi; [ -f "$p" ] || wl_die "$p is not a file"; wl_hash "$p"; echo "$h"; }
wl_stat() {
  wl_path "$1"; wl_is '%f %s %Y %u %g %U/%G' || { echo none; exit 0; }
  echo "$is"; [ ! -L "$p" ] || readlink -- "$p"
}
wl_list() { # PATTERN; a pattern that matches nothing gives nothing
  case $1 in "~") cd "$HOME" || exit 1; g=.; b= ;; "~/"*) cd "$HOME" || exit 1; g=${1#"~/"}; b=$HOME/ ;; *) g=$1; b= ;; esac
  if [ "$g" = . ]; then printf '%s\0' "$HOME"; exit 0; fi
  IFS=; for f in $g; do if [ -e "$f" ] || [ -L "$f" ]; then printf '%s%s\0' "$b" "$f"; fi; done
}
#: files
wl_mkdir() { # SAVE PATH MODE OWNER GROUP
  wl_path "$2"
  if [ -d "$p" ]; then
    wl_differs "$3" "$4" "$5" "$p" || wl_same "$1"
    wl_set "$1" "$3" "$4" "$5" "$p"; echo changed; exit 0
  fi
  if [ -e "$p" ] || [ -L "$p" ]; then wl_die "$p is there, and is not a directory"; fi
  goal=$p; q=$p
  while u=${q%/*}; [ -n "$u" ] && [ ! -e "$u" ]; do q=$u; done
  p=$q; wl_keep "$1"; p=$goal; wl_makes directory
  mkdir -p -- "$p" && wl_attributes "$3" "$4" "$5" "$p" && echo changed
}
wl_link() { # SAVE PATH TARGET
  wl_path "$2"; wl_parent
  if [ -L "$p" ]; then [ "$(readlink -- "$p"; echo .)" != "$3$LF." ] || wl_same "$1"
  elif [ -d "$p" ]; then wl_die "$p is a directory, not a link; move it away first"
  elif [ -e "$p" ]; then wl_die "$p is a file, not a link; remove it first"; fi
  if [ ! -L "$p" ]; then wl_keep "$1"; wl_makes link "$3"; ln -sT -- "$3" "$p" && echo changed; exit; fi
  t=$dir/.wl-$wl_u-$1; wl_private; wl_t=$t; [ ! -L "$t" ] || rm -f "$t"
  ln -sT -- "$3" "$t" || exit 1
  wl_keep "$1"; wl_makes link "$3"
  wl_over "$t" "$p" && echo changed
}
wl_rename() { # SAVE FROM TO
  wl_path "$3"; to=$p; wl_parent; wl_path "$2"
  if [ ! -e "$p" ] && [ ! -L "$p" ]; then
    if [ -e "$to" ] || [ -L "$to" ]; then wl_same "$1"; fi
    wl_die "$p is not there"
  fi
  if [ -e "$to" ] || [ -L "$to" ]; then
    [ -e "$W/s/$1.moved" ] || wl_die "$to is there already"
    wl_gone "$p" && echo changed; exit
  fi
  [ ! -d "$p" ] || [ -L "$p" ] || case $(cd -P -- "$dir" && pwd)/ in "$(cd -P -- "$p" && pwd)"/*) wl_die "$p cannot go into itself, $to" ;; esac
  wl_lies "$to"; to=$lies; wl_announce "$1"
  wl_away "$1" "$to"
}
# wl_announce SAVE: leaves word of where it goes, $to, for runs of others, and looks at theirs.
wl_announce() {
  d=$W/s/$1; [ ! -s "$d.done" ] || return 0
  wl_private; printf '%s' "$to" >"$d.to" || wl_fail
  from=$p p=$to; wl_claim file; p=$from
}
# wl_away SAVE TO: $p goes there; until it is whole there, it stays.
wl_away() {
  wl_unmounted "$p"
  wl_note "$1" moved "$2"; wl_makes absent; wl_t=${2%/*}/.wl-$wl_u-$1
  wl_shift "$p" "$2" "$wl_t" && echo changed
}
wl_remove() { # SAVE PATH
  wl_path "$2"
  [ -e "$p" ] || [ -L "$p" ] || wl_same "$1"
  case $p in */.|*/..) wl_die "refuses to remove $p: call the directory by its own name" ;; */*[!/]*) ;; *) wl_die "refuses to remove $p" ;; esac
  case $HOME/ in "$p"/*) wl_die "refuses to remove $p, in which the home directory $HOME lies" ;; esac
  o=${p%/*}/.wl-trash-$wl_u-$1; wl_trash "$1"
  # Sent twice, with something new there meanwhile: what was there at first is in the trash already.
  if [ -e "$o" ] || [ -L "$o" ]; then wl_gone "$p" && echo changed; exit; fi
  wl_away "$1" "$o"
}
# wl_trash SAVE: refuses a trash $o that this step did not make: only its own save says that it did.
wl_trash() {
  wl_lies "$o"; o=$lies
  [ -s "$W/s/$1.done" ] || { [ ! -e "$o" ] && [ ! -L "$o" ]; } || wl_die "$o is there, and this step did not make it; move it away first"
}
wl_chmod() { # SAVE PATH MODE OWNER GROUP
  wl_path "$2"
  [ -e "$p" ] || wl_die "$p is not there"
  wl_differs "$3" "$4" "$5" "$p" || wl_same "$1"
  wl_set "$1" "$3" "$4" "$5" "$p"; echo changed
}
#: archives
wl_wanted() { [ -z "$1" ] || [ "$h" = "$1" ] || wl_die "$a has sha256 $h, expected $1"; }
wl_unpack() { # SAVE ARCHIVE DIRECTORY STRIP SHA256; an empty SHA256 is any
  wl_path "$2"; a=$p; wl_path "$3"; wl_parent
  [ -f "$a" ] || wl_die "the archive $a is not there"
  wl_know "$a"
  if [ -d "$p" ] && [ -f "$p/.windlass-unpacked" ]; then
    read -r was strip it <"$p/.windlass-unpacked"
    [ "$strip $it" != "$4 $i" ] || { [ -n "$5" ] && [ "$was" != "$5" ]; } || wl_same "$1" # the very file that was unpacked
    [ -n "$h" ] || wl_hash "$a"
    wl_wanted "$5"; [ "$was $strip" != "$h $4" ] || wl_same "$1"
  elif [ -d "$p" ]; then
    [ -z "$(ls -A "$p")" ] || wl_die "$p holds files that no unpack put there; an archive is unpacked into a directory of its own"
  elif [ -e "$p" ] || [ -L "$p" ]; then wl_die "$p is there, and is not a directory"; fi
  [ -n "$h" ] || wl_hash "$a"
  wl_wanted "$5"
  o=$dir/.wl-trash-$wl_u-$1; wl_trash "$1"; wl_unmounted "$p"
  t=$dir/.wl-$wl_u-$1; wl_private; wl_t=$t; wl_gone "$t"
  umask 022; mkdir -m 755 "$t" || exit 1
  if [ "$4" = 0 ]; then tar -xof "$a" -C "$t" </dev/null; else tar -xof "$a" -C "$t" --strip-components="$4" </dev/null; fi ||
    { wl_gone "$t"; wl_die "$a could not be unpacked; is it a tar archive, whole, and is its packer (gzip, xz, zstd, bzip2) on this host?"; }
  # What the archive says of ./ is said of where it was packed.
  chmod 00755 "$t" || exit 1
  f=$t/.windlass-unpacked; [ ! -e "$f" ] && [ ! -L "$f" ] || rm -rf "$f" # an archive may hold a link of that name
  echo "$h $4 $i" >"$t/.windlass-unpacked" || { wl_gone "$t"; exit 1; }
  if [ ! -d "$p" ]; then wl_keep "$1"; wl_holds "$t"; wl_makes unpacked "$h $4"
  elif [ -e "$o" ]; then wl_gone "$p" || exit 1
  else wl_note "$1" moved "$o"; wl_holds "$t"; wl_makes unpacked "$h $4"; wl_shift "$p" "$o" "$t-old" || exit 1; fi
  mv -T -- "$t" "$p" && echo changed
}
#: commands
# wl_exec RECEIPT LIMIT SECONDS DIRECTORY STDIN-SIZE BODY [AFTER]: BODY as a script of its own, away from this connection;
# nothing when the command with the receipt AFTER never began.
wl_exec() {
  x=$W/x/$1
  [ -z "$7" ] || wl_calm
  if [ -n "$7" ] && [ ! -e "$W/x/$7.started" ]; then echo "0"; exit 0; fi
  if [ ! -e "$x.started" ]; then
    # What it puts back may be a file of a service that was restarted before.
    [ -z "$7" ] || for f in "$W"/s/u-*.back; do [ ! -e "$f" ] || rm -f -- "$f"; done
    wl_private
    # Names of its own until it is claimed: another connection's shell may be at the same.
    body=$x.body-$$-$wl_n
    printf '%s' "$6" >"$body" || exit 74
    in=/dev/null
    if [ "$5" != 0 ]; then
      in=$x.in-$$-$wl_n; wl_need "$5" "$in" 8>"$in" || exit 74
      [ "$(stat -c %s "$in")" = "$5" ] || exit 74 # the connection was cut: a part is not what it is to read
    fi
    case $4 in '') at=$HOME; [ -d "$at" ] || at=/ ;; *) wl_path "$4"; at=$p ;; esac
    cd -- "$at" || exit 1
    printf '' >>"$x.out" && printf '' >>"$x.err" || exit 1
    b=
    read -r b 2>/dev/null </proc/sys/kernel/random/boot_id; echo "$b" >"$x.boot" && printf %4096s x >"$x.room" || exit 1
    wl_watched ran "$1"
    set -C; { echo >"$x.started"; } 2>/dev/null || { set +C; [ -e "$x.started" ] || exit 1; wl_await "$2"; exit; }; set +C
    setsid sh -c '
      x=$1; { read -r _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ b _ </proc/$$/stat; } 2>/dev/null
      echo $$ $b >"$x.pid" || exit 1
      [ "$2" = 0 ] || {
        ( trap "kill \$s; exit" TERM; sleep "$2" & s=$!; wait $s; trap "" TERM
          [ -s "$x.code" ] || { echo >"$x.over"; kill -TERM -$$; i=0; while [ $i -lt 10 ] && kill -0 "$(cat "$x.child")"; do sleep 0.2; i=$((i+1)); done; kill -KILL -$$; }
        ) >/dev/null 2>&1 </dev/null & clock=$!
      }
      trap : TERM
      sh "$5" <"$3" >>"$x.out" 2>>"$x.err" &
      echo $! >"$x.child"; wait $!; c=$?
      # on a disk that the command has filled: what nobody will read makes room
      { echo $c >"$x.code"; } 2>/dev/null || {
        : >"$x.room"; echo $c >"$x.code"
        for f in "$x.out" "$x.err"; do [ "$(stat -c %s "$f")" -le "$4" ] || dd if=/dev/null of="$f" bs="$4" seek=1; done
      }
      [ "$2" = 0 ] || kill "$clock" 2>/dev/null
    ' windlass-run "$x" "$3" "$in" "$2" "$body" </dev/null >/dev/null 2>&1 &
    wait $!
  fi
  wl_await "$2"
}
# wl_exec_keeping COUNT (SAVE PATH)... EXEC-ARGS: the same, after a copy of each PATH was kept: a command writes into files that
# are there, so another name of the file would change with it.
wl_exec_keeping() {
  left=$1; shift
  while [ "$left" -gt 0 ]; do wl_path "$2"; wl_keep_copy "$1"; shift 2; left=$((left-1)); done
  wl_exec "$@"
}
wl_keep_copy() { # SAVE
  wl_watched saved "$1"; d=$W/s/$1
  [ ! -s "$d.done" ] || return 0
  if [ ! -e "$p" ] && [ ! -L "$p" ]; then
    # the parents that it makes go with it
    while u=${p%/*}; [ -n "$u" ] && [ ! -e "$u" ] && [ ! -L "$u" ]; do p=$u; done
    wl_keep "$1"; return 0
  fi
  [ -f "$p" ] || [ -d "$p" ] || [ -L "$p" ] || wl_odd
  wl_private
  wl_unmounted "$p"
  printf '%s' "$p" >"$d.path" || wl_fail
  wl_real; wl_claim file
  rm -rf "$d.was"; wl_hold "$p" "$d.was" && echo copy >"$d.done" || exit 1
}
# wl_peek RECEIPT OUT ERR LIMIT: what a command printed from those bytes on, while it runs.
wl_peek() {
  x=$W/x/$1
  [ ! -s "$x.out" ] || tail -c "+$2" "$x.out" | head -c "$4"
  [ ! -s "$x.err" ] || tail -c "+$3" "$x.err" | head -c "$4" >&2
}
# Waits for a command that an earlier connection left behind, then tells how it ended.
wl_await() {
  n=0
  while [ ! -s "$x.code" ]; do
    b=; read -r b 2>/dev/null </proc/sys/kernel/random/boot_id; read -r w <"$x.boot"
    [ "$b" = "$w" ] || { echo rebooted; exit 75; }
    q=; s=; [ ! -s "$x.pid" ] || read -r q s <"$x.pid"
    if [ -n "$q" ] && ! wl_lives "$q" "$s" && [ ! -s "$x.code" ]; then [ -e "$x.over" ] || { echo vanished; exit 75; }; break; fi
    # One that never said who it is did not begin, or not so that anybody could know.
    [ -n "$q" ] || { n=$((n+1)); [ $n -lt 100 ] || { echo vanished; exit 75; }; }
    sleep 0.1
  done
  if [ -e "$x.over" ]; then
    # Nothing of it may go on while its changes are undone.
    c=over; read -r q s <"$x.pid"; while wl_kin "$q" "$s"; do sleep 0.1; done
  else read -r c <"$x.code"; fi
  wl_tell "$1"
}
# wl_tell LIMIT: how a command ended (c), and what it said.
wl_tell() {
  echo "$c"
  [ ! -s "$x.out" ] || head -c "$1" "$x.out"; [ ! -s "$x.err" ] || head -c "$1" "$x.err" >&2
  [ ! -e "$x.room" ] || [ -s "$x.room" ] || echo "the disk was full when it ended: No space left on device (where $W is)" >&2
}
wl_sweep() { [ $# -lt 40 ] || rm -f -- "$@"; }
# The same for a command that only looks: nothing of it stays, and without a clock it needs no receipt.
wl_probe() { # RECEIPT LIMIT SECONDS DIRECTORY STDIN-SIZE BODY
  if [ "$3:$5" != 0:0 ] || [ ${#6} -gt 100000 ]; then r=$1-$$-$wl_n; x=$W/x/$r; shift; ( wl_exec "$r" "$@" ); c=$?; rm -f "$x".*; exit $c; fi
  # Names of their own, since what a look left running may go on writing. They are removed a few at a time.
  x=$W/x/p$$-$wl_n; wl_sweep "$W/x/p$$-"*
  wl_private; printf '' >"$x.out" && printf '' >"$x.err" || exit 1
  case $4 in '') at=$HOME; [ -d "$at" ] || at=/ ;; *) wl_path "$4"; at=$p ;; esac
  cd -- "$at" || exit 1
  # In a file: arguments can be read by everybody.
  printf '%s' "$6" >"$x.body" || exit 1
  sh "$x.body" </dev/null >"$x.out" 2>"$x.err"; c=$?
  wl_tell "$2"
}
#: services
wl_sc() {
  command -v systemctl >/dev/null || wl_later wl_other
  if [ "$scope" = user ]; then
    [ -n "$XDG_RUNTIME_DIR" ] || { XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR; }
    systemctl --user "$@"
  else systemctl "$@"; fi
}
wl_show() { # UNIT: sets load active substate kind invocation enabled pid restarts result reload triggers
  load= active= substate= kind= invocation= triggers= reloads= enabled= pid=0 restarts=0 result= reload=no kin=
  s=$(wl_sc show --no-pager -p LoadState,ActiveState,SubState,Type,InvocationID,Triggers,CanReload,UnitFileState,MainPID,NRestarts,Result,NeedDaemonReload,RequiredBy,RequisiteOf,BoundBy,ConsistsOf,Conflicts,ConflictedBy,Requires,BindsTo,Wants,PropagatesStopTo,Upholds,OnSuccess,OnFailure -- "$1") || { c=$?; [ -d /run/systemd/system ] || wl_later wl_other; exit $c; }
  IFS=$LF; set -f
  for l in $s; do case $l in
    LoadState=*) load=${l#*=} ;; ActiveState=*) active=${l#*=} ;; SubState=*) substate=${l#*=} ;; CanReload=*) reloads=${l#*=} ;; UnitFileState=*) enabled=${l#*=} ;; MainPID=*) pid=${l#*=} ;;
    Type=*) kind=${l#*=} ;; InvocationID=*) invocation=${l#*=} ;; Triggers=*) triggers=${l#*=} ;; NRestarts=*) restarts=${l#*=} ;; Result=*) result=${l#*=} ;; NeedDaemonReload=*) reload=${l#*=} ;;
    *=) ;; *) kin="$kin ${l#*=}" ;;
  esac; done; unset IFS; set +f
}
wl_told() { echo "$1 $load $active ${enabled:-none} ${pid:-0} ${restarts:-0} ${result:-none} ${substate:-none} ${kind:-none} ${invocation:-none}"; }
wl_as_is() { if [ -s "$W/s/$1.done" ]; then wl_told changed; else d=$W/s/$1; wl_claim service " $v "; wl_told same; fi; exit 0; }
wl_status() { scope=$1; wl_show "$2"; wl_told same; }
wl_log() { # SCOPE UNIT LINES
  scope=$1; command -v journalctl >/dev/null || { [ -d /run/systemd/system ] || wl_later wl_other; return 0; }
  if [ "$scope" = user ]; then journalctl --user -u "$2" -n "$3" --no-pager -o cat 2>&1; else journalctl -u "$2" -n "$3" --no-pager -o cat 2>&1; fi
  return 0
}
# wl_act VERB UNIT: does it and sees that it stays done.
wl_act() {
  # systemd counts starts; those that a person asks for, by a deploy or by undoing one, are not what it is to stop
  wl_sc "$1" -- "$2" 2>"$W/said" || { c=$?; wl_show "$2"
    [ "$result" = start-limit-hit ] && [ "$1" != reload ] && wl_sc reset-failed -- "$2" && wl_sc start -- "$2"
  } || { cat "$W/said" >&2; ( wl_log "$scope" "$2" 15 ) >&2; exit $c; }
  case $1 in start|restart|reload) ;; *) return 0 ;; esac
  was_restarts=
  for i in 1 2 3 4; do
    sleep 0.05; wl_show "$2"
    [ -n "$was_restarts" ] || was_restarts=${restarts:-0}
    how=
    case $active:$substate in
      failed:*) how="is failed" ;;
      inactive:*) [ "$result" = success ] && wl_oneshot "$2" && return 0; how="has ended" ;;
      activating:auto-restart*) how="ends at once, and its manager tries again and again" ;;
    esac
    [ "${restarts:-0}" = "$was_restarts" ] || how="ends again and again"
    [ -z "$how" ] || { wl_log "$scope" "$2" 15 >&2; wl_die "$2 $how after its $1${result:+ ($result)}"; }
  done; return 0
}
wl_oneshot() { [ "$(wl_sc show --no-pager -p Type --value -- "$1")" = oneshot ]; }
# wl_kindred UNITS: those of them, in kin, that may be up or not; what comes with the system itself is.
wl_kindred() {
  kin=
  for one; do case $one in
    sysinit.target|basic.target|shutdown.target|umount.target|final.target|exit.target|network*.target|local-fs*.target|remote-fs*.target|nss-*.target|time-*.target) ;;
    default.target|multi-user.target|graphical.target|rescue.target|emergency.target|sockets.target|timers.target|paths.target) ;;
    -.mount|tmp.mount|var*.mount|boot*.mount|dev-*|proc-*|sys-*|run-*) ;;
    *.service|*.socket|*.timer|*.path|*.target|*.mount|*.automount|*.swap) kin="$kin $one" ;;
  esac; done
}
wl_service() { # SAVE VERB SCOPE UNIT
  scope=$3 p=$4 v=$2; wl_show "$4"
  [ ! -e "$W/s/$1.acted" ] || wl_as_is "$1" # done by this step, before its answer was lost
  [ "$reload" != yes ] && [ "$load" != not-found ] || { wl_sc daemon-reload; wl_show "$4"; }
  case $2 in
    stop|disable) [ "$load" != not-found ] || {
      [ ! -s "$W/s/$1.links" ] || { wl_units; wl_linked "$1" "$4" disable none; } # cut off before it was made known again
      wl_as_is "$1"; } ;;
    *) [ "$load" != not-found ] || wl_die "there is no service $4 on this host" ;;
  esac
  [ "$2:$reloads:$active" != reload:no:active ] || wl_die "$4 cannot reload; restart it"
  case $2:$active:$enabled in
    start:active:*|start:reloading:*|stop:inactive:*|enable:*:enabled|enable:*:static|enable:*:alias) wl_as_is "$1" ;;
    disable:*:disabled|disable:*:static|disable:*:linked*|disable:*:masked*|disable:*:*-runtime|disable:*:) wl_as_is "$1" ;;
    reload:inactive:*|reload:failed:*|restart:inactive:*|restart:failed:*) v=start ;;
  esac
  if [ "$triggers" ]; then
    case $v:$4 in start:*.socket|restart:*.socket) wl_later wl_free_socket "$v" ;; esac
    case $v in enable|disable) ;; *) ( wl_later wl_keep_ran "$1" $triggers ) || exit $? ;; esac
  fi
  case $v in enable|disable) ;; *) wl_kindred $kin; [ -z "$kin" ] || ( wl_later wl_keep_kin "$1" $kin ) || exit $? ;; esac
  was=$active
  case $active:$substate in activating:auto-restart*) was=looping ;; activating:*) was=active ;; esac
  [ ! -e "$W/s/loops-$scope-$4" ] || was=looping
  before=${enabled:-none}
  case $v:$wl_without in enable:|disable:) wl_keep_links "$1" "$4" ;; esac
  wl_note "$1" service "$scope $v $was $before"
  case $v in enable|disable) ;; *) [ -e "$W/s/u-$scope-$4" ] || {
    # Another step may have stopped or started it along with its own.
    first=; for f in "$W"/s/*.kin; do [ ! -s "$f" ] || wl_later wl_first "$4"; break; done
    echo "${first:-$was}" >"$W/s/u-$scope-$4" || exit 1
  } ;; esac
  [ "$active" != failed ] || wl_sc reset-failed -- "$4" 2>/dev/null
  case $v in
    enable|disable) wl_sc "$v" -- "$4" >&2 2>/dev/null || wl_sc "$v" -- "$4" || exit 1
      [ "$wl_without" ] || {
        wl_linked "$1" "$4" "$v" "$before" || { wl_told same; exit 0; }
        echo >"$W/s/$1.acted"; wl_told changed; exit 0
      } ;;
    # What undoing restarted before is started, or ended, by the script since.
    *) [ ! -e "$W/s/u-$scope-$4.back" ] || rm -f "$W/s/u-$scope-$4.back"
      # A look at it that met the restart of another task would take it for dead.
      wl_only_one "unit-$scope-$4" 12000; wl_act "$v" "$4"
      [ ! -s "$W/s/$1.kin" ] || ( wl_later wl_kin_after "$1" ) || exit $? ;;
  esac
  echo >"$W/s/$1.acted"
  wl_show "$4"; wl_told changed
}
#: undo
# wl_end RECEIPT: a command that still runs is ended, with all that it started.
wl_end() {
  x=$W/x/$1; q=
  [ -e "$x.started" ] && [ ! -s "$x.code" ] && [ -s "$x.pid" ] || { echo same; exit 0; }
  b=; read -r b 2>/dev/null </proc/sys/kernel/random/boot_id; read -r w <"$x.boot"
  read -r q s <"$x.pid"
  { [ "$b" = "$w" ] && wl_kin "$q" "$s"; } || { echo same; exit 0; }
  echo >"$x.over"; kill -TERM -"$q"; i=0
  while wl_kin "$q" "$s"; do
    sleep 0.1; i=$((i+1)); [ $i != 20 ] || kill -KILL -"$q" 2>/dev/null
    [ $i -lt 60 ] || wl_die "the command that is to be undone does not end"
  done
  echo changed
}
# wl_alike ONE OTHER: true when both are files of the same content, mode and owner.
wl_alike() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ -f "$2" ] && [ ! -L "$2" ] || return 1
  [ "$(stat -c '%s %a %u %g' -- "$1")" = "$(stat -c '%s %a %u %g' -- "$2")" ] || return 1
  wl_hash "$1"; o=$h; wl_hash "$2"; [ "$o" = "$h" ]
}
# wl_found: what is at $p now, in now.
wl_found() {
  if [ -L "$p" ]; then now="link $(readlink -- "$p"; echo .)"; now=${now%"$LF".}
  elif [ -f "$p" ]; then wl_hash "$p"; now="file $h"
  elif [ -d "$p" ]; then now="directory "
  elif [ -e "$p" ]; then now="other "
  else now="absent "; fi
}
# wl_drifted: whether what is at $p is neither what the step has made of it (new) nor what it kept ($k, $was).
wl_drifted() {
  # Where there is nothing to compare by, what the run made goes.
  [ -s "$d.new" ] && command -v sha256sum >/dev/null || return 1
  new=$(cat "$d.new"; echo .); new=${new%.}
  wl_found
  case $k:$new in tree:tree*) [ "$3" != logins ] && wl_later wl_foreign; return ;; esac
  case $new in
    directory*) [ "$now" != "directory " ] || { [ "$3" != logins ] && wl_later wl_foreign; return; } ;;
    "$now") return 1 ;;
    unpacked*) v=; read -r v 2>/dev/null <"$p/.windlass-unpacked"; case "unpacked $v" in "$new "*) [ "$3" != logins ] && wl_later wl_foreign; return ;; esac ;;
    attributes*) IFS=' ' read -r _ m o g <"$d.new" || [ -n "$g" ]; [ "$now" = "absent " ] || wl_differs "${m#-}" "${o#-}" "${g#-}" "$p" || return 1 ;;
  esac
  case $k in
    absent) [ "$now" != "absent " ] ;;
    # Of what was copied away, the rest of the original may still be there.
    moved) [ "$now" != "absent " ] && [ -e "$d.moved" ] && { [ ! -e "$d.far" ] || [ -e "$d.cleared" ]; } && { [ -e "$was" ] || [ -L "$was" ]; } ;;
    link|file|beside) { [ -e "$was" ] || [ -L "$was" ]; } || return 1
      if [ -L "$was" ]; then [ "$now$LF." != "link $(readlink -- "$was"; echo .)" ]; else [ ! "$was" -ef "$p" ] && ! wl_alike "$was" "$p"; fi ;;
    attributes) [ "$now" = "absent " ] || [ "$(stat -L -c '%a %u %g' -- "$p")" != "$was" ] ;;
  esac
}
# wl_handed_over: whether another step of this run made $p anew on top of what this one had made of it: that one keeps what this one
# kept from now on, and nothing is left to do here.
wl_handed_over() {
  case $k in absent|file|link|beside) ;; *) return 1 ;; esac
  top=$p; there=$now
  for f in "$W"/s/*.path; do
    e=${f%.path}; q=; [ ! -s "$e.real" ] || f=$e.real
    IFS= read -r q <"$f" || [ -n "$q" ]
    [ "$e" != "$d" ] && [ "$q" = "$top" ] && [ ! -e "$e.undone" ] && read -r j 2>/dev/null <"$e.done" || continue
    q=$e.was; case $j in absent|file|link) ;; beside) q=$(cat "$e.was") ;; *) continue ;; esac
    p=$q; wl_found; p=$top
    [ "$now" = "$new" ] || [ "$k:$j" = absent:absent ] || { [ "$k" != absent ] && [ "$q" -ef "$was" ]; } || continue
    if [ "$k" = absent ]; then echo absent >"$e.done" || exit 1
    else
      if [ "$k" = beside ]; then printf '%s' "$was" >"$e.over"; else ln -f -- "$was" "$e.over" 2>/dev/null || cp -a -- "$was" "$e.over"; fi || exit 1
      if [ "$e.over" -ef "$e.was" ] && [ ! -L "$e.over" ]; then rm -f "$e.over"; else mv -fT -- "$e.over" "$e.was" || exit 1; fi
      echo "$k" >"$e.done" || exit 1
    fi
    echo directory >"$d.done" && return 0
  done
  # What this one kept was made by another step as well, and who kept that nothing was there has undone it.
  case $k:$there in absent:*) ;; *:"absent ")
    p=$was; wl_found; p=$top; made= gone=
    for f in "$W"/s/*.path; do
      e=${f%.path}; q=; [ ! -s "$e.real" ] || f=$e.real
      IFS= read -r q <"$f" || [ -n "$q" ]
      [ "$e" != "$d" ] && [ "$q" = "$top" ] || continue
      [ ! -s "$e.new" ] || [ "$(cat "$e.new")" != "$now" ] || made=1
      j=; read -r j 2>/dev/null <"$e.done"; [ "$j" != absent ] || [ ! -e "$e.undone" ] || gone=1
    done
    [ "$made$gone" != 11 ] || { echo directory >"$d.done"; return 0; } ;;
  esac
  now=$there; return 1
}
# wl_is_still WAS PATH: true when what is there is what was kept.
wl_is_still() {
  if [ -L "$1" ]; then [ -L "$2" ] && [ "$(stat -c '%u %g' -- "$1"; readlink -- "$1"; echo .)" = "$(stat -c '%u %g' -- "$2"; readlink -- "$2"; echo .)" ]
  else [ ! -L "$2" ] && { [ "$1" -ef "$2" ] || { wl_alike "$1" "$2" && [ "$(stat -c %Y -- "$1")" = "$(stat -c %Y -- "$2")" ]; }; }; fi
}
# wl_undone: leaves word that the step is undone, for whoever asks again; on a full disk, without.
wl_undone() { { echo >"$d.undone"; } 2>/dev/null; }
wl_restore() { # SAVE SURELY OVERWRITE
  wl_here; wl_calm
  d=$W/s/$1
  [ -s "$d.done" ] || { [ -z "$2" ] || wl_die "what the step kept of before is gone from $W, so it cannot be put back"; echo same; exit 0; }
  read -r k <"$d.done"; f=$d.real; [ -s "$f" ] || f=$d.path
  p=$(cat "$f"; echo .); p=${p%.}
  save=$1
  t=${p%/*}/.wl-$wl_u-$1; wl_t=$t
  # It went with the directory that it was in, which the run had made.
  case $p in /*) [ -d "${p%/*}/" ] || ! wl_later wl_went || { wl_undone; echo same; exit 0; } ;; esac
  # Tasks that changed one thing one after the other are undone side by side: who undoes first may hand over what it kept.
  case $k in absent|file|link|beside|directory) wl_only_one; read -r k <"$d.done" ;; esac
  was=
  case $k in attributes|moved|tree|service|beside) was=$(cat "$d.was"; echo .); was=${was%.} ;; file|link) was=$d.was ;; esac
  if wl_drifted "$@"; then
    [ -z "$3" ] || ! wl_handed_over || { echo changed; exit 0; }
    [ "$3" = anything ] || { printf '%s\n' "$p" "$now" "$new" "$k"; exit 78; }
  fi
  case $k in
    absent)
      if [ -e "$d.ran" ]; then read -r scope <"$d.reload"; ( wl_later wl_unit_ends "${p##*/}" ) || exit $?; fi
      wl_gone "$p" || exit 1 ;;
    directory) echo same; exit 0 ;;
    link|file|beside)
      [ -e "$was" ] || [ -L "$was" ] || { [ ! -e "$d.undone" ] || { echo changed; exit 0; }; [ -z "$2" ] || wl_die "what was kept of $p is gone from $W, so it cannot be put back"; echo same; exit 0; }
      [ ! -d "$p" ] || [ -L "$p" ] || { [ -L "$was" ] && k=link || k=file; wl_die "$p was a $k and is a directory now"; }
      # What nobody could replace is as it was; whoever asks again is told what was done.
      if wl_is_still "$was" "$p"; then [ -e "$d.undone" ] || { echo same; exit 0; }
      else
        [ -d "${p%/*}/" ] || mkdir -p -- "${p%/*}/" || exit 1
        wl_gone "$t"
        ln -- "$was" "$t" 2>/dev/null || { [ "$k" = beside ] && t=$was; } || cp -a -- "$was" "$t" || exit 1
        sync "$t" 2>/dev/null; wl_undone; wl_over "$t" "$p" || exit 1
      fi ;;
    copy)
      [ ! -e "$d.back" ] || [ -e "$d.was" ] || [ -L "$d.was" ] || { echo same; exit 0; }
      [ -e "$d.was" ] || [ -L "$d.was" ] || wl_die "what was kept of $p is gone from $W, so it cannot be put back"
      wl_alike "$d.was" "$p" && { echo same; exit 0; }
      wl_unmounted "$p"
      [ -d "${p%/*}/" ] || mkdir -p -- "${p%/*}/" || exit 1
      wl_gone "$t"
      if cp -a -- "$d.was" "$t" && wl_gone "$p"; then mv -T -- "$t" "$p" || exit 1
      else
        # no room for both: the copy itself becomes the file, and stays until it is one
        wl_gone "$t" && wl_gone "$p" && : >"$d.back" || exit 1
        wl_slide "$d.was" "$p"; c=$?
        [ $c != 2 ] || { cp -a -- "$d.was" "$p" && wl_equal "$d.was" "$p"; c=$?; }
        [ $c = 0 ] || exit 1
      fi ;;
    attributes)
      # What nobody could change is as it was.
      if [ "$(stat -L -c '%a %u %g' -- "$p")" = "$was" ] && [ ! -s "$d.caps" ]; then
        [ -e "$d.undone" ] || { echo same; exit 0; }
      else wl_undone; fi
      set -- $was; h=; [ -L "$p" ] || h=-h
      chown $h -- "$2:$3" "$p" 2>/dev/null; wl_mode "$1" "$p" || exit 1
      [ ! -s "$d.caps" ] || { read -r was <"$d.caps"; setcap "$was" "$p"; } || exit 1 ;;
    moved)
      # Until it was whole elsewhere, it stayed where it was.
      if [ ! -e "$d.moved" ] && { [ -e "$p" ] || [ -L "$p" ]; }; then [ ! -e "$d.far" ] || wl_gone "$was" || exit 1; echo same; exit 0
      elif [ -e "$was" ] || [ -L "$was" ]; then
        d=
        if [ -e "$p" ] || [ -L "$p" ]; then wl_unmounted "$p"; wl_gone "$t"; wl_slide "$p" "$t" || wl_gone "$p" || exit 1; fi
        wl_shift "$was" "$p" "$t-old" || exit 1; wl_gone "$t"; d=$W/s/$save
      elif [ ! -e "$p" ] && [ ! -L "$p" ]; then wl_die "$was, which is to be $p again, is gone"
      fi ;;
    # From here on some of it is what was there before.
    tree) wl_undone; wl_later wl_untree "$was" ;;
    service)
      u=$p; set -- $was; scope=$1
      case $2 in enable|disable) if [ -e "$d.links" ] && wl_later wl_links_back "$u"; then echo changed; exit 0; fi ;; esac
      wl_show "$u"
      case $2:$3:$4 in
        restart:active:*|*:looping:*|reload:*|stop:*|enable:*:enabled|disable:*:disabled) echo same; exit 0 ;;
        start:*|restart:inactive:*|restart:failed:*)
          # What does not run needs no stop, nor can one that has no proper unit file be stopped.
          begun=$triggers
          case $active in inactive|failed) ;; *) if [ -s "$d.kin" ]; then wl_later wl_kin_stop "$u"; else wl_sc stop -- "$u" || exit 1; fi ;; esac
          [ "$3" = failed ] || wl_sc reset-failed -- "$u" 2>/dev/null
          [ ! -e "$d.ran" ] || wl_later wl_ends $begun ;;
        enable:*:"${enabled:-none}"|disable:*:"${enabled:-none}") echo same; exit 0 ;;
        enable:*) wl_sc disable -- "$u" >&2 || exit 1 ;;
        disable:*:enabled) wl_sc enable -- "$u" 2>/dev/null || exit 1 ;;
      esac ;;
    user) wl_later wl_back_user ;;
    group) wl_later wl_back_group ;;
    packages) wl_later wl_back_packages "$1" ;;
    reboot) echo same; exit 0 ;;
    guard) wl_later wl_back_guard "$1" ;;
    *) wl_die "this Windlass does not know what '$k' is" ;;
  esac
  case $k in absent|moved) wl_undone ;; esac
  [ ! -e "$d.reload" ] || { read -r scope <"$d.reload"; wl_sc daemon-reload || exit 1; }
  # What was restarted before is restarted once more: this may be a file of it.
  for f in "$W"/s/u-*.back "$W"/s/u-*.now; do [ ! -e "$f" ] || rm -f -- "$f"; done
  echo changed
}
wl_resume() { # SAVE SECONDS [SCOPE UNIT]..: what ran when the run began runs again, on its old files; once a service
  wl_calm
  [ -s "$W/s/$1.kin" ] || { wl_resumes "$@"; exit $?; }
  end=$(wl_resumes "$@") || exit $?
  wl_later wl_kin_back "$1"
  echo $end
}
wl_resumes() {
  d=$W/s/$1
  k=; [ ! -s "$d.done" ] || read -r k <"$d.done"
  v=; [ "$k" != service ] || read -r _ v _ <"$d.was"
  # Also of one that the run did not come to, or that it only had start at boot, or not.
  case $v in ""|enable|disable) if [ "$4" ]; then wl_later wl_anew "$@"; else echo same; fi; exit ;; esac
  by=$1; u=$(cat "$d.path"); set -- $(cat "$d.was"); scope=$1
  f=$W/s/u-$scope-$u
  case $(cat "$f") in
    active) ;;
    # What its manager tried to start again and again, it tries again.
    looping) wl_sc restart -- "$u" 2>/dev/null; echo same; exit 0 ;;
    *) echo same; exit 0 ;;
  esac
  wl_only_one "unit-$scope-$u" 12000
  # Asked once more, it has done so.
  [ ! -e "$f.back" ] || { [ "$(cat "$f.back")" != "$by" ] && echo same || echo changed; exit 0; }
  wl_show "$u"; [ "$reload" != yes ] || { wl_sc daemon-reload; wl_show "$u"; }
  # Nobody can start it once more.
  [ "$load:$active" != not-found:active ] || { echo same; exit 0; }
  # Several tasks may have it restarted: systemd is not to count these.
  wl_sc reset-failed -- "$u" 2>/dev/null
  # A file may come back while it starts.
  echo "$by" >"$f.now"
  if [ "$2" = reload ] && [ "$active" = active ]; then ( wl_act reload "$u" ) || wl_act restart "$u"; rm -f "$f.now"
  elif [ "$triggers" ] && [ "$u" != "${u%.socket}" ]; then wl_later wl_socket_back "$u"
  else wl_act restart "$u"; fi
  mv -f "$f.now" "$f.back" 2>/dev/null
  echo changed
}
#: lies
# wl_lies PATH: where it lies, whatever links lead to its directory.
wl_lies() { lies=$1 here=$PWD; case $1 in /*) ! cd -P -- "${1%/*}/" 2>/dev/null || lies=${PWD%/}/${1##*/}; cd -- "$here" || exit 1 ;; esac; }
# wl_led SAVE PATH: keeps where a link at PATH itself leads, as where the step changes something.
wl_led() {
  wl_private
  [ -s "$W/s/$1.real" ] || { lies=$(readlink -f -- "$2"; echo .) && printf '%s' "${lies%"$LF".}" >"$W/s/$1.real"; } || wl_fail
}
#: held
# wl_holds DIR: keeps what the directory that takes the place of $p holds: size, time and name of each thing that is no directory.
wl_holds() { ( cd -- "$1" && find . ! -type d -exec stat -c '%s %Y %n' {} + | LC_ALL=C sort ) >"$d.held" || wl_fail; }
# wl_held DIR: the same of the names that it reads only, where they are.
wl_held() { ( cd -- "$1" && tr '\n' '\0' | xargs -0 sh -c 'for f do [ -d "$f" ] && [ ! -L "$f" ] || printf "%s\\0" "$f"; done' sh | xargs -0 stat -c '%s %Y %n' 2>/dev/null | LC_ALL=C sort ); }
#: foreign
# wl_foreign: whether the directory that the step has made, or what it has put into one, holds what was put there or changed since by
# nobody of this run; what it is then, in now. A service that the run has started may well write there.
wl_foreign() {
  # Of what is put back half, the names no longer are what was sent.
  [ "$k" != tree ] || [ ! -e "$d.undone" ] || return 1
  for f in "$W"/s/u-*; do [ ! -e "$f" ] || return 1; done
  own=$LF
  for f in "$W"/s/*.path "$W"/s/*.to; do
    e=${f%.*}.real; case $f in *.path) [ ! -s "$e" ] || f=$e ;; esac
    q=; IFS= read -r q 2>/dev/null <"$f" || [ -n "$q" ] || continue
    [ "$q" = "$p" ] || [ -e "${f%.*}.undone" ] || own=$own$q$LF
  done
  held=$d.held; [ -e "$held" ] || held=/dev/null
  found=$(wl_strange | while IFS= read -r f; do
    q=$p/$f
    case /$f in */.wl-*"$wl_u-"*) continue ;; esac
    while [ "$q" != "$p" ] && [ "$q" ]; do case $own in *"$LF$q$LF"*) continue 2 ;; esac; q=${q%/*}; done
    echo "$p/$f"; break
  done)
  now="holding $found"; [ "$found" ]
}
# wl_went: whether a directory above $p was made by the run, and is undone.
wl_went() {
  for f in "$W"/s/*.undone; do
    e=${f%.undone}; read -r j 2>/dev/null <"$e.done" || continue
    case $j in absent|moved) ;; *) continue ;; esac
    f=$e.real; [ -s "$f" ] || f=$e.path
    q=; IFS= read -r q <"$f" || [ -n "$q" ] || continue
    case $p in "$q"/*) return 0 ;; esac
  done; return 1
}
# wl_strange: the names of what is there now and is not as it was held.
wl_strange() {
  LC_ALL=C; export LC_ALL
  if [ "$k" = tree ]; then sed 's/^[0-9]* [0-9]* //' "$held" | wl_held "$p"
  else ( cd -- "$p" && find . -xdev ! -type d -exec stat -c '%s %Y %n' {} + 2>/dev/null | sort ); fi |
    comm -13 "$held" - | sed 's/^[0-9]* [0-9]* //; s|^\./||'
}
#: trees
# wl_tree DIR [NAMES]: what is below it, sorted, a line for each thing: kind, what it is, path; with NAMES, of those things only. In a
# link's target, spaces are \001.
wl_tree() {
  cd -- "$1" || exit 1
  if [ -n "$2" ]; then wl_kinds "$2"; else
    q=$(find . -name "*$LF*" | head -n 2)
    [ -z "$q" ] || wl_die "a name in $1 has a line break in it, so it cannot be compared: $q"
    { find . ! -path . -type d -exec stat -c 'd %a %n' {} +
      find . -type f -exec stat -c 'f %a %n' {} +
      find . -type f -exec sha256sum {} + | sed 's/^\\\{0,1\}\([0-9a-f]*\) [ *]/h \1 /'
      find . -type l -print | wl_tree_links
      find . ! -type d ! -type f ! -type l -exec printf 'x x %s\n' {} \;
    }
  fi | sort
}
# wl_kinds NAMES: the same lines for those names, where they are.
wl_kinds() {
  tr '\n' '\0' <"$1" | xargs -0 stat -c '%f %a %n' 2>/dev/null >"$x.kinds"
  sed -n 's/^4... \([0-7]* \)/d \1/p; s/^8... \([0-7]* \)/f \1/p; s/^[126c]... [0-7]* /x x /p' "$x.kinds"
  sed -n 's/^8... [0-7]* //p' "$x.kinds" | tr '\n' '\0' | xargs -0 sha256sum /dev/null | sed 's/^\\\{0,1\}\([0-9a-f]*\) [ *]/h \1 /; / \/dev\/null$/d'
  sed -n 's/^a... [0-7]* //p' "$x.kinds" | wl_tree_links
}
wl_tree_links() { while IFS= read -r l; do printf 'l %s %s\n' "$(readlink -- "$l" | tr ' ' '\001')" "$l"; done; }
# wl_lack SAVE OWNER GROUP: the paths that are in want and not so in have, or not theirs, in lack; both are listings of $p.
wl_lack() {
  x=$W/x/$1
  {
    comm -23 "$x.want" "$x.have" | cut -d' ' -f3-
    [ -z "$2$3" ] || ( cd -- "$p" && tr '\n' '\0' <"$x.names" | xargs -0 stat -c '%u/%U/%g/%G/%n' 2>/dev/null | while IFS=/ read -r u un g gn f; do
      { [ -z "$2" ] || [ "$2" = "$u" ] || [ "$2" = "$un" ]; } && { [ -z "$3" ] || [ "$3" = "$g" ] || [ "$3" = "$gn" ]; } || printf '%s\n' "$f"
    done )
  } | sort -u >"$x.lack"
}
# wl_tree_look SAVE PATH SHA256 EXTRA OWNER GROUP SIZE COUNT NAMES: whether the directory is as the listing of that digest says. Its COUNT
# names have the digest NAMES: where other names are, the listing is asked for, and what is not sent is not looked at.
wl_tree_look() {
  LC_ALL=C; export LC_ALL; wl_path "$2"
  [ -e "$p" ] || [ -L "$p" ] || { wl_parent; echo differs; exit 0; }
  [ -d "$p" ] || wl_die "$p is there, and is not a directory"
  wl_private; x=$W/x/$1
  h=$( ( cd -- "$p" && find . ! -path . ) | head -n "$(($8+1))" | sort | sha256sum)
  if [ "${h%% *}" = "$9" ]; then
    ( wl_tree "$p" ) >"$x.have" || exit 1
    wl_hash "$x.have"
    [ "$h" = "$3" ] || { echo differs; exit 0; }
    cp "$x.have" "$x.want"; cut -d' ' -f3- "$x.want" | sort -u >"$x.names"
  elif [ "$4" = delete ]; then echo differs; exit 0
  else
    wl_need "$7" "$x.want" 8>"$x.want" || exit 74
    cut -d' ' -f3- "$x.want" | sort -u >"$x.names"
    ( wl_tree "$p" "$x.names" ) >"$x.have" || exit 1
  fi
  wl_lack "$1" "$5" "$6"
  [ ! -s "$x.lack" ] || { echo differs; exit 0; }
  rm -f "$x".*; wl_same "$1"
}
# wl_tree_put SAVE PATH SHA256 EXTRA OWNER GROUP ARCHIVE-SHA256 SIZE: the archive's files, unpacked beside and put into place: as a
# whole where nothing is, else each that differs by a rename of its own.
wl_tree_put() {
  LC_ALL=C; export LC_ALL; wl_path "$2"; wl_parent
  case $p in */*[!/]*) ;; *) wl_die "refuses to fill $p" ;; esac
  t=$dir/.wl-$wl_u-$1; a=$t.tar; x=$W/x/$1; o=$dir/.wl-trash-$wl_u-$1; wl_trash "$1"
  if [ "$8" -ge 1048576 ]; then wl_begin "$1" "$a"
  else
    wl_private; wl_a=$a
    # A small one that finds no room does not take what there is.
    trap 'rm -f -- "$wl_a"' EXIT
  fi
  { [ ! -e "$a" ] && [ ! -L "$a" ]; } || wl_part "$7" "$8" "$a"
  wl_gone "$t"
  umask 077; wl_new "$a" wl_fetch "$1" "$7" "$8" "$a" || { set +C; wl_die "no new file can be made in $dir (no permission, or no space)"; }
  wl_whole "$1" "$8" "$a"
  wl_a=$a; wl_t=$t; mkdir -m 755 -- "$t" || exit 1
  tar -xompf "$a" -C "$t" </dev/null || { wl_gone "$t"; rm -f -- "$a"; wl_die "what arrived for $p cannot be unpacked"; }
  rm -f -- "$a"; wl_private
  ( wl_tree "$t" ) >"$x.want" || exit 1
  wl_hash "$x.want"; [ "$h" = "$3" ] || { wl_gone "$t"; wl_die "$p arrived with listing $h, expected $3"; }
  if [ -n "$5$6" ]; then
    chown -hR -- "$5${6:+:$6}" "$t" || { wl_gone "$t"; exit 1; }
    # a new owner takes the bits that let it act as one
    sed -n 's/^[df] \([1-7]... \)/\1/p' "$x.want" | while IFS=' ' read -r m f; do chmod -- "$m" "$t/$f" || exit 1; done || { wl_gone "$t"; exit 1; }
  fi
  if [ ! -e "$p" ] && [ ! -L "$p" ]; then
    sync; wl_keep "$1"; wl_holds "$t"; wl_makes directory; mv -T -- "$t" "$p" || exit 1
    rm -f "$x".*; echo changed; exit 0
  fi
  [ -d "$p" ] || { wl_gone "$t"; wl_die "$p is there, and is not a directory"; }
  cut -d' ' -f3- "$x.want" | sort -u >"$x.names"
  ( wl_tree "$p" "$x.names" ) >"$x.have" || exit 1
  wl_lack "$1" "$5" "$6"; : >"$x.extra"
  if [ "$4" = delete ]; then
    [ -z "$(cd -- "$p" && find . -name "*$LF*" | head -n 1)" ] || { wl_gone "$t"; wl_die "a name in $p has a line break in it, so it cannot be compared"; }
    ( cd -- "$p" && find . ! -path . | sort | comm -13 "$x.names" - ) >"$x.extra" || exit 1
  fi
  ( wl_tree_mounts ) || { wl_gone "$t"; exit 1; }
  [ ! -L "$p" ] || wl_led "$1" "$p"
  # Other names in that directory are nobody's claim.
  [ "$4" = delete ] || sed 's|^\./||' "$x.names" >"$W/s/$1.sent" || wl_fail
  wl_note "$1" tree "$o"
  [ -d "$o" ] || mkdir -m 700 -- "$o" || exit 1
  wl_settle_all
  while IFS= read -r f; do f=${f#./}; wl_aside "$f" || exit 1; done <"$x.extra"
  sync; wl_held "$p" <"$x.names" >"$d.held" && wl_makes tree; wl_gone "$t"; rm -f "$x".*; echo changed
}
# wl_tree_mounts: refuses to put, or to remove, what is mounted in $p or lies in something mounted there.
wl_tree_mounts() {
  wl_mounts "$p"; [ -n "$below" ] || return 0
  while read -r _ _ _ _ m _; do
    case $m in "$at"/*) ;; *) continue ;; esac
    m=${m#"$at"/}
    # What only holds a mount is left as it is, unless it would go.
    while IFS= read -r f; do case ${f#./}/ in "$m"/*) wl_die "$p/$m is mounted, so nothing in it is changed; unmount it first, or leave $f out" ;; esac; done <"$x.lack"
    while IFS= read -r f; do f=${f#./}; case $f/ in "$m"/*) wl_die "$p/$m is mounted, so nothing in it is removed" ;; esac
      case $m/ in "$f"/*) wl_die "$p/$m is mounted, so $p/$f is not removed" ;; esac; done <"$x.extra"
  done </proc/self/mountinfo
}
# wl_aside NAME: what is there goes into the trash, unless it went there before.
wl_aside() {
  case /$1/ in //*|*/../*|*/./*) wl_die "refuses to move '$1' out of $p" ;; esac
  [ -e "$p/$1" ] || [ -L "$p/$1" ] || return 0
  [ ! -e "$o/$1" ] && [ ! -L "$o/$1" ] || { wl_gone "$p/$1"; return; }
  wl_above "$1" && wl_shift "$p/$1" "$o/$1" "$t/.wl-part"
}
wl_above() { case $1 in */*) mkdir -p -- "$o/${1%/*}" ;; esac; }
# wl_settle_all: each path of lack becomes what it is in the new tree; what it was is in the trash, or in .made, or in .modes, before
# that. Directories come first, then files, as many of one directory at once as fit.
wl_settle_all() {
  ( cd -- "$t" && find . ! -path . -type d ) | sort | comm -12 - "$x.lack" >"$x.lack-d"
  comm -23 "$x.lack" "$x.lack-d" >"$x.lack-f"
  wl_many "$t" "$x.lack-d" stat -c '%a %u:%g %n' >"$x.to" || return 1
  # What is a directory already only gets another mode or owner.
  : >"$x.old"; set --
  while IFS= read -r f; do f=${f#./}
    if [ -d "$p/$f" ] && [ ! -L "$p/$f" ]; then printf './%s\n' "$f" >>"$x.old"; continue; fi
    wl_aside "$f" && printf '%s\n' "$f" >>"$d.made" || exit 1
    set -- "$@" "$p/$f"; [ $# -lt 200 ] || { ( umask 077; mkdir -- "$@" ) || exit 1; set --; }
  done <"$x.lack-d"
  [ $# = 0 ] || ( umask 077; mkdir -- "$@" ) || exit 1
  wl_many "$p" "$x.old" stat -c '%a %u:%g %n' >"$x.was" || exit 1
  sed 's: \./: :' "$x.was" >>"$d.modes" || exit 1
  wl_many "$t" "$x.old" stat -c '%a %u:%g %n' >"$x.now" && wl_modes "$x.now" || exit 1
  in=; set --
  while IFS= read -r f; do f=${f#./}; u=
    case $f in */*) u=${f%/*}/ ;; esac
    [ "$u" = "$in" ] && [ $# -lt 200 ] || { wl_settle_some "$@" || exit 1; in=$u; set --; }
    if [ -L "$t/$f" ] || [ -L "$p/$f" ] || [ -d "$p/$f" ]; then wl_settle "$f" || exit 1; else set -- "$@" "${f##*/}"; fi
  done <"$x.lack-f"
  wl_settle_some "$@" && wl_modes "$x.to" || exit 1
}
# wl_many DIR NAMES COMMAND...: the command with all names of a file, in DIR.
wl_many() { [ -s "$2" ] || return 0; ( cd -- "$1" || exit 1; f=$2; shift 2; tr '\n' '\0' <"$f" | xargs -0 "$@" ); }
# wl_modes LIST: lines of mode, owner and name in $p are made true, of all that are to have the same at once.
wl_modes() {
  b= r=$1; set --
  while IFS=' ' read -r m g f; do
    [ "$m $g" = "$b" ] && [ $# -lt 200 ] || { wl_modes_some "$@" || return 1; b="$m $g"; set --; }
    [ ! -d "$p/$f" ] || [ -L "$p/$f" ] || set -- "$@" "$p/$f"
  done <"$r"
  wl_modes_some "$@"
}
wl_modes_some() {
  [ $# = 0 ] && return
  chown -- "${b#* }" "$@" && chmod -- "00${b%% *}" "$@"
}
# wl_settle NAME: a link, or what takes a link's or a directory's place.
wl_settle() {
  if [ -d "$p/$1" ] && [ ! -L "$p/$1" ]; then wl_aside "$1" && printf '%s\n' "$1" >>"$d.made"
  elif [ ! -e "$p/$1" ] && [ ! -L "$p/$1" ]; then printf '%s\n' "$1" >>"$d.made"
  elif [ ! -e "$o/$1" ] && [ ! -L "$o/$1" ]; then
    wl_above "$1" && { ln -- "$p/$1" "$o/$1" 2>/dev/null || wl_hold "$p/$1" "$o/$1"; }
  fi && wl_over "$t/$1" "$p/$1"
}
# wl_settle_some NAMES: the same for files in the directory $in, which is empty or ends in a slash.
wl_settle_some() {
  [ $# -gt 0 ] || return 0
  wl_hold_some "$@" && ( cd -- "$t/$in." && exec mv -f -- "$@" "$p/$in." )
}
wl_hold_some() {
  n=$#
  for e do
    if [ ! -e "$p/$in$e" ]; then printf '%s\n' "$in$e"; elif [ ! -e "$o/$in$e" ] && [ ! -L "$o/$in$e" ]; then set -- "$@" "$e"; fi
  done >>"$d.made"
  shift "$n"; [ $# -gt 0 ] || return 0
  wl_above "$in." || return 1
  ( cd -- "$p/$in." && exec ln -- "$@" "$o/$in." ) 2>/dev/null && return
  for e do [ "$o/$in$e" -ef "$p/$in$e" ] || ln -- "$p/$in$e" "$o/$in$e" 2>/dev/null || wl_hold "$p/$in$e" "$o/$in$e" || return 1; done
}
# wl_untree TRASH: what was made in $p goes, and what is in the trash comes back.
wl_untree() {
  o=$1; t=${o%/*}/.wl-$wl_u-${d##*/}; LC_ALL=C; export LC_ALL
  if [ -e "$d.made" ]; then
    sort -ru "$d.made" >"$d.gone"; : >"$d.empty"; set --
    while IFS= read -r f; do
      if [ -d "$p/$f" ] && [ ! -L "$p/$f" ]; then printf '%s\n' "$f" >>"$d.empty"; else set -- "$@" "$p/$f"; [ $# -lt 200 ] || { rm -f -- "$@" || exit 1; set --; }; fi
    done <"$d.gone"
    [ $# = 0 ] || rm -f -- "$@" || exit 1
    wl_many "$p" "$d.empty" rmdir -- 2>/dev/null
    rm -f "$d.made" # what stands there from now on came back
  fi
  if [ -d "$o" ]; then
    wl_unmounted "$o"; ( cd -- "$o" && find . ! -path . | sort ) >"$d.back" || exit 1
    in=; set --
    while IFS= read -r f; do
      f=${f#./} u=; case $f in */*) u=${f%/*}/ ;; esac
      [ "$u" = "$in" ] && [ $# -lt 200 ] || { wl_back_some "$@" || exit 1; in=$u; set --; }
      [ -e "$o/$f" ] || [ -L "$o/$f" ] || continue
      if [ -d "$o/$f" ] && [ ! -L "$o/$f" ] && [ -d "$p/$f" ] && [ ! -L "$p/$f" ]; then continue; fi
      if [ "$o/$f" -ef "$p/$f" ] && [ ! -L "$o/$f" ]; then continue; fi
      if [ -L "$o/$f" ] || [ -d "$o/$f" ] || [ -L "$p/$f" ] || [ -d "$p/$f" ]; then
        wl_back_some "$@" || exit 1; set --
        [ ! -d "$p/$f" ] || [ -L "$p/$f" ] || wl_gone "$p/$f" || exit 1
        if [ -d "$o/$f" ] && [ ! -L "$o/$f" ]; then wl_shift "$o/$f" "$p/$f" "$t-old"; else wl_over "$o/$f" "$p/$f"; fi || exit 1
      else set -- "$@" "${f##*/}"; fi
    done <"$d.back"
    wl_back_some "$@" || exit 1
  fi
  if [ -e "$d.modes" ]; then
    # the first is how it was
    sed '1!G;h;$!d' "$d.modes" >"$d.gone"
    while IFS=' ' read -r m g f; do [ ! -d "$p/$f" ] || { chown -- "$g" "$p/$f" 2>/dev/null; chmod -- "00$m" "$p/$f" || exit 1; }; done <"$d.gone"
  fi
  wl_gone "$o"; wl_gone "$t"
}
wl_back_some() {
  [ $# = 0 ] || ( cd -- "$o/$in." && exec mv -f -- "$@" "$p/$in." ) 2>/dev/null && return
  # What nobody could replace is as it was.
  for e do [ ! -e "$o/$in$e" ] || wl_is_still "$o/$in$e" "$p/$in$e" || mv -f -- "$o/$in$e" "$p/$in$e" || return 1; done
}
#: forget
wl_forget() { # [RECORDS HEAD]
  wl_here
  # Who only looked, and left nothing, takes nothing away: a dry run asks for no change at all.
  [ -n "$2$wl_e" ] || [ -d "$W" ] || { echo changed; exit 0; }
  late= left=
  [ -z "$2" ] || [ -z "$wl_e" ] || [ ! -d "$wl_f" ] || wl_anchor "$1 $2" 2>/dev/null || late="$1 $2"
  for f in "$W"/p/*.at; do
    [ -s "$f" ] || continue
    t=$(cat "$f"; echo .); rm -f -- "${t%.}"
  done
  for f in "$W"/s/*.done; do
    k=; [ ! -e "$f" ] || read -r k <"$f"
    case $k in moved|tree) ;; *) continue ;; esac
    t=$(cat "${f%.done}.was"; echo .); t=${t%.}
    case $t in */.wl-trash-*) ( wl_later wl_gone "$t" ) || { c=$?; [ $c != 73 ] || exit 73; left="$left $t"; } ;; esac
  done
  # What this run's user cannot delete stays known; nobody waits for a run that has ended.
  [ -z "$left" ] || { : >"$W/ended"; wl_die "what the run took away cannot be deleted:$left"; }
  set -- "$W"
  for f in "$wl_f"/[0-9]*; do [ -z "$wl_e" ] || [ ! -e "$f" ] || [ "${f##*/}" -ge "$wl_e" ] || set -- "$@" "$f"; done
  [ $# = 1 ] && [ ! -d "$W" ] || rm -rf -- "$@" || exit 1
  # There was no room, which there may be by now.
  [ -z "$late" ] || wl_anchor "$late" 2>/dev/null
  # What is known of large files stays; without that, nothing does.
  set -- "$wl_home"/sums/*
  [ ! -d "$wl_home" ] || [ -e "$1" ] || rmdir "$wl_home/sums" "$wl_home/runs" "$wl_home" 2>/dev/null
  echo changed
}
# wl_forget_run RUN: the same of a run of this ledger that has ended before.
wl_forget_run() {
  wl_w=; wl_e=
  for o in "$wl_home/runs/$1"-*; do
    l=; { [ -d "$o" ] && read -r l _ <"$o/of"; } 2>/dev/null
    [ "${l%%.*}" != "${wl_lock%%.*}" ] || ( W=$o; wl_forget ) >/dev/null || exit $?
  done
  echo changed
}
# wl_anchor "RECORDS HEAD": how the run's journal ended, for whoever asks later; of so many runs.
wl_anchor() {
  r="$wl_run $1"; set --
  [ ! -e "$wl_f/anchors" ] || while read -r l; do case $l in "$wl_run "*) ;; *) set -- "$@" "$l" ;; esac; done <"$wl_f/anchors"
  while [ $# -ge 50 ]; do shift; done
  ( umask 077; printf '%s\n' "$@" "$r" >"$wl_f/new-$$" ) && mv -f "$wl_f/new-$$" "$wl_f/anchors" || { rm -f "$wl_f/new-$$"; return 1; }
}
#: locks
wl_anchors() { [ ! -e "$wl_home/ledgers/$1/anchors" ] || cat "$wl_home/ledgers/$1/anchors"; } # LOCK
# Shows this host who holds the lock from now on.
wl_raise() {
  [ -z "$wl_e" ] || [ -e "$wl_f/$wl_e" ] || { ( umask 077; mkdir -p "$wl_f" ) && wl_fence; } || exit 1
  echo same
}
