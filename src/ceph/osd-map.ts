import type { z } from 'zod';
import { CephflowError } from '../base/errors.ts';
import type { NodeState, OsdMap, OsdState } from '../task/ceph.ts';
import type { CrushLocation } from '../task/targets.ts';
import { osdDumpAnswer, osdTreeAnswer } from './answers.ts';
import type { CephClient } from './client.ts';

/** Hold `osd dump` and `osd tree` of one epoch as Ceph gives them. */
export interface RawMap {
  readonly dump: z.infer<typeof osdDumpAnswer>;
  readonly tree: z.infer<typeof osdTreeAnswer>;
}

type TreeItem = RawMap['tree']['nodes'][number];

/** A monitor that is behind the one asked before does not have the epoch yet: it catches up within a second. */
const readings = 3;

/**
 * Read the OSD map and the CRUSH tree of the same epoch: the tree is asked for by the dump's epoch, since its answer
 * does not name one.
 * @throws what `CephClient.ask` throws
 */
export async function readRawMap(client: CephClient): Promise<RawMap> {
  for (let reading = 1; ; reading++) {
    const dump = await client.ask({ words: ['osd', 'dump'], via: 'mon', schema: osdDumpAnswer });
    const words = ['osd', 'tree', String(dump.epoch)];
    try {
      return { dump, tree: await client.ask({ words, via: 'mon', schema: osdTreeAnswer }) };
    } catch (thrown) {
      const isBehind = thrown instanceof CephflowError && thrown.command?.exitCode === 2; // ENOENT: no map for epoch
      if (!isBehind || reading >= readings) throw thrown;
    }
  }
}

/** Join dump and tree into what tasks see. */
export function toOsdMap({ dump, tree }: RawMap): OsdMap {
  const items = new Map([...tree.nodes, ...tree.stray].map((item) => [item.id, item]));
  const parents = parentsOf(tree.nodes);
  const osds = dump.osds.map((osd): OsdState => {
    const item = items.get(osd.osd);
    return {
      id: osd.osd,
      uuid: osd.uuid,
      node: ancestors(osd.osd, parents).find((one) => one.type === 'host')?.name,
      isUp: osd.up === 1,
      isIn: osd.in === 1,
      isDestroyed: osd.state.includes('destroyed'),
      weight: item?.crush_weight ?? 0,
      deviceClass: item?.device_class,
    };
  });
  return {
    epoch: dump.epoch,
    fsid: dump.fsid,
    osds,
    nodes: tree.nodes
      .filter((item) => item.type === 'host')
      .map((host) => toNode(host, items, ancestors(host.id, parents))),
    pools: dump.pools.map((pool) => ({
      id: pool.pool,
      name: pool.pool_name,
      size: pool.size,
      minSize: pool.min_size,
      ruleId: pool.crush_rule,
      pgCount: pool.pg_num,
    })),
    flags: dump.flags_set,
    backfillfullRatio: dump.backfillfull_ratio,
  };
}

/** Find the bucket above each item of the tree. */
export function parentsOf(nodes: readonly TreeItem[]): ReadonlyMap<number, TreeItem> {
  return new Map(nodes.flatMap((parent) => (parent.children ?? []).map((child) => [child, parent] as const)));
}

/** CRUSH allows a few more types than this tree is deep anywhere: a loop in a broken answer ends here. */
const deepest = 32;

/** List what stands above an item, nearest first. */
export function ancestors(id: number, parents: ReadonlyMap<number, TreeItem>): readonly TreeItem[] {
  const found: TreeItem[] = [];
  let above = parents.get(id);
  while (above && found.length < deepest) {
    found.push(above);
    above = parents.get(above.id);
  }
  return found;
}

function toNode(host: TreeItem, items: ReadonlyMap<number, TreeItem>, above: readonly TreeItem[]): NodeState {
  const location: CrushLocation = above.map(({ type, name }) => ({ type, name }));
  const inside = (item: TreeItem, depth: number): number[] =>
    (item.children ?? []).flatMap((child) => {
      const found = items.get(child);
      if (child >= 0) return [child];
      return found && depth < deepest ? inside(found, depth + 1) : [];
    });
  return { name: host.name, osdIds: inside(host, 0).sort((a, b) => a - b), location };
}
