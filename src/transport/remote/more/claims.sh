# Windlass, host side: whether runs of other ledgers are at work on the same things.
#: claims
# wl_claimed KIND TEXT: ends here when an unfinished run under another lock has changed what $p is, what it is in, or what is in it. What
# this step is about to change is on record before it looks, so of two at once one sees the other. A step that finds everything as asked
# (same) rests on what is at $p, and on what that is in.
wl_claimed() {
  [ -n "$p" ] || return 0
  for f in "$wl_home"/runs/*/of; do
    [ "$f" != "$W/of" ] && read -r l r since by 2>/dev/null <"$f" && [ "$l" != "$wl_lock" ] || continue
    [ ! -e "${f%of}ended" ] || continue
    case " $wl_beside " in *" $r "*) continue ;; esac
    for f in "${f%of}"s/*.path; do
      q=; IFS= read -r q 2>/dev/null <"$f" || [ -n "$q" ] || continue
      k=file; read -r k 2>/dev/null <"${f%path}done"
      wl_overlap "$1" "$2" || continue
      rm -f -- "$d.path"; [ -z "$t" ] || rm -rf -- "$t"
      printf '%s\n' "$r" "$l" "$since" "$q" "$by"; exit 79
    done
  done
}
# wl_overlap KIND TEXT: whether that change of $p and the one of $q, which is of kind $k, are about one thing.
wl_overlap() {
  case $p in
    "$q") case $1:$k in packages:*) return 1 ;; service:service) ;; *) return 0 ;; esac
      # two may restart one service
      case $2 in *" restart "*|*" reload "*) ;; *) return 0 ;; esac
      case $(cat "${f%path}was") in *" restart "*|*" reload "*) return 1 ;; esac; return 0 ;;
    "$q"/*) ;;
    *) [ "$1" != same ] || return 1; case $q in "$p"/*) ;; *) return 1 ;; esac ;;
  esac
  case $1:$k in attributes:*|*:attributes|*:directory) return 1 ;; esac
}
