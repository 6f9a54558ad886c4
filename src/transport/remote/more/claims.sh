# Windlass, host side: whether runs of other ledgers are at work on the same things.
#: claims
# wl_claimed KIND TEXT: ends here when an unfinished run under another lock has changed what $p is, what it is in, or what is in it. What
# this step is about to change is on record before it looks, so of two at once one sees the other. A step that finds everything as asked
# (same) rests on what is at $p, and on what that is in.
wl_claimed() {
  [ "$1" != beside ] || { wl_tell_beside; return; }
  [ -n "$p" ] || return 0
  # By the name that it has, and where it lies: a link on the way may be theirs.
  mine=$p; wl_lies "$p"; [ ! -s "$d.real" ] || lies=$(cat "$d.real")
  for f in "$wl_home"/runs/*/of; do
    [ "$f" != "$W/of" ] && read -r l r since by 2>/dev/null <"$f" && [ "$l" != "$wl_lock" ] || continue
    [ ! -e "${f%of}ended" ] || continue
    case " $wl_beside " in *" $r "*) continue ;; esac
    for f in "${f%of}"s/*.path "${f%of}"s/*.to; do
      real=${f%.*}.real; [ "${f%.path}" != "$f" ] && [ -s "$real" ] || real=$f
      q=; IFS= read -r q 2>/dev/null <"$real" || [ -n "$q" ] || continue
      k=file; read -r k 2>/dev/null <"${f%.*}.done"
      p=$lies; wl_overlap "$1" "$2" || { [ "$mine" != "$lies" ] && p=$mine && wl_overlap "$1" "$2"; } || continue
      [ "$1" = same ] || rm -f -- "$d.path" "$d.real" "$d.to"; [ -z "$t" ] || rm -rf -- "$t"
      printf '%s\n' "$r" "$l" "$since" "$q" "$by"; exit 79
    done
  done
  p=$mine
}
# wl_overlap KIND TEXT: whether that change of $p and the one of $q, which is of kind $k, are about one thing.
wl_overlap() {
  case $p in
    "$q") case $1:$k in packages:*) return 1 ;; service:service) ;; *) return 0 ;; esac
      # two may restart one service
      case $2 in *" restart "*|*" reload "*) ;; *) return 0 ;; esac
      case $(cat "${f%.*}.was") in *" restart "*|*" reload "*) return 1 ;; esac; return 0 ;;
    "$q"/*) ! wl_aside_of "${f%.*}" "${p#"$q"/}" || return 1 ;;
    *) [ "$1" = same ] || ! wl_of_one_unit || return 0
      [ "$1" != same ] || return 1; case $q in "$p"/*) ! wl_aside_of "$d" "${q#"$p"/}" || return 1 ;; *) return 1 ;; esac ;;
  esac
  case $1:$k in attributes:*|*:attributes|*:directory) return 1 ;; esac
}
# wl_aside_of SAVE NAME: whether that step fills a directory, and neither sends this name nor what is above or below it.
wl_aside_of() {
  [ -e "$1.sent" ] || return 1
  while IFS= read -r sent; do case $2 in "$sent") return 1 ;; esac; case $sent in "$2"/*) return 1 ;; esac; done <"$1.sent"
}
# wl_of_one_unit: whether $p and $q are a unit and a file of it, or two files of it.
wl_of_one_unit() {
  case $p$q in */*) ;; *) return 1 ;; esac
  wl_unit_of "$p"; one=$unit; wl_unit_of "$q"
  [ "$one" ] && [ "$one" = "$unit" ]
}
wl_unit_of() { # PATH-OR-UNIT: the unit, or the template, that it is of, in unit
  unit=
  case $1 in
    */systemd/*/*.d/*) unit=${1%.d/*}; unit=${unit##*/} ;;
    */systemd/*/*.d) unit=${1%.d}; unit=${unit##*/} ;;
    */systemd/*/*.*) unit=${1##*/} ;;
    /etc/sv/?*) unit=${1#/etc/sv/}; unit=${unit%%/*}.service ;;
    /etc/init.d/*) unit=${1##*/}.service ;;
    */*) ;;
    *.*) unit=$1 ;;
  esac
  case $unit in
    *.service|*.socket|*.timer|*.path|*.target|*.mount|*.automount|*.swap|*.slice) ;;
    *) unit= ;;
  esac
  case $unit in *@*.*) unit=${unit%%@*}@.${unit##*.} ;; esac
}
# wl_tell_beside: tells which unfinished runs under other locks are at work on this host, before the first change of this one. (The
# controller takes these lines out of what the call says.)
wl_tell_beside() {
  for f in "$wl_home"/runs/*/of; do
    [ "$f" != "$W/of" ] && read -r l r since by 2>/dev/null <"$f" && [ "$l" != "$wl_lock" ] || continue
    [ -e "${f%of}ended" ] || printf '\n%s beside %s %s %s\n' "$wl_k" "$r" "$since" "$by" >&2
  done
}
