# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# Who is not root takes nothing away that they could not put back: files of somebody else, in a directory that they may write.
if [ -z "${again-}" ]; then
  mkdir -m 777 shared; echo theirs >shared/f; echo theirs >shared/g; ln -s old shared/l
  setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null || exit 0
  cp "$0" script; chmod 755 script "$D"; rm -rf home; mkdir -m 777 home; again=1; export again
  exec setpriv --reuid 65534 --regid 65534 --clear-groups sh script
fi
refused "" put s1 "$D/shared/f" new; same wl_restore s1 ""
mine() { wl_put "$1" "$2" "$(printf new | sha256sum | cut -d' ' -f1)" 3 "" 65534 65534 "" "" new; }
refused "could not be put back as it is" mine s2 "$D/shared/f"; same wl_restore s2 ""
refused "could not be put back as it is" wl_exec_keeping 1 s3 "$D/shared/f" x3 100 0 "" 0 true
changed wl_link s4 "$D/shared/l" new; test "$(readlink shared/l)" = new
changed wl_restore s4 surely; changed wl_restore s4 surely; test "$(readlink shared/l)" = old
changed wl_remove s5 "$D/shared/g"; changed wl_restore s5 surely
test "$(stat -c '%u %n' shared/* | tr '\n' ' ')" = "0 shared/f 0 shared/g 0 shared/l "; test -z "$(ls -A shared | grep '^\.wl-')"
