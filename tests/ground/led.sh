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
