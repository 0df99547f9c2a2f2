import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { CephflowError } from '../base/errors.ts';
import { neededOutputs } from '../plan/fill.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import { beforeOf, type Graph, packGraph, unpackGraph } from './store-graph.ts';
import { type GrownGraph, type Shape, shapeOf } from './store-shape.ts';

/** Steps of one page: a page is the least that is read and unpacked, and the window of the compression is filled by it. */
const pageSize = 256;
/** Pages that a view keeps unpacked: what one worker is busy with, some MB. */
const pagesKept = 16;
/** Pages sent by one command. */
const pagesAtOnce = 8;

/** Be a plan without its steps, and without what only a comparison with the cluster needs. */
export type PlanHead = Omit<Plan, 'steps' | 'fingerprint'>;

/** Be a plan, or what is appended to one: `first` is the number of its first step in the run. */
export interface PlanPart {
  readonly plan: Omit<Plan, 'steps'>;
  readonly steps: readonly PlanStep[];
  readonly first: number;
  /** Number of the first of `plan.groups` in the run; absent: 0. */
  readonly groupsFrom?: number;
  /** Numbers of steps of the run that these may name, beside their own. */
  readonly known?: Readonly<Record<string, number>>;
}

const compress = promisify(deflateRaw);
const uncompress = promisify(inflateRaw);

/** Fields of a plan in the store: the head, its fingerprint, the packed graph, and pages of steps without their edges. */
const planFields = {
  head: 'head',
  fingerprint: 'fingerprint',
  graph: 'graph',
  page: (number: number) => `p${number}`,
} as const;

/** Give the number of fields that a plan of so many steps has. */
export const fieldsOf = (steps: number) => 3 + Math.ceil(steps / pageSize);

/** Pack a plan for the store, some pages at a time, so that a large one is never in memory twice. */
export async function* packPlan(part: PlanPart): AsyncGenerator<(string | Buffer)[]> {
  const { plan, steps, first } = part;
  const inputsOf = findInputs(part);
  const { fingerprint, ...head } = plan;
  yield [planFields.head, await compress(JSON.stringify(head))];
  yield [planFields.fingerprint, await compress(JSON.stringify(fingerprint))];
  yield [planFields.graph, await compress(packGraph(steps, { first, groups: plan.groups.length }))];
  let fields: (string | Buffer)[] = [];
  for (let from = 0; from < steps.length; from += pageSize) {
    const page = steps.slice(from, from + pageSize).map(({ after: _edges, ...step }) => {
      const inputs = inputsOf(step);
      return inputs ? { ...step, inputs } : step;
    });
    fields.push(planFields.page(from / pageSize), await compress(JSON.stringify(page)));
    if (fields.length < 2 * pagesAtOnce) continue;
    yield fields;
    fields = [];
  }
  if (fields.length > 0) yield fields;
}

/** Numbers of the steps whose outputs a step uses; few do, so the ids are looked up only when the first one asks. */
function findInputs({ steps, first, known = {} }: PlanPart) {
  let numbers: Map<string, number> | undefined;
  return (step: Omit<PlanStep, 'after'>): Readonly<Record<string, number>> | undefined => {
    const later = step.expansion?.steps.flatMap(neededOutputs) ?? [];
    const needed = [...new Set([...neededOutputs(step), ...later])];
    if (needed.length === 0) return undefined;
    numbers ??= new Map(steps.map(({ id }, index) => [id, first + index]));
    const found = needed.flatMap((id) => {
      const number = numbers?.get(id) ?? known[id];
      return number === undefined ? [] : [[id, number] as const];
    });
    return Object.fromEntries(found);
  };
}

/** Read fields of a plan by the key it stands under. */
export type ReadFields = (key: string, fields: readonly string[]) => Promise<readonly (Buffer | null)[]>;

/** Say what a run consists of: its plan, and what was appended to it. */
export interface RunParts {
  readonly planKey: string;
  readonly grown: readonly { readonly key: string; readonly first: number; readonly by: number }[];
}

/** Look at the plan of a run with all that was appended to it, without holding its steps in memory. */
export interface PlanView {
  readonly head: PlanHead;
  /** Steps in all. */
  readonly size: number;
  readonly shape: Shape;
  /** First letter of the kind of a step; '' where there is no such step. */
  kindOf(index: number): string;
  isFinally(index: number): boolean;
  /** Tell whether steps were appended to the run for this one. */
  hasGrown(index: number): boolean;
  /** Numbers of the steps that were appended to the run for this one. */
  appendedBy(index: number): readonly number[];
  /** Number of groups with places. */
  readonly groups: number;
  /** One step. Its `after` is left empty: edges are the shape's. */
  step(index: number): Promise<PlanStep | undefined>;
  /** The whole plan, all steps with their edges: for people and for small plans. */
  whole(): Promise<Plan>;
}

