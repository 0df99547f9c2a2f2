import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import type { Task } from '../task/task.ts';
import type { PlanStep } from './plan.ts';
import { writeRanges } from './ranges.ts';
import { titleOf } from './titles.ts';

/** Stand for the output of what comes before a step in its canvas; null: the whole of it. */
export interface PreviousValue extends JsonObject {
  readonly $previous: string | null;
}

/**
 * Pass on what the predecessor returned: `step('text.say', { text: previous('device') })`. After a step: its whole
 * output, or one named value of it. After a group: the list of its members' outputs, in their order, null for one that
 * was skipped. First in a chain: what stands before the chain. With `after`: those named, a list where there are several.
 */
export function previous(output?: string): PreviousValue {
  return { $previous: output ?? null };
}

/** Tell whether a value takes something of the predecessor, at any depth. */
export function holdsPrevious(value: Json): boolean {
  if (Array.isArray(value)) return value.some(holdsPrevious);
  if (!isJsonObject(value)) return false;
  if (isPrevious(value)) return true;
  // without lists of values: a graph of a hundred thousand steps is looked through
  for (const key in value) if (holdsPrevious(value[key] ?? null)) return true;
  return false;
}

/** Number the steps whose outputs `previous` means; a list for a group. */
export type Feed = number | readonly Feed[];

/** Steps of a plan that were built together: `feeds` by their number among themselves, which counts from `shift`. */
export interface FedPart {
  readonly shift: number;
  readonly feeds: ReadonlyMap<number, Feed | undefined>;
}

/** Lists of members are written as ranges; more text than this in one plan would be a burden for every worker. */
const mostText = 8 * 1024 * 1024;
/** More lines than this are no help on one screen. */
const mostFaults = 20;

/**
 * Turn every `previous` in these steps into a late value over the steps that it means. Their ids and places are final:
 * both stand in the expressions.
 * @throws PLAYBOOK_INVALID naming the steps that take what is not there
 */
export function passOn(
  name: string,
  steps: PlanStep[],
  parts: readonly FedPart[],
  tasks: ReadonlyMap<string, { readonly task: Task }>,
): void {
  const faults: string[] = [];
  let length = 0;
  for (const { shift, feeds } of parts) {
    const write = rememberFeeds({ steps, shift, tasks });
    for (const [number, feed] of feeds) {
      const step = steps[number + shift];
      const task = tasks.get(step?.task ?? '')?.task;
      if (!step || !task) continue;
      const take = (output: string | null): Json => {
        const written = write(feed, output);
        if ('fault' in written) faults.push(`${step.id} takes ${callOf(output)}${written.fault}`);
        else length += written.text.length;
        return 'text' in written ? { $expression: written.text } : null;
      };
      const values = replace(step.with, take) as JsonObject;
      steps[number + shift] = { ...step, with: values, title: titleOf(task, values) };
    }
  }
  if (length > mostText) faults.push(tooLong(length));
  refuse(name, faults);
}

function isPrevious(value: JsonObject): value is PreviousValue {
  const named = value['$previous'];
  return (typeof named === 'string' || named === null) && Object.keys(value).length === 1;
}

function replace(value: Json, take: (output: string | null) => Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => replace(item, take));
  if (!isJsonObject(value)) return value;
  if (isPrevious(value)) return take(value.$previous);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replace(item, take)]));
}

interface Ground {
  readonly steps: readonly PlanStep[];
  readonly shift: number;
  readonly tasks: ReadonlyMap<string, { readonly task: Task }>;
}

type WrittenFeed = { readonly text: string } | { readonly fault: string };

/** Many steps behind one group take the same list: it is looked through once for each name. */
function rememberFeeds(ground: Ground) {
  const known = new Map<Feed | undefined, Map<string | null, WrittenFeed>>();
  return (feed: Feed | undefined, output: string | null): WrittenFeed => {
    const names = known.get(feed) ?? new Map<string | null, WrittenFeed>();
    known.set(feed, names);
    const written = names.get(output) ?? writeFeed(feed, output, ground);
    names.set(output, written);
    return written;
  };
}

function writeFeed(feed: Feed | undefined, output: string | null, ground: Ground): WrittenFeed {
  if (feed === undefined) return { fault: ', but nothing stands before it' };
  const sources = sourcesOf(feed);
  if (sources.length === 0) return { fault: ', but what stands before it holds no step' };
  for (const source of sources) {
    const fault = judgeOutput(ground.steps[source + ground.shift], output, ground);
    if (fault) return { fault };
  }
  return { text: expressionOf(feed, output, ground) };
}

function sourcesOf(feed: Feed): readonly number[] {
  return typeof feed === 'number' ? [feed] : feed.flatMap(sourcesOf);
}

function judgeOutput(
  step: PlanStep | undefined,
  output: string | null,
  { tasks }: Ground,
): string | undefined {
  if (step?.kind === 'expand') return `, but ${step.id} before it is an expansion, which returns nothing`;
  if (!step?.task) return ', but what stands before it holds no step';
  const outputs = Object.keys(tasks.get(step.task)?.task.output ?? {});
  if (output === null ? outputs.length > 0 : outputs.includes(output)) return undefined;
  const what = output === null ? 'output' : `output ${output}`;
  const expected = outputs.length > 0 ? `: expected one of ${outputs.join(', ')}` : ': it has none';
  const guess = output === null ? '' : didYouMean(output, outputs);
  return ` of ${step.id}, whose task ${step.task} has no ${what}${expected}.${guess}`;
}

function expressionOf(feed: Feed, output: string | null, ground: Ground): string {
  const field = output === null ? '' : `[${JSON.stringify(output)}]`;
  if (typeof feed === 'number') {
    const id = ground.steps[feed + ground.shift]?.id ?? '';
    return `steps[${JSON.stringify(id)}].output${field}`;
  }
  return listExpression(feed, field, ground.shift);
}

/** A list that is no list of lists names its steps by ranges, so that its text does not grow with it. */
function listExpression(feed: readonly Feed[], field: string, shift: number): string {
  const isFlat = feed.every((one) => typeof one === 'number');
  if (isFlat)
    return ofRanges(
      feed.map((one) => one + shift),
      field,
    );
  const items = feed.map((one) =>
    typeof one === 'number' ? `${ofRanges([one + shift], field)}[0]` : listExpression(one, field, shift),
  );
  return `[${items.join(', ')}]`;
}

function ofRanges(numbers: readonly number[], field: string): string {
  const list = `outputs[${JSON.stringify(writeRanges(numbers))}]`;
  return field === '' ? list : `${list}.map(o, o == null ? null : o${field})`;
}

const callOf = (output: string | null) =>
  output === null ? 'previous()' : `previous(${JSON.stringify(output)})`;

function tooLong(length: number): string {
  return `its lists of predecessors take ${length} characters: expected at most ${mostText}. Give the list to one step, and what that returns to the others`;
}

function refuse(name: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const rest = faults.length - mostFaults;
  const lines = [...faults.slice(0, mostFaults), ...(rest > 0 ? [`and ${rest} more`] : [])];
  throw new CephflowError('PLAYBOOK_INVALID', `${name} passes on what is not there:\n${lines.join('\n')}`, {
    hint: 'a task names what it returns in `output`; see it with: cephflow tasks NAME',
  });
}
