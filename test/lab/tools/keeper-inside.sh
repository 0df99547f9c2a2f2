#!/bin/sh
# First process of a lab's PID namespace. Says the pid by which it is known outside, then waits for the end of its input.
set -e
# Read before /proc is mounted anew: the old one still shows the pid of the outer namespace.
read -r outside _ < /proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/lock /run/ceph
# An ignored SIGCHLD lets the kernel reap the daemons that are orphaned to this process.
trap '' CHLD
echo "inside $outside"
exec cat > /dev/null
