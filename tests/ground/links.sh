# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# A link that somebody else placed is not followed to what is not theirs; their own files are.
mkdir theirs; echo secret >secret; chmod 600 secret; echo own >theirs/own
chown -R 65534 theirs 2>/dev/null || exit 0 # who is root here is nobody elsewhere
ln -s ../secret theirs/l; ln -s own theirs/mine; chown -h 65534 theirs/l theirs/mine; mkdir sub; ln -s ../sub theirs/sub; chown -h 65534 theirs/sub
refused "is a link of" wl_chmod s1 "$D/theirs/l" 777 "" ""; refused "is a link of" wl_chmod s2 "$D/theirs/l" "" 65534 ""
refused "is a link of" wl_mkdir s3 "$D/theirs/sub" 700 65534 ""; refused "is a link of" wl_copy s4 "$D/theirs/l" "$D/theirs/copy" "" 65534 ""
test "$(stat -c '%a %u' secret sub | tr '\n' ' ')" = "600 0 755 0 "
changed wl_chmod s5 "$D/theirs/mine" 640 0 ""; test "$(stat -c '%a %u' theirs/own)" = "640 0"
changed wl_restore s5 surely; test "$(stat -c '%a %u' theirs/own)" = "644 65534"
# Its owner stays a link's own, and a program keeps its capabilities.
changed wl_link s6 "$D/theirs/l" elsewhere; changed wl_restore s6 surely; test "$(stat -c %u theirs/l)" = 65534
cp /bin/true prog; setcap cap_net_bind_service+ep prog 2>/dev/null || exit 0
changed wl_chmod s7 "$D/prog" "" 65534 ""; changed wl_restore s7 surely; getcap prog | grep -q cap_net_bind_service
