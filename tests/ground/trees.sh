# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# A directory that is sent is compared with what is there of it: what somebody else keeps there is neither read nor counted.
mkdir src t; echo 1 >src/a; mkdir src/sub; echo 2 >src/sub/b; dd of=t/huge bs=1048576 seek=2000000 count=0 2>/dev/null; mkdir t/in; mount -t tmpfs tmpfs t/in; echo 3 >t/in/c
x=$W/x/want; mkdir -p "$W/x"; ( set +u; LC_ALL=C; export LC_ALL; wl_tree "$D/src" ) >list; sum=$(sha256sum <list | cut -d' ' -f1)
tar -C src -cf s.tar .; tarred=$(sha256sum <s.tar | cut -d' ' -f1)
given() { file=$1; shift; said=$(set +eu; wl 1 "$@" <"$file" 2>&1 | sed '/^$/d; /^mark /d') || :; }
look() { given list wl_tree_look "$1" "$D/t" "$sum" "" "" "" "$(stat -c %s list)" 3 "$(cd src && find . ! -path . | LC_ALL=C sort | sha256sum | cut -d' ' -f1)"; }
sent() { given s.tar wl_tree_put "$1" "$D/t" "$sum" "$2" "" "" "$tarred" "$(stat -c %s s.tar)"; }
look s1; test "$said" = differs; sent s1 ""; test "$said" = changed; look s2; test "$said" = same
test "$(cat t/a t/sub/b t/in/c)" = "$(printf '1\n2\n3')"
changed wl_restore s1 surely; test "$(ls t)" = "$(printf 'huge\nin')"
# What is mounted there does not go, and nothing is put into it.
sent s3 delete; case $said in *"$D/t/in is mounted"*) ;; *) echo "$said"; exit 1 ;; esac
test -e t/huge -a ! -e t/a -a -z "$(ls -A | grep '^\.wl-')"
mkdir src/in; echo new >src/in/c; tar -C src -cf s.tar .; tarred=$(sha256sum <s.tar | cut -d' ' -f1)
( set +u; LC_ALL=C; export LC_ALL; wl_tree "$D/src" ) >list; sum=$(sha256sum <list | cut -d' ' -f1)
sent s4 ""; case $said in *"$D/t/in is mounted"*) ;; *) echo "$said"; exit 1 ;; esac
test "$(cat t/in/c)" = 3 -a ! -e t/a
