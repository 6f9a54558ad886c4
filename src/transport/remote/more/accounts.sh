# Windlass, host side: users and groups. Sections of the one library that prelude.sh begins.
#: accounts
# wl_entry DATABASE NAME: its line, in e; false when there is none.
wl_entry() {
  e=
  if command -v getent >/dev/null; then e=$(getent "$1" "$2")
  else e=$(awk -F: -v n="$2" '$1 == n || $3 == n { print; exit }' "/etc/$1"); fi
  [ -n "$e" ]
}
wl_split() { IFS=:; set -f; set -- $e; unset IFS; set +f; e_uid=$3 e_gid=$4 e_comment=$5 e_home=$6 e_shell=$7; }
# wl_groups USER: the groups that name it as a member, sorted, between spaces, in gs.
wl_groups() {
  gs=$( { getent group 2>/dev/null || cat /etc/group; } | awk -F: -v n="$1" '{ k = split($4, m, ","); for (i = 1; i <= k; i++) if (m[i] == n) print $1 }' | sort | tr '\n' ' ')
  gs=" $gs"
}
wl_tools() {
  wl_root "users and groups"
  command -v useradd >/dev/null || wl_die "this host has no useradd; install the package that has it (shadow, passwd or shadow-utils)"
}
wl_user() { # SAVE NAME STATE UID GROUP GROUPS-GIVEN GROUPS ONLY SHELL HOME COMMENT-GIVEN COMMENT SYSTEM MAKE-HOME
  save=$1 n=$2 state=$3 uid=$4 group=$5 only=$8 shell=$9; shift 5
  given=$1 groups=$2; shift 4
  home=$1 commented=$2 comment=$3 system=$4 make=$5
  case $home in "~"|"~/"*) wl_path "$home"; home=$p ;; esac
  there=; ! wl_entry passwd "$n" || { there=1; line=$e; wl_split; wl_groups "$n"; }
  if [ "$state" = absent ]; then
    [ -n "$there" ] || wl_same "$save"
    [ "$e_uid" != 0 ] || wl_die "$n is the superuser; refuses to remove it"
    [ "$n" != "$(id -un)" ] && [ "$n" != "${SUDO_USER:-}" ] || wl_die "$n is who is logged in; refuses to remove it"
    wl_tools; wl_note_user
    userdel -- "$n" || exit 1
    echo changed; exit 0
  fi
  for g in $groups; do wl_entry group "$g" || wl_die "there is no group $g on this host"; done
  gid=; [ -z "$group" ] || { wl_gid "$group" || wl_die "there is no group $group on this host"; }
  if [ -z "$there" ]; then
    wl_tools
    [ -z "$uid" ] || ! wl_entry passwd "$uid" || wl_die "number $uid is taken by ${e%%:*}"
    e_home=${home:-/home/$n}; gs=' '
    line=- make_home=$make; wl_note_user
    wl_add_user || exit 1
    echo changed; exit 0
  fi
  set --
  [ -z "$uid" ] || [ "$uid" = "$e_uid" ] || set -- "$@" -u "$uid"
  [ -z "$gid" ] || [ "$gid" = "$e_gid" ] || set -- "$@" -g "$gid"
  [ -z "$shell" ] || [ "$shell" = "$e_shell" ] || set -- "$@" -s "$shell"
  [ -z "$home" ] || [ "$home" = "$e_home" ] || set -- "$@" -d "$home"
  [ -z "$commented" ] || [ "$comment" = "$e_comment" ] || set -- "$@" -c "$comment"
  # The group that is its own from now on: it needs no place in that one, and may need one in the group that was.
  primary=${gid:-$e_gid} join= leave=
  if [ -n "$given" ]; then
    for g in $groups; do case $gs in *" $g "*) ;; *) wl_gid "$g"; [ "$gid" = "$primary" ] || join="$join $g" ;; esac; done
    [ -z "$only" ] || for g in $gs; do case " $groups " in *" $g "*) ;; *) leave="$leave $g" ;; esac; done
  fi
  [ $# -gt 0 ] || [ -n "$join$leave" ] || wl_same "$save"
  wl_tools
  wl_note_user
  [ $# = 0 ] || usermod "$@" -- "$n" || exit 1
  wl_join "$n" "$join" "$leave"
  echo changed
}
wl_gid() { # NAME-OR-NUMBER: its number, in gid
  if wl_entry group "$1"; then gid=${e#*:}; gid=${gid#*:}; gid=${gid%%:*}
  else case $1 in *[!0-9]*) return 1 ;; *) gid=$1 ;; esac; fi
}
wl_join() { # USER JOIN LEAVE
  for g in $2; do usermod -aG "$g" -- "$1" || exit 1; done
  for g in $3; do gpasswd -d "$1" "$g" >/dev/null || exit 1; done
}
# wl_add_user: makes the user n with what is in uid group groups shell home comment system make.
wl_add_user() {
  own=; if [ -z "$group" ] && wl_entry group "$n"; then own=$n; fi
  set -- $groups; all=$(IFS=,; echo "$*")
  set -- useradd; [ -z "$make" ] && set -- "$@" -M || set -- "$@" -m
  [ -z "$system" ] || set -- "$@" -r
  [ -z "$uid" ] || set -- "$@" -u "$uid"
  [ -z "$group$own" ] || set -- "$@" -g "$group$own"
  [ -z "$all" ] || set -- "$@" -G "$all"
  [ -z "$shell" ] || set -- "$@" -s "$shell"
  [ -z "$home" ] || set -- "$@" -d "$home"
  [ -z "$comment" ] || set -- "$@" -c "$comment"
  # what it says of a home that is there already is no news
  said=$("$@" -- "$n" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}
# wl_note_user: keeps how n is (line, gs), and what of its things is not there yet.
wl_note_user() {
  new=; owngroup=
  if [ "$line" = - ]; then
    [ -e "$e_home" ] || [ -z "$make_home" ] || new="$new home"
    [ -e "/var/mail/$n" ] || new="$new mail"
    if wl_entry group "$n"; then owngroup=$e; else new="$new group"; fi
  fi
  hash=
  if [ "$state" = absent ]; then
    hash=$(wl_shadow)
    ! wl_entry group "$e_gid" || owngroup=$e
  fi
  p="account $n"; wl_note "$save" user "$n$LF$line$LF$gs$LF$new$LF$hash$LF$owngroup$LF$e_home$LF"
  [ "$state" != absent ] || [ -e "$d.admins" ] || wl_admin_of "$n" >"$d.admins" || wl_fail
  # Its home is the run's as well, as long as the run may take it away again.
  case "$new " in *" home "*) printf '%s' "$e_home" >"$d.to" || wl_fail ;; esac
}
wl_group() { # SAVE NAME STATE GID SYSTEM
  save=$1 n=$2 gid=$4
  there=; ! wl_entry group "$n" || { there=1; line=$e; set -- "$1" "$2" "$3" "$4" "$5" "${e#*:*:}"; }
  if [ "$3" = absent ]; then
    [ -n "$there" ] || wl_same "$save"
    wl_tools; wl_note_group
    groupdel -- "$n" || exit 1
    echo changed; exit 0
  fi
  if [ -z "$there" ]; then
    wl_tools; line=-; wl_note_group
    wl_add_group "$gid" "$5" || exit 1
    echo changed; exit 0
  fi
  [ -n "$gid" ] && [ "$gid" != "${6%%:*}" ] || wl_same "$save"
  wl_tools
  wl_note_group; groupmod -g "$gid" -- "$n" || exit 1
  echo changed
}
wl_add_group() { # GID SYSTEM
  [ -z "$1" ] || ! wl_entry group "$1" || wl_die "number $1 is taken by the group ${e%%:*}"
  gid=$1 system=$2
  set -- groupadd; [ -z "$system" ] || set -- "$@" -r
  [ -z "$gid" ] || set -- "$@" -g "$gid"
  "$@" -- "$n"
}
wl_note_group() { p="account $n"; wl_note "$save" group "$n$LF$line$LF"; [ -e "$d.admins" ] || wl_admins "$n" >"$d.admins" || wl_fail; }
# Who may change a group's members stands in a file of its own, which users and groups take with them when they go.
wl_admins() { [ ! -r /etc/gshadow ] || awk -F: -v n="$1" '$1 == n { print $3; exit }' /etc/gshadow; } # GROUP
wl_admin_of() { [ ! -r /etc/gshadow ] || awk -F: -v n="$1" '{ k = split($3, all, ","); for (i = 1; i <= k; i++) if (all[i] == n) print $1 }' /etc/gshadow; } # USER
# wl_administer GROUP USERS: those of them that there are may change its members, too.
wl_administer() {
  now=$(wl_admins "$1"); old=$now
  for one in $(IFS=,; set -- $2; echo "$@"); do
    case ",$now," in *",$one,"*) ;; *) ! wl_entry passwd "$one" || now=${now:+$now,}$one ;; esac
  done
  [ "$now" = "$old" ] || gpasswd -A "$now" "$1" >/dev/null || exit 1
}
# wl_own_group: the group that went with its user is made again.
wl_own_group() {
  [ -n "$owngroup" ] && ! wl_entry group "${owngroup%%:*}" || return 0
  # shellcheck disable=SC2030,SC2031 # the group's name is for the one call
  ( n=${owngroup%%:*}; rest=${owngroup#*:*:}; wl_add_group "${rest%%:*}" '' && wl_members "${rest#*:}" ) || exit 1
}
# shellcheck disable=SC2031
wl_members() { for g in $(IFS=,; set -- $1; echo "$@"); do ! wl_entry passwd "$g" || wl_join "$g" "$n" ''; done; }
wl_back_group() {
  { read -r n; read -r line; } <"$d.was"
  now=-; ! wl_entry group "$n" || now=$e
  [ "$now" != "$line" ] || { echo same; exit 0; }
  wl_tools
  if [ "$line" = - ]; then
    groupdel -- "$n" || exit 1
    return 0
  fi
  rest=${line#*:*:}; was_gid=${rest%%:*}; members=${rest#*:}
  if [ "$now" = - ]; then
    wl_add_group "$was_gid" '' || exit 1
    wl_members "$members"
    [ ! -s "$d.admins" ] || wl_administer "$n" "$(cat "$d.admins")"
  else groupmod -g "$was_gid" -- "$n" || exit 1; fi
}
wl_back_user() {
  { read -r n; read -r line; IFS= read -r was_gs; read -r new; read -r hash; read -r owngroup; IFS= read -r was_home; } <"$d.was"
  there=; ! wl_entry passwd "$n" || there=1
  if [ "$line" = - ]; then
    [ -n "$there" ] || { echo same; exit 0; }
    wl_tools
    said=$(userdel -- "$n" 2>&1) || wl_die "the user $n cannot be removed again: $said"
    # What the making of the user made goes with it; what was there before stays.
    for f in $new; do case $f in
      home) wl_gone "$was_home" ;;
      mail) rm -f -- "/var/mail/$n" ;;
      group) ! wl_entry group "$n" || groupdel -- "$n" || exit 1 ;;
    esac; done
    wl_own_group; return 0
  fi
  wl_tools; now_line=$e
  e=$line; wl_split
  shell=$e_shell home=$e_home comment=$e_comment uid=$e_uid group=$e_gid system='' make='' groups=''
  if [ -z "$there" ]; then
    wl_own_group
    wl_add_user || exit 1
    # What useradd takes for a wish of its own.
    wl_entry passwd "$n"; [ "$e" = "$line" ] || usermod -s "$shell" -d "$home" -c "$comment" -- "$n" || exit 1
  elif [ "$now_line" != "$line" ]; then
    usermod -u "$uid" -g "$group" -s "$shell" -d "$home" -c "$comment" -- "$n" || exit 1
  fi
  aged=; [ -z "$hash" ] || [ "$(wl_shadow)" = "$hash" ] || { wl_aged; aged=1; }
  wl_groups "$n"; join= leave=
  for g in $was_gs; do case $gs in *" $g "*) ;; *) join="$join $g" ;; esac; done
  for g in $gs; do case $was_gs in *" $g "*) ;; *) leave="$leave $g" ;; esac; done
  [ "$now_line" != "$line" ] || [ -n "$join$leave$aged" ] || { echo same; exit 0; }
  wl_join "$n" "$join" "$leave"
  [ ! -s "$d.admins" ] || while read -r g; do ! wl_entry group "$g" || wl_administer "$g" "$n"; done <"$d.admins"
  wl_entry passwd "$n"; [ "$e" = "$line" ] || wl_die "the user $n is back as $e, and was $line"
}
# wl_shadow: what the shadow file says of n: its password, and until when that and the account hold.
wl_shadow() { awk -F: -v n="$n" '$1 == n { print; exit }' /etc/shadow 2>/dev/null; }
# wl_aged: gives n what its old line of the shadow file, $hash, says. Which of it chage takes depends on its version, and one that does not
# know an option does nothing of the others: so it is asked for what all take, then for the rest, and what it leaves is written by vipw.
wl_aged() {
  e=${hash#*:}; printf '%s:%s\n' "$n" "${e%%:*}" | chpasswd -e || exit 1
  IFS=:; set -f; set -- $hash; unset IFS; set +f
  said=$(chage -d "${3:--1}" -M "${5:--1}" -W "${6:--1}" -I "${7:--1}" -E "${8:--1}" -- "$n" 2>&1)
  [ "$(wl_shadow)" = "$hash" ] || chage -m "${4:--1}" -- "$n" >/dev/null 2>&1
  [ "$(wl_shadow)" != "$hash" ] || return 0
  export n hash
  # It takes a file for unchanged that has the time which it had.
  VISUAL='wl_line() { new=$(awk -F: '"'"'$1 == ENVIRON["n"] { print ENVIRON["hash"]; next } { print }'"'"' "$1") && printf "%s\n" "$new" >"$1" && touch -t 200001010000 "$1"; }; wl_line' \
    vipw -s >/dev/null 2>&1 </dev/null
  touch /etc/shadow
  [ "$(wl_shadow)" = "$hash" ] || wl_die "the user $n is back, but not until when its password and account hold${said:+: ${said%%"$LF"*}}"
}
