import { CephflowError } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/json.ts';
import {
  evaluateWhen,
  fillStep,
  neededLists,
  neededOutputs,
  type OutputLists,
  type Outputs,
} from '../plan/fill.ts';
import type { PlanStep } from '../plan/plan.ts';
import { readRanges } from '../plan/ranges.ts';
import { readParam } from '../task/params.ts';
import type { Task } from '../task/task.ts';
import type { StoreReads } from './store.ts';
import { understandThrown } from './thrown.ts';

/** Hold the values of a step, or why it is not to be done. */
export type Filled =
  | { readonly values: JsonObject }
  | { readonly skip: string }
  | { readonly error: CephflowError };

/** Say which step of which run is to be filled. */
export interface ToFill {
  readonly store: Pick<StoreReads, 'outputs'>;
  readonly run: string;
  readonly step: PlanStep;
  readonly task: Task;
}

/**
 * Fill in what names outputs of earlier steps, and ask the step's condition. A step of `finally` whose input never
 * came to be is skipped; anywhere else that is an error.
 */
export async function fillValues(about: ToFill): Promise<Filled> {
  const { step } = about;
  const needed = neededOutputs(step);
  const wanted = neededLists(step);
  if (needed.length === 0 && wanted.length === 0 && step.when === undefined) return { values: step.with };
  const outputs = await collectOutputs(about);
  const missing = needed.filter((id) => outputs[id] === undefined);
  if (missing.length > 0 && step.part === 'finally')
    return { skip: `it needs the output of ${missing.join(', ')}, which never came to be` };
  try {
    if (!evaluateWhen(step, outputs)) return { skip: `its condition is not met: ${step.when}` };
    return { values: readLate(about, fillStep(step, outputs, await collectLists(about, wanted))) };
  } catch (thrown) {
    return { error: understandThrown(thrown) };
  }
}

/** Give the outputs that a step uses, by the ids of the steps that returned them. */
export async function collectOutputs({ store, run, step }: Omit<ToFill, 'task'>): Promise<Outputs> {
  const { inputs = {} } = step;
  const found = await store.outputs(run, Object.values(inputs));
  const entries = Object.entries(inputs).map(([id, index]) => [id, found.get(index)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, Json] => entry[1] !== undefined && entry[1] !== null),
  );
}

/** Outputs read in one round trip: a hundredth of a millisecond of Redis' time each. */
const outputsAtOnce = 1000;

async function collectLists({ store, run }: ToFill, wanted: readonly string[]): Promise<OutputLists> {
  const lists: Record<string, readonly Json[]> = {};
  for (const ranges of wanted) {
    const indices = readRanges(ranges);
    const list: Json[] = [];
    for (let from = 0; from < indices.length; from += outputsAtOnce) {
      const some = indices.slice(from, from + outputsAtOnce);
      const found = await store.outputs(run, some);
      list.push(...some.map((index) => found.get(index) ?? null));
    }
    lists[ranges] = list;
  }
  return lists;
}

function readLate({ task, step }: ToFill, filled: JsonObject): JsonObject {
  const read = Object.entries(filled).map(([name, value]) => {
    // what was known when the plan was made has been read then, a duration must not be read twice
    const isLate = value !== step.with[name];
    const param = task.params[name];
    return [name, isLate && param ? readValue(step, name, readParam(param, value), value) : value];
  });
  return Object.fromEntries(read) as JsonObject;
}

function readValue(step: PlanStep, name: string, reading: ReturnType<typeof readParam>, value: Json): Json {
  if ('value' in reading) return reading.value;
  throw new CephflowError(
    'PARAM_INVALID',
    `${name} of step ${step.id} became ${JSON.stringify(value)}, expected ${reading.expected}`,
    { hint: 'an earlier step returned it; mend that step or the playbook, and make a new plan' },
  );
}
