import type { z } from 'zod';
import { CephflowError } from '../base/errors.ts';
import { traceOf } from '../remote/command.ts';
import type { Projection } from '../task/ceph.ts';
import type { OsdTarget } from '../task/targets.ts';
import { crushRulesAnswer, osdDfAnswer, pgSizesAnswer } from './answers.ts';
import type { CephClient } from './client.ts';
import { compareDemand } from './domains.ts';
import { type RawMap, readRawMap } from './osd-map.ts';

interface Facts extends RawMap {
  readonly rules: z.infer<typeof crushRulesAnswer>;
  readonly fill: z.infer<typeof osdDfAnswer>['nodes'];
  readonly gone: ReadonlySet<number>;
}

/**
 * Foretell what weight 0 for these OSDs does, on a copy of the live map. Ceph's own osdmaptool and crushtool compute it
 * where `ceph` is called directly and they are installed; else it is estimated from fill and weights.
 * @throws what `CephClient.ask` throws
 * @see research ceph-field 1.8: 64 of 64 up sets foretold
 */
export async function projectRemoval(client: CephClient, osds: readonly OsdTarget[]): Promise<Projection> {
  const raw = await readRawMap(client);
  const rules = await client.ask({
    words: ['osd', 'crush', 'rule', 'dump'],
    via: 'mon',
    schema: crushRulesAnswer,
  });
  const { nodes } = await client.ask({ words: ['osd', 'df'], via: 'mgr', schema: osdDfAnswer });
  const facts: Facts = { ...raw, rules, fill: nodes, gone: new Set(osds.map((osd) => osd.id)) };
  // in a container (cephadm shell) every command has files of its own: a map written by one is not there for the next
  const mapped = client.words[0] === 'ceph' ? await mapBeforeAndAfter(client, facts) : undefined;
  return mapped ? foretell(client, facts, mapped) : estimate(facts);
}

/** Where CRUSH puts a PG before upmaps and the absence of down OSDs (`raw`), and with both (`up`). */
interface Placing {
  readonly raw: readonly number[];
  readonly up: readonly number[];
}
type Placings = ReadonlyMap<string, Placing>;

interface Mapped {
  readonly before: Placings;
  readonly after: Placings;
}

/** @returns undefined where the tools are not installed */
async function mapBeforeAndAfter(client: CephClient, facts: Facts): Promise<Mapped | undefined> {
  const dir = (await must(client, ['mktemp', '-d', '-t', 'cephflow-map.XXXXXXXX'])).trim();
  try {
    const [map, crush] = [`${dir}/osdmap`, `${dir}/crush`];
    await client.query({ words: ['osd', 'getmap', String(facts.dump.epoch), '-o', map], via: 'mon' });
    const before = await placings(client, map);
    await must(client, ['osdmaptool', map, '--export-crush', crush]);
    const inTree = facts.tree.nodes.filter((item) => item.type === 'osd' && facts.gone.has(item.id));
    for (const { name } of inTree) {
      // one call an item: of several --reweight-item in one call crushtool heeds only the last
      await must(client, ['crushtool', '-i', crush, '--reweight-item', name, '0', '-o', crush]);
    }
    await must(client, ['osdmaptool', map, '--import-crush', crush]);
    return { before, after: await placings(client, map) };
  } catch (thrown) {
    if (thrown instanceof CephflowError && thrown.code === 'PROGRAM_MISSING') return undefined;
    throw thrown;
  } finally {
    await client.tool(['rm', '-r', '--', dir]);
  }
}

async function must(client: CephClient, words: readonly string[]): Promise<string> {
  const result = await client.tool(words);
  if (result.exitCode === 0) return result.stdout;
  throw new CephflowError('COMMAND_FAILED', `${words[0]} could not work on a copy of the OSD map`, {
    command: traceOf({ host: client.host }, { words }, result),
  });
}

const placingLine = /^(\S+) raw \(\[([^\]]*)\], p\S+\) up \(\[([^\]]*)\], p\S+\)/;

async function placings(client: CephClient, map: string): Promise<Placings> {
  // the monitors drop upmaps that no longer hold as soon as weights change; the tool does it when asked
  const words = ['osdmaptool', map, '--upmap-cleanup', '/dev/null', '--test-map-pgs-dump-all'];
  const found = new Map<string, Placing>();
  for (const line of (await must(client, words)).split('\n')) {
    const [, pg, raw = '', up = ''] = placingLine.exec(line) ?? [];
    if (pg !== undefined) found.set(pg, { raw: idsIn(raw), up: idsIn(up) });
  }
  return found;
}

/** CRUSH's ITEM_NONE: a place of an erasure coded PG for which there is no OSD. */
const nobody = 2_147_483_647;

const idsIn = (text: string) =>
  text === '' ? [] : text.split(',').map((id) => (id === 'NONE' ? nobody : Number(id)));

const present = (ids: readonly number[]) => ids.filter((id) => id !== nobody);

