# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# An archive's ./ says nothing of where it goes, nor does the login's umask; directories that nobody may write are removed all the same.
mkdir -p src/ro src/w; echo 1 >src/ro/f; chmod 664 src/ro/f; chmod 775 src/w; chmod 4755 src/ro/f; chmod 555 src/ro; chmod 700 src
tar -cf a.tar -C src .; echo more >>src/w/g; chmod 644 src/w/g; tar -cf b.tar -C src .
modes() { stat -c '%a %n' rel rel/ro rel/ro/f rel/w rel/.windlass-unpacked | tr '\n' ' '; }
chmod 777 .
umask 077
changed wl_unpack s1 "$D/a.tar" "$D/rel" 0 ""
case $(modes) in *"755 rel 555 rel/ro "*" 644 rel/.windlass-unpacked "*) ;; *) modes; exit 1 ;; esac
changed wl_unpack s2 "$D/b.tar" "$D/rel" 0 ""; test -e rel/w/g; changed wl_restore s2 surely; test ! -e rel/w/g
changed wl_restore s1 surely; test ! -e rel
changed wl_unpack s3 "$D/a.tar" "$D/rel" 0 ""; changed wl_remove s4 "$D/rel"; changed wl_forget
test -z "$(ls -A | grep '^\.wl-')"
