# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# What is mounted in a directory is nobody's to move or to remove, and is named.
mkdir -p top/in src; mount -t tmpfs tmpfs top/in; echo data >top/in/data; echo f >top/f
refused "$D/top/in is mounted" wl_remove s1 "$D/top"
refused "$D/top/in is mounted" wl_rename s2 "$D/top" "$D/other"
refused "$D/top/in is mounted" wl_remove s3 "$D/top/in"
test ! -e "$W/s/s1.done" -a ! -e "$W/s/s2.done" -a "$(cat top/in/data)" = data
changed wl_mkdir s4 "$D/new/deep" 755 "" ""
mount -t tmpfs tmpfs new/deep; echo kept >new/deep/f
refused "$D/new/deep is mounted" wl_restore s4 surely; test "$(cat new/deep/f)" = kept
umount new/deep; changed wl_restore s4 surely; test ! -e new
# One with a space in its name is found as well.
mkdir -p "sp/a b"; mount -t tmpfs tmpfs "sp/a b"; refused "is mounted" wl_remove s5 "$D/sp"; test -d "sp/a b"
# An unpack does not replace a release that something is mounted in.
echo 1 >src/f; tar -cf a.tar -C src f; mkdir -p rel/in; echo "x 0 y" >rel/.windlass-unpacked; mount -t tmpfs tmpfs rel/in
refused "$D/rel/in is mounted" wl_unpack s6 "$D/a.tar" "$D/rel" 0 ""; test -d rel/in
# Nor is a copy of it kept, for a command that writes there.
refused "$D/rel/in is mounted" wl_exec_keeping 1 s7 "$D/rel" x7 100 0 "" 0 true
