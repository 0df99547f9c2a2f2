#!/bin/sh
# First process of a lab node, in its own UTS and mount namespace: hostname, the node's own /etc/ceph, /var/lib/ceph and
# /run/ceph, its stand-ins for systemctl and ceph-volume, and sshd. Stays as the holder of the namespaces.
#   node-init.sh NODE_DIR NAME BIN_DIR
set -e
node=$1
hostname "$2"
mount --bind "$node/etc-ceph" /etc/ceph
mount --bind "$node/var-lib-ceph" /var/lib/ceph
mkdir -p "$node/run" && mount --bind "$node/run" /run/ceph
mount --bind "$3/ceph-volume" /usr/sbin/ceph-volume
/usr/sbin/sshd -f "$node/ssh/sshd_config" -E "$node/ssh/sshd.log"
echo $$ > "$node/holder.pid.new"
mv "$node/holder.pid.new" "$node/holder.pid"
exec sleep infinity < /dev/null > /dev/null 2>&1
