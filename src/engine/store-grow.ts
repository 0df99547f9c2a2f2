import type { Json } from '../base/json.ts';
import type { Plan } from '../plan/plan.ts';
import type { Growth, Held, Written } from './leases.ts';
import type { StoreContext } from './store-context.ts';
import { packGraph, unpackGraph } from './store-graph.ts';
import { fieldsOf, type PlanPart, packPlan } from './store-plan.ts';
import type { ScriptArgument } from './store-scripts.ts';
import { firstStates, placesText, specialText } from './store-shape.ts';

/** What was sent of a plan whose run never began is thrown away after this. */
const draftLifeSeconds = 3600;
/** A plan that is thrown away while its run is being created is sent again so often. */
const sendTries = 3;
/** Steps whose places or queues are written by one command. */
const stepsAtOnce = 500;

/** Send a plan to the store, unless it stands there whole. @returns its key and how many fields it must have */
async function sendPlan(
  { redis, keys, ask, writeDraft }: StoreContext,
  part: PlanPart,
): Promise<{ readonly key: string; readonly fields: number }> {
  const key = keys.plan(part.plan.hash);
  const fields = fieldsOf(part.steps.length);
  if ((await ask(redis.hlen(key))) === fields) return { key, fields };
  for await (const page of packPlan(part)) {
    await writeDraft(key, [draftLifeSeconds, ...page]);
  }
  return { key, fields };
}

/** Do something that needs a plan in the store; where it has gone meanwhile it is sent again. */
export async function withPlan<T>(
  context: StoreContext,
  part: PlanPart,
  act: (plan: { readonly key: string; readonly fields: number }) => Promise<T | 'no-plan'>,
): Promise<T> {
  for (let left = sendTries; ; left -= 1) {
    const answer = await act(await sendPlan(context, part));
    if (answer !== 'no-plan') return answer;
    if (left <= 1) throw new Error(`the plan ${part.plan.hash} does not stay in the store`);
  }
}

/** Write down the places, priorities and queues of steps; returns the flags of the run that say that there are some. */
export async function sendSettings(
  { redis, keys, ask }: StoreContext,
  run: string,
  { plan, steps, first, groupsFrom = 0 }: PlanPart,
): Promise<string> {
  const send = async (name: string, entries: readonly (string | number)[]) => {
    for (let from = 0; from < entries.length; from += 2 * stepsAtOnce) {
      await ask(redis.hset(keys.ofRun(run, name), ...entries.slice(from, from + 2 * stepsAtOnce)));
    }
    return entries.length > 0;
  };
  const places = steps.flatMap((step, index) =>
    step.places.length > 0 ? [first + index, placesText(plan.groups, step, groupsFrom)] : [],
  );
  const special = steps.flatMap((step, index) => {
    const text = specialText(step);
    return text === '' ? [] : [first + index, text];
  });
  const hasPlaces = await send('placesof', places);
  const hasSpecial = await send('special', special);
  return `${hasPlaces ? 'p' : ''}${hasSpecial ? 'x' : ''}`;
}

/** Append steps to a run for its expand step. */
export async function appendGrowth(
  context: StoreContext,
  held: Held,
  growth: Growth,
  output: Json | undefined,
): Promise<Written | 'moved'> {
  const { run, step, token } = held;
  const { steps, first, groupsFrom, known } = growth;
  const part: PlanPart = { plan: await asPlan(context, run, growth), steps, first, groupsFrom, known };
  const flags = await sendSettings(context, run, part);
  const begun = firstStates(unpackGraph(packGraph(steps, { first })));
  const answer = await withPlan(context, part, async ({ key, fields }) => {
    const words: ScriptArgument[] = [step, token, key, fields, first];
    const { states, dependencies, part: parts, roots } = begun;
    const rest = [states, dependencies, parts, roots.join(','), flags];
    const last = output === undefined ? '' : JSON.stringify(output);
    return (await context.call('expand', run, [...words, ...rest, last])) as
      | Written
      | 'duplicate'
      | 'moved'
      | 'no-plan';
  });
  context.forgetView(run);
  return answer === 'duplicate' ? 'accepted' : answer;
}

async function asPlan(context: StoreContext, run: string, growth: Growth): Promise<Omit<Plan, 'steps'>> {
  const { head } = await context.view(run);
  const { hash, groups } = growth;
  const fingerprint = { fsid: head.fsid, targets: [], crush: '', pools: [] };
  return { ...head, params: {}, fingerprint, hash, groups };
}
