/**
 * A program that answers as the `ceph` of an empty cluster: for tests of the command line, which act on no cluster. It
 * keeps the markers that are set in `keys` beside it. The answers are those of a real one, shortened.
 */
export const emptyCeph = `#!/bin/sh
keys=$(dirname "$0")/keys
case "$*" in
*"osd dump"*) echo '{"epoch":1,"fsid":"f51d","flags_set":[],"backfillfull_ratio":0.9,"osds":[],"pools":[]}' ;;
*"osd tree"*) echo '{"nodes":[],"stray":[]}' ;;
*"health detail"*) echo '{"status":"HEALTH_OK","checks":{}}' ;;
*"config-key dump"*) cat "$keys" 2>/dev/null || echo '{}' ;;
*"config-key set"*)
  while [ "$1" != set ]; do shift; done
  value=$(printf %s "$3" | sed 's/\\\\/\\\\\\\\/g; s/"/\\\\"/g')
  printf '{"%s":"%s"}' "$2" "$value" >"$keys" ;;
*) echo "unknown: $*" >&2; exit 22 ;;
esac
`;
