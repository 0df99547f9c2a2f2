import type { ClusterStatus, Health, HealthCheck, OsdMap } from './ceph.ts';

/** Checks that never hold a gate up: they say nothing about redundancy now (research ceph-field 5.3). */
const noise: readonly string[] = [
  'PG_NOT_SCRUBBED',
  'PG_NOT_DEEP_SCRUBBED',
  'LARGE_OMAP_OBJECTS',
  'RECENT_CRASH',
  'RECENT_MGR_MODULE_CRASH',
  'POOL_APP_NOT_ENABLED',
  'POOL_NO_REDUNDANCY',
  'BLUEFS_SPILLOVER',
  'TOO_MANY_PGS',
  'TOO_FEW_PGS',
  'POOL_PG_NUM_NOT_POWER_OF_TWO',
  'TELEMETRY_CHANGED',
  'AUTH_INSECURE_GLOBAL_ID_RECLAIM',
  'AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED',
  'DEVICE_HEALTH',
  'MDS_CLIENT_OLDEST_TID',
  'MDS_CLIENT_RECALL',
];

/** Checks that hold a gate up even when they were there at the start: data or service is in danger. */
const always: readonly string[] = [
  'PG_AVAILABILITY',
  'PG_DAMAGED',
  'PG_DEGRADED',
  'OBJECT_UNFOUND',
  'OSD_FULL',
  'POOL_FULL',
  'PG_RECOVERY_FULL',
  'OSD_SCRUB_ERRORS',
  'MON_DISK_CRIT',
  'MGR_DOWN',
  'MON_DOWN',
];

/**
 * List what keeps a health gate closed: every check that endangers data, and every other one that was not there, for
 * the same subject, when the run began. Unknown codes count. Muted or not: a mute hides the text, not the danger.
 * @returns one phrase a check, such as `OSD_DOWN: 1 osds down`; [] means the gate is open
 */
export function healthBlockers(health: Health, baseline: Health): readonly string[] {
  return health.checks
    .filter((check) => !noise.includes(check.code))
    .filter((check) => always.includes(check.code) || isNew(check, baseline))
    .map((check) => `${check.code}: ${check.summary}`);
}

function isNew(check: HealthCheck, baseline: Health): boolean {
  const before = baseline.checks.find((one) => one.code === check.code);
  return before === undefined || check.subjects.some((subject) => !before.subjects.includes(subject));
}

/** PG states that may stand behind active+clean without anything being wrong: work on snapshots, scrubs. */
const cleanState = /^active\+clean(\+(scrubbing|deep|snaptrim|snaptrim_wait))*$/;

/**
 * Count the placement groups that the map has and the statistics do not tell of. A manager that has just started
 * reports none, and "all are clean" would be true of nothing (research ceph-lab).
 */
export function unreportedPgs(map: Pick<OsdMap, 'pools'>, reported: number): number {
  const wanted = map.pools.reduce((sum, pool) => sum + pool.pgCount, 0);
  return Math.max(0, wanted - reported);
}

/**
 * List what is not settled: PGs not exactly clean, PGs the map wants elsewhere, a manager that is away.
 * The exact state matters: an impossible drain stays `active+clean+remapped` under HEALTH_OK (research ceph-lab 3.3).
 */
export function placementBlockers(status: ClusterStatus, map: Pick<OsdMap, 'pools'>): readonly string[] {
  const reasons: string[] = [];
  if (!status.isMgrAvailable) reasons.push('no manager is active: statistics are stale');
  if (status.remappedPgs > 0)
    reasons.push(`${status.remappedPgs} PGs are mapped away from where their data is`);
  const unclean = Object.entries(status.pgStates).filter(([state]) => !cleanState.test(state));
  for (const [state, count] of unclean) reasons.push(`${count} PGs are ${state}`);
  const counted = Object.values(status.pgStates).reduce((sum, count) => sum + count, 0);
  const unknown = unreportedPgs(map, counted);
  if (unknown > 0) reasons.push(`${unknown} PGs have no known state`);
  return reasons;
}
