# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# A file that nothing can take the place of: mounted, as /etc/hosts of a container, or on another file system than the home.
echo host >hosts; echo below >elsewhere; mount --bind elsewhere hosts
refused "$D/hosts is mounted" put s1 "$D/hosts" new; same wl_restore s1 ""; test "$(cat hosts)" = below; test -z "$(ls -A | grep '^\.wl-')"
# Another file system: a name beside it is kept, so that all of it comes back, and goes with the run.
mkdir fs; mount -t tmpfs tmpfs fs; printf old >fs/f; ln fs/f fs/twin; touch -d 2020-01-01 fs/f; chmod 640 fs/f
before=$(stat -c '%i %a %Y %h' fs/f)
changed put s2 "$D/fs/f" new; test "$(cat fs/f)" = new -a "$(cat fs/twin)" = old
changed wl_restore s2 surely; changed wl_restore s2 surely
test "$(cat fs/f)" = old; changed wl_forget; test "$(stat -c '%i %a %Y %h' fs/f)" = "$before"; test "$(ls -A fs)" = "$(printf 'f\ntwin')"
ln -s somewhere fs/l; changed wl_link s3 "$D/fs/l" other; changed wl_restore s3 surely; test "$(readlink fs/l)" = somewhere
