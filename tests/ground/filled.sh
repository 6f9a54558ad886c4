# shellcheck shell=sh disable=SC2154 # (host-side functions set variables)
# What came into a directory that the run made or filled, and was put there by nobody of the run, stops undoing; what the run's own
# steps do to it does not.
at() { find "$1" | sort | tr '\n' ' '; }
send() { # SAVE DIR FILES..: a directory with these files, which hold their names, is uploaded
  save=$1 to=$2; shift 2; rm -rf sent; mkdir sent; for f do mkdir -p "sent/$(dirname "$f")"; echo "$save" >"sent/$f"; done
  ( cd sent && find . ! -path . -type d -exec chmod 755 {} + && tar cf ../sent.tar . ) && chmod 644 sent.tar
  a=$(sha256sum <sent.tar); a=${a%% *}; n=$(stat -c %s sent.tar)
  l=$(set +eu; LC_ALL=C; export LC_ALL; wl_tree "$D/sent" | sha256sum); l=${l%% *}
  said=$( (set +eu; wl 1 wl_tree_put "$save" "$to" "$l" "" "" "" "$a" "$n") <sent.tar 2>&1) || :
  case $said in *changed*) ;; *) echo "upload $save: $said"; exit 1 ;; esac
}
# Two uploads into one place, and a mkdir of it before: the later one's undoing renames files back.
changed wl_mkdir m1 "$D/e" "" "" ""; send u1 "$D/e" f sub/g; send u2 "$D/e" f sub/g n
changed wl_restore u2 surely own; changed wl_restore u1 surely own; changed wl_restore m1 surely own; test ! -e e
# An archive with two names of one file.
mkdir rel; echo x >rel/f; ln rel/f rel/hard; echo y >rel/g; tar cf a.tar -C rel .; rm -r rel
changed wl_unpack a1 "$D/a.tar" "$D/rel" 0 ""; changed put p1 "$D/rel/f" own; changed wl_chmod c1 "$D/rel/g" 600 "" ""
changed wl_remove r1 "$D/rel/hard"
changed wl_restore r1 surely own; changed wl_restore c1 surely own; changed wl_restore p1 surely own
changed wl_restore a1 surely own; test ! -e rel
# What is undone once its directory has gone: nothing comes back.
changed wl_unpack a2 "$D/a.tar" "$D/rel" 0 ""; changed put p2 "$D/rel/g" own; changed wl_restore a2 surely own
same wl_restore p2 surely own; test ! -e rel
# The run's own trash is its own.
changed wl_mkdir m3 "$D/d" "" "" ""; changed put p3 "$D/d/flag" 1; changed wl_remove r3 "$D/d/flag"
changed wl_restore m3 surely own; test ! -e d
# Of others: what is new, what was changed, and what was moved there whole.
changed wl_mkdir m4 "$D/d" "" "" ""; mkdir theirs; echo x >theirs/old; touch -d 2020-01-01 theirs/old; mv theirs d/
refused "holding $D/d/theirs/old" wl_restore m4 surely own; refused holding wl_restore m4 surely own; changed wl_restore m4 surely anything
changed wl_unpack a5 "$D/a.tar" "$D/rel" 0 ""; echo theirs >rel/g; refused "holding $D/rel/g" wl_restore a5 surely own
changed wl_restore a5 surely anything; test ! -e rel
mkdir t; echo old >t/f; send u6 "$D/t" f; echo theirs >t/f; refused "holding $D/t/f" wl_restore u6 surely own
changed wl_restore u6 surely anything; test "$(cat t/f)" = old
# An undo that failed is no undo: what came there since is looked at as before.
changed wl_mkdir m8 "$D/held" "" "" ""; mkdir held/m; mount -t tmpfs tmpfs held/m
refused "is mounted" wl_restore m8 surely own; umount held/m; echo theirs >held/m/f
refused "holding $D/held/m/f" wl_restore m8 surely own; rm held/m/f; changed wl_restore m8 surely own; test ! -e held
# Other users of the run are not seen here.
changed wl_mkdir m7 "$D/d" "" "" ""; echo x >d/f; changed wl_restore m7 surely logins; test ! -e d
# Who fills a directory claims what is sent, and no other name in it.
mkdir conf.d; echo 1 >conf.d/other; send u9 "$D/conf.d" own sub/g
mv "$HOME/.windlass/runs/run-$wl_u" "$HOME/.windlass/runs/their-1"; echo "their.lock their 1 ada" >"$HOME/.windlass/runs/their-1/of"
changed put q1 "$D/conf.d/other" 2; refused "$D/conf.d" put q2 "$D/conf.d/own" x; refused "$D/conf.d" put q3 "$D/conf.d/sub/g" x
refused "$D/conf.d" wl_remove q4 "$D/conf.d/sub"; refused "$D/conf.d" wl_remove q5 "$D/conf.d"