async function foretell(client: CephClient, facts: Facts, { before, after }: Mapped): Promise<Projection> {
  const words = ['pg', 'dump', 'pgs'];
  const pgs = await client.ask({ words, via: 'mgr', schema: pgSizesAnswer });
  const incoming = new Map<number, number>();
  let [movedShards, movedBytes] = [0, 0];
  for (const pg of pgs) {
    const [was, willBe] = [before.get(pg.pgid), after.get(pg.pgid)];
    const pool = poolOf(facts, pg.pgid);
    if (!was || !willBe || !pool) continue; // a pool made or removed since the map was read
    const bytes = pg.stat_sum.num_bytes / pool.dataShards;
    const moved = arrivals(was.up, willBe.up, pool.isErasureCoded).length;
    movedShards += moved;
    movedBytes += moved * bytes;
    for (const id of arrivals(pg.acting, willBe.up, pool.isErasureCoded)) {
      incoming.set(id, (incoming.get(id) ?? 0) + bytes); // also what was on its way there before
    }
  }
  return {
    method: 'osdmaptool',
    movedShards,
    movedBytes: Math.round(movedBytes),
    ...findPeak(facts, (id) => incoming.get(id) ?? 0),
    infeasiblePools: shortPools(facts, after),
  };
}

function poolOf({ dump }: Facts, pgid: string) {
  const pool = dump.pools.find((one) => one.pool === Number(pgid.split('.')[0]));
  if (!pool) return undefined;
  const isErasureCoded = pool.type === 3;
  const profile = dump.erasure_code_profiles?.[pool.erasure_code_profile ?? ''];
  return { ...pool, isErasureCoded, dataShards: isErasureCoded ? Number(profile?.['k'] ?? 1) : 1 };
}

/** List who gets a shard it did not have. The shards of an erasure coded PG differ: there the position counts. */
function arrivals(
  from: readonly number[],
  to: readonly number[],
  isErasureCoded: boolean,
): readonly number[] {
  return present(to.filter((id, place) => (isErasureCoded ? from[place] !== id : !from.includes(id))));
}

function findPeak({ fill, gone }: Facts, incoming: (id: number) => number) {
  let peak: { peakRatio: number; peakOsd: string | undefined } = { peakRatio: 0, peakOsd: undefined };
  for (const { id, kb, kb_used } of fill) {
    if (gone.has(id) || kb === 0) continue;
    const ratio = (kb_used * 1024 + incoming(id)) / (kb * 1024);
    if (ratio > peak.peakRatio) peak = { peakRatio: ratio, peakOsd: `osd.${id}` };
  }
  return peak;
}

function shortPools(facts: Facts, after: Placings): Projection['infeasiblePools'] {
  return facts.dump.pools.flatMap((pool) => {
    const all = [...after].filter(([pg]) => pg.startsWith(`${pool.pool}.`));
    const short = all.filter(([, { raw }]) => present(raw).length < pool.size);
    if (short.length === 0) return [];
    const { needs, left, isMet } = demandOf(facts, pool);
    const found = isMet
      ? `${left}, where CRUSH finds no place for ${short.length} of ${all.length} PGs`
      : left;
    return [{ pool: pool.pool_name, needs, left: found }];
  });
}

function demandOf({ rules, tree, gone }: Facts, pool: Facts['dump']['pools'][number]) {
  const rule = rules.find((one) => one.rule_id === pool.crush_rule);
  return compareDemand(rule, pool.size, tree, gone);
}

/** What leaves is spread over the OSDs that stay, of the same device class, by their weight. */
function estimate(facts: Facts): Projection {
  const { fill, gone, tree, dump } = facts;
  const items = new Map(tree.nodes.map((item) => [item.id, item]));
  const classOf = (id: number) => items.get(id)?.device_class;
  const leaving = fill.filter((one) => gone.has(one.id));
  const weightOf = (id: number) =>
    gone.has(id) || items.get(id)?.reweight === 0 ? 0 : (items.get(id)?.crush_weight ?? 0);
  const incoming = (id: number) => {
    const sameClass = fill.filter((one) => classOf(one.id) === classOf(id));
    const whole = sameClass.reduce((sum, one) => sum + weightOf(one.id), 0);
    const bytes = leaving
      .filter((one) => classOf(one.id) === classOf(id))
      .reduce((sum, one) => sum + one.kb_used * 1024, 0);
    return whole === 0 ? 0 : (bytes * weightOf(id)) / whole;
  };
  return {
    method: 'proportional',
    movedShards: leaving.reduce((sum, one) => sum + one.pgs, 0),
    movedBytes: leaving.reduce((sum, one) => sum + one.kb_used * 1024, 0),
    ...findPeak(facts, incoming),
    infeasiblePools: dump.pools.flatMap((pool) => {
      const { needs, left, isMet } = demandOf(facts, pool);
      return isMet ? [] : [{ pool: pool.pool_name, needs, left }];
    }),
  };
}
