import type { z } from 'zod';
import type { crushRulesAnswer } from './answers.ts';
import { ancestors, parentsOf, type RawMap } from './osd-map.ts';

/** Be one CRUSH rule, as `osd crush rule dump` gives it. */
export type CrushRule = z.infer<typeof crushRulesAnswer>[number];

/** Say how many failure domains a pool needs and how many would be left, in words such as `3 hosts`. */
export interface Demand {
  readonly needs: string;
  readonly left: string;
  readonly isMet: boolean;
}

interface Draw {
  readonly root: string;
  readonly deviceClass: string | undefined;
  readonly type: string;
  readonly count: number;
}

/**
 * Compare what a rule draws for a pool with what stands under its root once some OSDs hold nothing any more.
 * Of a rule that draws several times (such as SSD first, then HDD) the first draw that falls short is told; of nested
 * draws (hosts, then OSDs in each) the outer one.
 */
export function compareDemand(
  rule: CrushRule | undefined,
  size: number,
  tree: RawMap['tree'],
  gone: ReadonlySet<number>,
): Demand {
  const told = drawsOf(rule, size).map((draw) => {
    const left = countDomains(draw, tree, gone);
    const isMet = left >= draw.count;
    return { needs: counted(draw.count, draw.type), left: counted(left, draw.type), isMet };
  });
  const unknown = { needs: counted(size, 'failure domain'), left: 'an unknown number', isMet: true };
  return told.find((demand) => !demand.isMet) ?? told[0] ?? unknown;
}

function drawsOf(rule: CrushRule | undefined, size: number): readonly Draw[] {
  const draws: Draw[] = [];
  let taken: string | undefined;
  for (const { op, num = 0, type = 'osd', item_name } of rule?.steps ?? []) {
    if (op === 'take') taken = item_name;
    if (!op.startsWith('choose') || taken === undefined) continue;
    const [root = '', deviceClass] = taken.split('~'); // a shadow tree of one device class
    draws.push({ root, deviceClass, type, count: num > 0 ? num : size + num });
    taken = undefined; // what is drawn next is inside of what was drawn now
  }
  return draws;
}

function countDomains(draw: Draw, tree: RawMap['tree'], gone: ReadonlySet<number>): number {
  const parents = parentsOf(tree.nodes);
  const domains = new Set<number>();
  for (const osd of tree.nodes) {
    const holds =
      osd.type === 'osd' && !gone.has(osd.id) && (osd.crush_weight ?? 0) > 0 && osd.reweight !== 0;
    const fits = draw.deviceClass === undefined || osd.device_class === draw.deviceClass;
    if (!holds || !fits) continue;
    const line = [osd, ...ancestors(osd.id, parents)];
    if (!line.some((item) => item.name === draw.root)) continue;
    const domain = line.find((item) => item.type === draw.type);
    if (domain) domains.add(domain.id);
  }
  return domains.size;
}

function counted(count: number, what: string): string {
  const isPlural = count !== 1 && !what.endsWith('s');
  return `${count} ${what}${isPlural ? 's' : ''}`;
}
