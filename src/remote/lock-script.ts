/**
 * What both scripts begin with: find the lock of `$1` (a file name) for turn `$2`, take it, and read what stands in it:
 * the highest turn seen, and of a command that did not end in order the boot, the process group and when that began.
 * Root's locks are in /run, which a reboot empties; another user's are in a folder of /tmp that only he can write to.
 * A lock is lost to whoever waited while it was tidied away, so it is compared with what its name leads to by then.
 */
const begin = `
name=$1 turn=$2; shift 2
refuse() { echo "cephflow-lock: $*" >&2; exit 75; }
read_stat() {
  line=; read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  set -- \${line##*) }
  state=$1 of_group=$3; shift 19; began=$1
}
lives() {
  [ -n "$group" ] && [ "$boot" = "$booted" ] || return 1
  if read_stat "$group" && [ "$began" != "$start" ]; then return 1; fi
  for process in /proc/[0-9]*; do
    read_stat "\${process#/proc/}" || continue
    if [ "$of_group" = "$group" ] && [ "$state" != Z ]; then return 0; fi
  done
  return 1
}
umask 077
user=$(id -u) folder=/run/cephflow
[ "$user" = 0 ] || folder=/tmp/cephflow-$user
mkdir "$folder" 2>/dev/null
if [ -L "$folder" ] || [ ! -d "$folder" ] || [ ! -O "$folder" ]; then refuse "folder $folder"; fi
command -v flock >/dev/null || refuse program flock
lock=$folder/$name.lock
while :; do
  exec 9<>"$lock"
  if ! flock -w 2 9; then read -r seen boot group start <"$lock"; refuse "held $group $lock"; fi
  if [ "$lock" -ef /proc/self/fd/9 ]; then break; fi
done
read -r seen boot group start <&9
read -r booted </proc/sys/kernel/random/boot_id
if lives; then refuse "held $group $lock"; fi
if [ "$turn" -lt "\${seen:-0}" ]; then refuse overtaken; fi
`;

/** A lock that nobody used for so many days holds back nothing any more: no message travels as long. */
const keptDays = 7;

/**
 * Run the words from `$3` on under the lock. Whoever listens may go away: the command never notices, and the lock is
 * held until it has ended. What it leaves behind on purpose (a daemon) does not keep the lock; what is left of its
 * process group after it was killed does, because the record then stays.
 */
export const underLockScript = `${begin}
find "$folder" -name '*.lock' -mtime +${keptDays} -exec flock -n {} rm -f {} \\; 2>/dev/null
read_stat $$; group=$of_group
read_stat "$group" || began=
echo "$turn $booted $group $began" >"$lock"
relay() { cat; cat >/dev/null; }
stopped=
run() {
  trap 'stopped=1' TERM HUP INT
  "$@" <&3 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  pid=$!
  while :; do
    wait "$pid"; code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  if [ "$code" -le 128 ] && [ -z "$stopped" ]; then echo "$turn" >"$lock"; fi
  flock -u 9
  return "$code"
}
trap : TERM HUP INT
exec 3<&0 4>&1 5>&2 </dev/null
code=$({
  { { run "$@"; echo $? >&6; } 2>&1 >&7 | relay >&5 2>/dev/null; } 7>&1 6>&8 | relay >&4 2>/dev/null
} 8>&1)
trap - TERM HUP INT
code=\${code:-137}
if [ "$code" -gt 128 ]; then kill "-$((code - 128))" $$; fi
exit "$code"
`;

/** Tell by refusing whether the lock is held; else see to it that nothing of an earlier turn begins any more. */
export const askLockScript = `${begin}
echo "$turn" >"$lock"
`;