interface Section {
  readonly key: string;
  readonly graph: Graph;
}

/** Open the view of a run's plan. @throws INTERNAL when the store has lost a part of it */
export async function openPlanView(read: ReadFields, { planKey, grown }: RunParts): Promise<PlanView> {
  const [packedHead, packedGraph] = await read(planKey, [planFields.head, planFields.graph]);
  const head = JSON.parse((await unpack(packedHead, planKey)).toString()) as PlanHead;
  const base = { key: planKey, graph: unpackGraph(await unpack(packedGraph, planKey)) };
  const sections: Section[] = [base];
  const grownGraphs: GrownGraph[] = [];
  for (const { key, by } of grown) {
    const [packed] = await read(key, [planFields.graph]);
    const graph = unpackGraph(await unpack(packed, key));
    sections.push({ key, graph });
    grownGraphs.push({ graph, by });
  }
  const shape = shapeOf(base.graph, grownGraphs);
  const sectionOf = (index: number) =>
    sections.find(({ graph }) => index >= graph.first && index < graph.first + graph.size);
  const pageOf = keepPages(read);
  return {
    head,
    size: shape.size,
    shape,
    groups: sections.reduce((sum, { graph }) => sum + graph.groups, 0),
    hasGrown: (index) => grown.some(({ by }) => by === index),
    appendedBy: (index) =>
      grownGraphs.flatMap(({ graph: { first, size }, by }) =>
        by === index ? Array.from({ length: size }, (_, own) => first + own) : [],
      ),
    isFinally: (index) => {
      const section = sectionOf(index);
      return section?.graph.isFinally[index - section.graph.first] === 1;
    },
    kindOf: (index) => {
      const section = sectionOf(index);
      return section ? String.fromCharCode(section.graph.kinds[index - section.graph.first] ?? 0) : '';
    },
    step: async (index) => {
      const section = sectionOf(index);
      if (!section) return undefined;
      const own = index - section.graph.first;
      const page = await pageOf(section.key, Math.floor(own / pageSize));
      return page[own % pageSize];
    },
    whole: async () => {
      const [packed] = await read(planKey, [planFields.fingerprint]);
      const fingerprint = JSON.parse((await unpack(packed, planKey)).toString()) as Plan['fingerprint'];
      return { ...head, fingerprint, steps: await wholeSteps(read, sections) };
    },
  };
}

async function unpack(packed: Buffer | null | undefined, key: string): Promise<Buffer> {
  if (packed) return uncompress(packed);
  throw new CephflowError('INTERNAL', `a part of ${key} is not in the store`);
}

async function readPage(read: ReadFields, key: string, number: number): Promise<readonly PlanStep[]> {
  const [packed] = await read(key, [planFields.page(number)]);
  const steps = JSON.parse((await unpack(packed, key)).toString()) as Omit<PlanStep, 'after'>[];
  return steps.map((step) => Object.assign(step, { after: noSteps }));
}

const noSteps: readonly number[] = [];

/** Keep the pages that were used last. */
function keepPages(read: ReadFields): (key: string, number: number) => Promise<readonly PlanStep[]> {
  const kept = new Map<string, Promise<readonly PlanStep[]>>();
  return (key, number) => {
    const name = `${key} ${number}`;
    const page = kept.get(name) ?? readPage(read, key, number);
    // last in the map is the one used last
    kept.delete(name);
    kept.set(name, page);
    page.catch(() => kept.delete(name));
    const oldest = kept.keys().next().value;
    if (kept.size > pagesKept && oldest !== undefined) kept.delete(oldest);
    return page;
  };
}

async function wholeSteps(read: ReadFields, sections: readonly Section[]): Promise<readonly PlanStep[]> {
  const steps: PlanStep[] = [];
  for (const { key, graph } of sections) {
    for (let number = 0; number * pageSize < graph.size; number += 1) {
      for (const step of await readPage(read, key, number)) {
        steps.push({ ...step, after: [...beforeOf(graph, steps.length)] });
      }
    }
  }
  return steps;
}
