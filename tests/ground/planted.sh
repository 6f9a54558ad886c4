# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# What lies at one of our names, and is not of this step, is never written through, read, or taken for its own.
echo secret >victim; chmod 600 victim
t=$D/.wl-$wl_u-s1; ln -s victim "$t"
changed put s1 "$D/f" new; test "$(cat f)" = new -a "$(cat victim)" = secret -a ! -L f
ln -s victim ".wl-$wl_u-s2"; changed wl_copy s2 "$D/f" "$D/g" "" "" ""; test "$(cat g)" = new -a "$(cat victim)" = secret
mkdir ".wl-$wl_u-s3"; ln -s a l; changed wl_link s3b "$D/l" b; test "$(readlink l)" = b
refused "" wl_link s3 "$D/l" c; test -z "$(ls -A ".wl-$wl_u-s3")"
# A trash is this step's only when its own save says so.
mkdir d ".wl-trash-$wl_u-s4"; echo today >d/f; echo older >".wl-trash-$wl_u-s4/f"
refused "this step did not make it" wl_remove s4 "$D/d"; test "$(cat d/f)" = today; same wl_restore s4 ""
mkdir src; echo 1 >src/f; tar -cf a.tar -C src f; mkdir rel ".wl-trash-$wl_u-s5"; echo "x 0 y" >rel/.windlass-unpacked
refused "this step did not make it" wl_unpack s5 "$D/a.tar" "$D/rel" 0 ""; same wl_restore s5 ""; test -e rel/.windlass-unpacked
mkdir ".wl-trash-$wl_u-s6"; refused "this step did not make it" wl_tree_put s6 "$D/d" x "" "" "" x 5; test "$(cat d/f)" = today
# Sent twice, it goes on with its own.
changed wl_remove s7 "$D/d"; mkdir d; changed wl_remove s7 "$D/d"; changed wl_restore s7 surely; test "$(cat d/f)" = today
