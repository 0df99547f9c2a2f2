import type { Fingerprint } from './plan.ts';

/** Say in words what differs between what a plan was decided on and what is there now; [] where nothing does. */
export function fingerprintDifferences(planned: Fingerprint, now: Fingerprint): readonly string[] {
  const differences: string[] = [];
  if (planned.fsid !== now.fsid) {
    differences.push(`the cluster is another one: fsid ${now.fsid}, planned ${planned.fsid}`);
  }
  for (const target of without(planned.targets, now.targets))
    differences.push(`${target} was planned and is gone`);
  for (const target of without(now.targets, planned.targets)) differences.push(`${target} is new`);
  if (planned.crush !== now.crush)
    differences.push('hosts, their places or their OSDs have changed in the CRUSH map');
  for (const pool of without(planned.pools, now.pools))
    differences.push(`pool ${pool} was planned and is gone`);
  for (const pool of without(now.pools, planned.pools)) differences.push(`pool ${pool} is new`);
  return differences;
}

function without(all: readonly string[], known: readonly string[]): readonly string[] {
  return all.filter((one) => !known.includes(one));
}
