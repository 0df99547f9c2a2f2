#!/bin/sh
# Keeps one lab: everything the lab starts lives in the PID and mount namespace that this script opens. When its standard
# input ends (the test process closed it, or died of anything, SIGKILL included), the first process of the namespace ends,
# the kernel ends everything else in it, and the lab's directory is removed.
#   keeper.sh DIR KEEP     KEEP=1 leaves the directory
trap '' INT TERM HUP
dir=$1
keep=$2
unshare --mount --pid --fork --kill-child --propagation private sh "$(dirname "$0")/keeper-inside.sh"
[ "$keep" = 1 ] || rm -rf "$dir"
