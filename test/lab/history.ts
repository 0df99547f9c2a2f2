import { randomUUID } from 'node:crypto';
import { type AuditedCommand, auditedCommands } from './audit.ts';
import type { ClusterActs } from './cluster-acts.ts';
import { until } from './until.ts';

/** What happened to one OSD, told by all epochs of the OSD map: independent of what anybody recorded. */
export interface OsdHistory {
  readonly uuid: string;
  readonly id: number;
  /** How often it went from down to up, and from up to down or gone. */
  readonly boots: number;
  readonly downs: number;
  /** How often it left the map (purge) or was marked destroyed: never more than 1 for a uuid. */
  readonly removals: number;
}

interface MapEpoch {
  readonly epoch: number;
  readonly osds: readonly { osd: number; uuid: string; up: number; state: readonly string[] }[];
}
type Counts = { -readonly [Key in keyof OsdHistory]: OsdHistory[Key] };

/** The monitor hands its own audit lines to the log once a second. */
const flushSeconds = 20;

/**
 * Read the commands that the monitor finished, all up to now: a marker is sent, and its line awaited, because the audit log
 * is written up to a second late.
 */
export async function completeAudit(
  acts: ClusterActs,
  monLog: () => Promise<string>,
): Promise<AuditedCommand[]> {
  const marker = `marker-${randomUUID()}`;
  await acts.ceph('log', marker);
  return until('the marker in the audit log', flushSeconds, async () => {
    const commands = auditedCommands(await monLog());
    const end = commands.findIndex(({ words }) => JSON.stringify(words).includes(marker));
    return (
      end >= 0 && commands.slice(0, end).filter(({ words }) => !JSON.stringify(words).includes('marker-'))
    );
  });
}

/** Follow every OSD, by uuid, through all epochs of the OSD map that the monitor has (it keeps at least the last 500). */
export async function osdHistory(acts: ClusterActs): Promise<ReadonlyMap<string, OsdHistory>> {
  const { epoch } = await acts.cephJson<MapEpoch>('osd', 'dump');
  const commands = Array.from({ length: epoch }, (_, index) => `osd dump ${index + 1}`);
  const lines = (await acts.batch(commands, 'json')).split('\n').filter((line) => line.startsWith('{'));
  const epochs = lines.map((line) => JSON.parse(line) as MapEpoch).sort((a, b) => a.epoch - b.epoch);
  const counts = new Map<string, Counts>();
  let before = new Map<string, { up: boolean; isThere: boolean }>();
  for (const { osds } of epochs) {
    const now = new Map<string, { up: boolean; isThere: boolean }>();
    for (const { osd, uuid, up, state } of osds) {
      if (!counts.has(uuid)) counts.set(uuid, { uuid, id: osd, boots: 0, downs: 0, removals: 0 });
      now.set(uuid, { up: up === 1, isThere: !state.includes('destroyed') });
    }
    for (const [uuid, count] of counts) addStep(count, before.get(uuid), now.get(uuid));
    before = now;
  }
  return counts;
}

function addStep(
  count: Counts,
  before: { up: boolean; isThere: boolean } | undefined,
  now: typeof before,
): void {
  const wasUp = before?.up ?? false;
  const isUp = now?.up ?? false;
  if (!wasUp && isUp) count.boots++;
  if (wasUp && !isUp) count.downs++;
  if ((before?.isThere ?? false) && !(now?.isThere ?? false)) count.removals++;
}
