# Windlass, host side: packages, by apt. Sections of the one library that prelude.sh begins.
#: packages
# wl_installed WORD...: a line +WORD for each that is installed as it says, -WORD for the others; ?WORD for one that
# another package provides.
wl_installed() {
  dpkg-query -W -f '${Package}|${Architecture}|${db:Status-Abbrev}|${Version}|${Provides}\n' | awk -F'|' -v words="$*" '
    substr($3, 2, 1) == "i" { v[$1] = v[$1] " " $4 " "; v[$1 ":" $2] = " " $4 " "
      k = split($5, provided, /, */); for (i = 1; i <= k; i++) { sub(/ .*/, "", provided[i]); other[provided[i]] = 1 } }
    END { k = split(words, w, " "); for (i = 1; i <= k; i++) {
      name = w[i]; version = ""; if (at = index(name, "=")) { version = substr(name, at + 1); name = substr(name, 1, at - 1) }
      if ((name in v) && (version == "" || index(v[name], " " version " "))) print "+" w[i]
      else print ((version == "" && (name in other)) ? "?" : "-") w[i] } }'
}
# wl_version NAME: the version that is installed, or -, in v; whole is empty when its installation was cut off.
wl_version() {
  set -- $(dpkg-query -W -f '${db:Status-Abbrev}~${Version}\n' "$1" 2>/dev/null | tr -d ' ')
  v=-; whole=1
  case ${1%%~*} in ?i) v=${1#*~} ;; ?n|?c|'') ;; *) v=${1#*~}; whole= ;; esac
}
# wl_apt WORD...: apt-get that asks nobody, keeps settings that people changed, and waits for its turn.
wl_apt_text='wl_apt() {
  LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1 \
    apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
    -o DPkg::Lock::Timeout="$wait" $extra "$@" </dev/null
}'
eval "$wl_apt_text"
# wl_apt_failed WHAT SAID: ends with what apt-get means.
wl_apt_failed() {
  first=$(printf '%s\n' "$2" | grep -m1 '^E: ' | cut -c 4-)
  case $2 in
    *"dpkg was interrupted"*) wl_die "an earlier dpkg was interrupted on this host; log in, run \`dpkg --configure -a\`, and look at what it says$LF$2" ;;
    *"Could not get lock"*) wl_die "another program uses the package manager and was not done within $wait s: $first" ;;
    *"Unable to locate package"*|*"has no installation candidate"*|*"was not found"*) wl_die "$1: $first; are its lists old? \`update: true\` fetches them$LF$2" ;;
  esac
  wl_die "$1: ${first:-apt-get failed}$LF$2"
}
# wl_plan WORD...: lines NAME BEFORE AFTER of what apt-get would do, in plan.
wl_plan() {
  said=$(wl_apt -s "$@" 2>&1) || wl_apt_failed "apt-get cannot do it" "$said"
  plan=$(printf '%s\n' "$said" | awk '
    $1 == "Inst" { before = "-"; after = $3; if ($3 ~ /^\[/) { before = substr($3, 2, length($3) - 2); after = $4 } print $2, before, substr(after, 2) }
    $1 == "Remv" || $1 == "Purg" { print $2, substr($3, 2, length($3) - 2), "-" }')
}
# wl_removes WORD...: what of the plan is removed and not among these, in others.
wl_removes() {
  others=$(printf '%s\n' "$plan" | awk -v words="$*" 'BEGIN { k = split(words, w, " "); for (i = 1; i <= k; i++) { sub(/=.*/, "", w[i]); sub(/-$/, "", w[i]); named[w[i]] = 1 } }
    NF && $3 == "-" && !($1 in named) { printf "%s ", $1 }')
}
# wl_apt_run RECEIPT WORD...: apt-get away from this connection; asked again, it waits for the one that runs.
wl_apt_run() {
  r=$1; shift
  body="wait=$wait extra='$extra'; $wl_apt_text${LF}wl_apt $* 2>&1"
  out=$(wl_exec "$r" 1048576 0 / 0 "$body" 2>&1) || wl_die "apt-get was cut off in the middle ($out); look at the host: \`dpkg --audit\`, then \`dpkg --configure -a\`"
  [ "${out%%"$LF"*}" = 0 ]
}
wl_packages() { # SAVE STATE UPDATE RECOMMENDS REMOVALS SECONDS NAME...
  save=$1 state=$2 update=$3 removals=$5 wait=$6 extra=
  case $4 in yes) extra=--install-recommends ;; no) extra=--no-install-recommends ;; esac
  shift 6
  wl_manager
  [ "$m" = apt ] || wl_die "the packages of this host are managed by $m, which Windlass does not use yet; it can use apt"
  r=$save-apt
  if [ -e "$W/x/$r.started" ] && [ ! -s "$W/x/$r.code" ]; then wl_apt_run "$r" || wl_apt_failed "apt-get failed" "$out"; fi
  act=install words=
  case $state in
    present) for w in $(wl_installed "$@"); do case $w in -*) words="$words ${w#-}" ;; esac; done ;;
    absent) act=remove; for w in $(wl_installed "$@"); do case $w in +*) words="$words ${w#+}" ;; esac; done ;;
    latest) words=" $*" ;;
  esac
  [ -n "$words" ] || wl_told_packages
  wl_root packages
  case $words in *=*) extra="$extra --allow-downgrades" ;; esac
  if [ ! -s "$W/s/$save.done" ]; then
    [ -z "$update" ] || wl_update
    wl_plan $act $words
    [ -n "$plan" ] || wl_told_packages
    wl_removes $([ $act = install ] || echo $words)
    [ -z "$others" ] || [ -n "$removals" ] ||
      wl_die "apt-get would also remove ${others% }; name them with state \"absent\" first, or allow it with \`allow_removals: true\`"
    wl_marks; p=packages; wl_note "$save" packages "$plan$LF"
  fi
  wl_apt_run "$r" $act $words || wl_apt_failed "apt-get $act failed" "$out"
  wl_told_packages
}
wl_told_packages() {
  [ -s "$W/s/$save.done" ] || { echo same; exit 0; }
  echo changed; cut -d ' ' -f 1-3,5 "$W/s/$save.was"; exit 0
}
# wl_update: the lists of what there is. Its own lock is not waited for by every apt-get.
wl_update() {
  i=0
  until said=$(wl_apt update 2>&1); do
    case $said in *"Could not get lock"*) [ $i -lt "$wait" ] && sleep 1 && i=$((i+1)) && continue ;; esac
    wl_apt_failed "the lists of packages cannot be fetched" "$said"
  done
}
# wl_marks: each line of the plan gets whether apt may remove the package by itself (auto), and whether the version of before
# is in no source any more (lost).
wl_marks() {
  names=$(printf '%s\n' "$plan" | awk '$2 != "-" { print $1 }')
  [ -n "$names" ] || return 0
  auto=" $(apt-mark showauto $names 2>/dev/null | tr '\n' ' ')" known=$(apt-cache madison $names 2>/dev/null | awk -F'|' '{ gsub(/ /, ""); print $1, $2 }')
  plan=$(printf '%s\n' "$plan" | while read -r name before after; do
    mark=manual; case $auto in *" $name "*) mark=auto ;; esac
    if [ "$before" = - ]; then echo "$name - $after"
    elif printf '%s\n' "$known" | grep -qxF "${name%%:*} $before"; then echo "$name $before $after $mark"
    else echo "$name $before $after $mark lost"; fi
  done)
}
wl_back_packages() {
  save=$1 wait=600 extra='--allow-downgrades --no-install-recommends'
  x=$W/x/$save-apt; undone=; autos=; broken=
  # What it started may still be at work.
  [ ! -e "$x.started" ] || [ -s "$x.code" ] || ( wl_await 0 ) >/dev/null 2>&1
  while read -r name before after mark _; do
    [ -n "$name" ] || continue
    wl_version "$name"
    [ -n "$whole" ] || broken=1
    [ "$v" != "$before" ] || [ -z "$whole" ] || continue
    # Somebody else has changed it since: theirs stays.
    [ "$v" = "$after" ] || [ -z "$whole" ] || continue
    if [ "$before" = - ]; then undone="$undone $name-"; else
      undone="$undone $name=$before"; [ "$mark" != auto ] || autos="$autos $name"; fi
  done <"$d.was"
  [ -n "$undone" ] || { echo same; exit 0; }
  [ -z "$broken" ] || DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a </dev/null >/dev/null 2>&1
  said=$(wl_apt -s install $undone 2>&1) || wl_lost
  wl_plan install $undone; wl_removes $undone
  [ -z "$others" ] || wl_die "putting the packages back would also remove ${others% }, which came later; put back by hand:$undone"
  wl_apt_run "$save-back-$$" install $undone || wl_apt_failed "apt-get cannot put back$undone" "$out"
  [ -z "$autos" ] || apt-mark auto $autos >/dev/null
}
wl_lost() {
  case $said in
    *"was not found"*|*"Unable to locate"*|*"has no installation candidate"*)
      wl_die "a version that was installed cannot be had back, no source of this host has it any more: $(printf '%s\n' "$said" | grep -m1 '^E: ' | cut -c 4-); wanted:$undone" ;;
  esac
  wl_apt_failed "apt-get cannot put back$undone" "$said"
}
