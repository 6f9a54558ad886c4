# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# Bind mounts of one file system have its device number, and still no rename crosses them.
mkdir -p a/x/y b bound; mount --bind b bound
echo 1 >a/x/y/z; ln a/x/y/z a/x/other; echo 2 >a/file
shape() { find a b -mindepth 1 -exec stat -c '%f %Y %N' {} + | sort; }
before=$(shape)
changed wl_rename s1 "$D/a/x" "$D/bound/x"; test b/x/other -ef b/x/y/z -a ! -e a/x
changed wl_restore s1 surely; test "$(shape)" = "$before"
changed wl_rename s2 "$D/a/file" "$D/bound/file"; test "$(cat b/file)" = 2 -a ! -e a/file
changed wl_restore s2 surely; test "$(shape)" = "$before"
# Cut off when the copy was whole and the original half gone: the copy comes back.
changed wl_rename s3 "$D/a/x" "$D/bound/x"; mkdir -p a/x; echo 1 >a/x/other; rm "$W/s/s3.cleared"
changed wl_restore s3 surely; test "$(shape | sed 's/ [0-9]* / /')" = "$(echo "$before" | sed 's/ [0-9]* / /')"
# Cut off before the original was touched: it stays what it is, and the copy goes.
before=$(shape); changed wl_rename s4 "$D/a/x" "$D/bound/x"; mv b/x a/x; cp -a a/x b/x; rm "$W/s/s4.moved"
same wl_restore s4 surely; test "$(shape)" = "$before"
