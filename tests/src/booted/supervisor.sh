# Runs a booted machine: boots it for each line "boot" on the standard input, and removes everything that belongs to it
# at the end of that input. Runs in a mount namespace of its own.
#
#   supervisor.sh NAME FOLDER LOWER    NAME is not used elsewhere; FOLDER contains boot.sh, binds and the results
# parent and console; LOWER is the root file system below the machine's own layer
name=$1 folder=$2 lower=$3 parent=

# The control groups that systemd may use as its own, in the hierarchies that this machine has.
groups=
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    if [ -e "$hierarchy/cgroup.procs" ] && mkdir -p "$hierarchy/$name"; then
        groups="$groups $hierarchy/$name"
    fi
done

# The writable layer, in memory: it survives a reboot.
mkdir "$folder/layer"
mount -t tmpfs -o mode=755 tmpfs "$folder/layer"
mkdir "$folder/layer/upper" "$folder/layer/work" "$folder/layer/root"

boot() {
    sh -c 'for group in $2; do echo $$ >"$group/cgroup.procs"; done
        exec unshare --cgroup --mount --pid --net --ipc --uts --fork --kill-child=KILL sh -e "$1/boot.sh" "$1" "$3"' \
        sh "$folder" "$groups" "$lower" </dev/null >>"$folder/console" 2>&1 &
    parent=$!
    echo "$parent" >"$folder/parent.new" && mv "$folder/parent.new" "$folder/parent"
}

while read -r word; do
    if [ "$word" = boot ]; then boot; fi
done
if [ -n "$parent" ]; then
    kill -KILL "$parent" 2>/dev/null
    wait
fi
for group in $groups; do
    for try in 1 2 3 4 5; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.2
    done
done
umount -l "$folder/layer"
