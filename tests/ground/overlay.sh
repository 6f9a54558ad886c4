# shellcheck shell=sh disable=SC2001,SC2010,SC2034,SC2154 # (names here are this text's own; host-side functions set and read variables)
# On an overlay a directory of the lower layer is renamed by nobody: what is moved or removed is a whole copy, and comes back whole.
mkdir -p lower/d/e upper work m kept; echo x >lower/d/e/f; ln lower/d/e/f lower/d/other; ln -s nowhere lower/d/l
mkdir lower/d/only lower/links; ln -s nowhere lower/links/l; chmod 2775 lower/d/e lower/links
mount -t overlay overlay -o "lowerdir=$D/lower,upperdir=$D/upper,workdir=$D/work" m
shape() { (cd m && find . -mindepth 1 \( -type l -o -exec stat -c '%Y %n' {} \; \) -exec stat -c '%f %h %N' {} \; | sort); }
before=$(shape)
changed wl_remove s1 "$D/m/d"; test ! -e m/d
changed wl_restore s1 surely; test "$(shape)" = "$before"
changed wl_rename s2 "$D/m/links" "$D/m/d/links"; test -L m/d/links/l -a ! -e m/links
changed wl_restore s2 surely; touch -d "@$(stat -c %Y lower/d)" m/d; test "$(shape)" = "$before"
# Without room for a copy, nothing is gone.
umount m; mkdir lower/big; head -c 300000 /dev/zero >lower/big/1; echo 2 >lower/big/2; head -c 200000 /dev/zero >fill
mount -o remount,size=600k "$D"
mount -t overlay overlay -o "lowerdir=$D/lower,upperdir=$D/upper,workdir=$D/work" m
before=$(shape)
refused "No space left" wl_remove s3 "$D/m/big"; same wl_restore s3 ""; test "$(shape)" = "$before"
