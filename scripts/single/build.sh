#!/bin/sh
# Builds the releases 1.0 and 1.1 of hello, and 1.2, which is broken, into build/. Your own build takes this place: what counts is a
# directory with everything that a release needs.
set -eu
cd "$(dirname "$0")"
for version in 1.0 1.1 1.2; do
    broken=no
    [ "$version" != 1.2 ] || broken=yes
    mkdir -p "build/$version/bin"
    sed -e "s/@VERSION@/$version/" -e "s/@BROKEN@/$broken/" src/hello.pl >"build/$version/bin/hello"
    chmod 755 "build/$version/bin/hello"
done
ls build
