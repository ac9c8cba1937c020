# The first process of a booted machine: sets up its file systems, and becomes systemd.
#
#   boot.sh FOLDER LOWER    in namespaces of its own; the writable layer is mounted at FOLDER/layer, over the root LOWER
folder=$1 lower=$2 root=$1/layer/root
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/layer/upper,workdir=$folder/layer/work" overlay "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir run/lock && chmod 1777 run/lock

# Harmless devices, and none of the machine's others.
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# Only control groups of version 2, or both versions, as on this machine.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
        mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    fi
fi

# The kernel's settings are shared with this machine.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys

# Folders of this machine, read-only: a cleanup at a boot cannot change them.
while IFS=: read -r from to; do
    mkdir -p "./$to"
    mount --bind "$from" "./$to"
    mount -o remount,bind,ro "./$to"
done <"$folder/binds"

# Nothing of what this root starts at a boot, and nothing that needs hardware or a terminal. The folders stay, because
# update-rc.d does not create them.
if [ ! -e etc/systemd/system/.prepared ]; then
    rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires etc/rc?.d/*
    for unit in getty.target systemd-logind.service systemd-udevd.service; do
        ln -sf /dev/null "etc/systemd/system/$unit"
    done
    : >etc/systemd/system/.prepared
fi
ip link set lo up
mkdir -p mnt
pivot_root . mnt
exec /usr/bin/env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'umount -l /mnt
    exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=false'
