#!/bin/sh
# Runs Debian's real ceph-volume (raw mode: this kernel may have no device-mapper) on a loop device, in a mount namespace
# with the lab's /etc/ceph and /var/lib/ceph. Prints what `ceph-volume raw list` then says of the device.
#   raw-prepare.sh WORK_DIR      has etc-ceph and var-lib-ceph; the image and the log go there too
set -e
work=$1
mount --bind "$work/etc-ceph" /etc/ceph
mount --bind "$work/var-lib-ceph" /var/lib/ceph
mkdir "$work/bin"
# ceph-volume asks udev to settle; a lab's machine may have no udev.
printf '#!/bin/sh\nexit 0\n' > "$work/bin/udevadm"
chmod 755 "$work/bin/udevadm"
PATH=$work/bin:/usr/sbin:/usr/bin:/sbin:/bin
truncate -s 5G "$work/image"
loop=$(losetup --find --show "$work/image") || {
  echo "no loop device can be had here: losetup failed; the test of the real ceph-volume needs /dev/loop-control" >&2
  exit 1
}
# Detached now, while this shell holds it open: the kernel lets go of it when the shell ends, however it ends.
exec 9<> "$loop"
losetup --detach "$loop"
ceph-volume --log-path "$work" raw prepare --bluestore --data "$loop" 1>&2
ceph-volume --log-path "$work" raw list "$loop"
