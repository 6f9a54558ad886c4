# shellcheck shell=sh disable=SC2154 # (host-side functions set variables)
# A link on the way to a file: undoing goes to where the file lay, wherever the link leads by then.
mkdir real other; echo old >real/f; echo theirs >other/f; ln -s real way
changed put s1 "$D/way/f" new
rm way; ln -s other way
changed wl_restore s1 surely; test "$(cat real/f other/f)" = "$(printf 'old\ntheirs')"
echo gone >real/g; changed wl_remove s2 "$D/real/g"; rm real/.wl-trash-*
refused "is gone" wl_restore s2 surely
# What nobody could change is as it was.
mkdir ro; mount -t tmpfs tmpfs ro; echo x >ro/f; mount -o remount,ro ro
refused "Read-only" wl_chmod s3 "$D/ro/f" 600 "" ""; same wl_restore s3 ""
changed wl_chmod s4 "$D/real/f" 600 "" ""; changed wl_restore s4 ""; changed wl_restore s4 ""
test "$(stat -c %a real/f)" = 644
# Another run's claim: on the very file, whichever way leads there; and on a unit, by each of its files.
o=$HOME/.windlass/runs/other-1; mkdir -p "$o/s"; echo "their.lock other 1 ada" >"$o/of"
claims() { printf %s "$1" >"$o/s/1.path"; echo "$2" >"$o/s/1.done"; printf %s "${3-}" >"$o/s/1.was"; }
claims "$D/other/f" file
refused "$D/other/f" put s5 "$D/way/f" new; test "$(cat other/f)" = theirs
claims "$D/way/f" file; printf %s "$D/real/f" >"$o/s/1.real"
changed put s6 "$D/other/f" new; changed wl_restore s6 surely; refused "$D/real/f" put s7 "$D/real/f" new; rm "$o/s/1.real"
mkdir -p etc/systemd/system/app.service.d; unit=$D/etc/systemd/system
claims app.service service "system restart active enabled"
refused app.service put s8 "$unit/app.service" new; refused app.service put s9 "$unit/app.service.d/x.conf" new
changed put s10 "$unit/app.socket" new
claims "$unit/app.service" file
refused app.service put s11 "$unit/app.service.d/x.conf" new
claims "$D/real/f" file
refused "$D/real/f" wl_copy s12 "$D/real/f" "$D/other/copy" "" "" ""; test ! -e other/copy
rm -r "$o"
# A link as the last part is followed by what changes what it leads to, and undoing goes there.
mkdir one two; echo 1 >one/f; echo 2 >two/f; chmod 711 two; ln -s one cur
changed wl_chmod t1 "$D/cur" 700 "" ""; rm cur; ln -s two cur
changed wl_restore t1 surely; test "$(stat -c %a one two | tr '\n' ' ')" = "755 711 "
# What is kept beside a path, or was moved, is found where it lies.
rm cur; ln -s one cur; mkdir one/d; echo x >one/d/x
changed wl_remove t2 "$D/cur/d"; changed wl_rename t3 "$D/cur/f" "$D/cur/f2"; rm cur; ln -s two cur
changed wl_restore t3 surely; changed wl_restore t2 surely; test "$(cat one/f one/d/x two/f | tr '\n' ' ')" = "1 x 2 "
rm cur; ln -s one cur; changed wl_remove t4 "$D/cur/d"; rm cur; ln -s two cur; changed wl_forget; test -z "$(find one two -name '.wl-*')"
# Where something goes is claimed as well, and a link on the way that an unfinished run has changed.
o=$HOME/.windlass/runs/other-1; mkdir -p "$o/s"; echo "their.lock other 1 ada" >"$o/of"
claims "$D/one/from" moved "$D/one/to"; printf %s "$D/one/to" >"$o/s/1.to"
refused "$D/one/to" put t5 "$D/one/to" new
claims "$D/way" link; rm "$o/s/1.to"
refused "$D/way" put t7 "$D/way/new" x; refused "$D/way" wl_copy t8 "$D/way/f" "$D/two/copy" "" "" ""
