import { parseDuration } from '../base/duration.ts';
import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { ActContext, ReadContext } from './context.ts';
import type { Params, ValuesOf } from './params.ts';

/** Order of severity: what a step may do to the cluster at worst. */
export const risks = ['reads', 'changes', 'moves-data', 'stops-service', 'destroys-data'] as const;

/** Name what a step may do to the cluster at worst. */
export type Risk = (typeof risks)[number];

/** Tell whether something stops a service or destroys data: it is never done on a guess, nor beside another such. */
export function isSevere({ risk }: { readonly risk: Risk }): boolean {
  return risk === 'stops-service' || risk === 'destroys-data';
}

/** Measure how far a wait has come. */
export type Progress = { readonly value: number; readonly target: number; readonly unit: string };

/**
 * Answer `done`: true, or why not yet. `progress` feeds ETA and the detection of a stall; `question` says that a
 * person has to answer (approve or reject) before it can become true.
 */
export type Answer =
  | true
  | { readonly waitingFor: string; readonly progress?: Progress; readonly question?: string };

/** Foretell a step: why it must not be carried out at all, and what it will bring, in sentences with numbers for people. */
export type Outlook = { readonly refusals: readonly string[]; readonly effects: readonly string[] };

/** Hold something for as long as a run lives: taken by `run`, renewed at every third of `life`, released at the end. */
export interface Hold<P extends Params> {
  /** Parameter of kind duration that says how long it lasts unless renewed. */
  readonly life: keyof P & string;
  renew(values: ValuesOf<P>, context: ActContext): Promise<void>;
  release(values: ValuesOf<P>, context: ActContext): Promise<void>;
}

/** Describe an elementary operation; DESIGN section 4 has the meaning of each question. All durations are texts like `10s`. */
export interface TaskDefinition<P extends Params, M extends Json> {
  readonly name: string;
  /** One sentence for people, imperative, without a full stop. */
  readonly summary: string;
  readonly risk: Risk;
  readonly params: P;
  /** Names of the values that `run` returns, each with a phrase; usable as `${steps.ID.output.NAME}`. */
  readonly output?: Readonly<Record<string, string>>;
  /** How often to ask `done` again while it waits. */
  readonly poll?: string;
  /** Believe `done` only after so many good answers in a row over so long: statistics lag behind the map. */
  readonly settle?: { readonly polls: number; readonly over: string };
  /** Say aloud, and ask a person, when there was no progress for so long. */
  readonly stall?: string;
  /** Longest time one attempt's act may take before it is stopped. */
  readonly limit?: string;
  /** Asked when the plan is made, on the untouched cluster; every refusal refuses the whole plan. */
  outlook?(values: ValuesOf<P>, context: ReadContext): Promise<Outlook>;
  /** Asked before acting (true: nothing to do) and after it until true. */
  done?(values: ValuesOf<P>, context: ReadContext): Promise<Answer>;
  /** Reasons not to act now; asked immediately before acting. */
  blockers?(values: ValuesOf<P>, context: ReadContext): Promise<readonly string[]>;
  /** Saved once before the first act, for undo. */
  remember?(values: ValuesOf<P>, context: ReadContext): Promise<M>;
  /** Act. What it returns must be JSON that holds the names declared in `output`. */
  run?(values: ValuesOf<P>, context: ActContext<M>): Promise<unknown>;
  undo?(values: ValuesOf<P>, context: ActContext<M>): Promise<void>;
  readonly hold?: Hold<P>;
  /** What it does need not be taken back, a message to people say: undo of a run passes it over. */
  readonly isNeutral?: boolean;
}

/** Be a task as the engine sees it: its definition with the parameter types forgotten. */
export interface Task extends TaskDefinition<Params, Json> {
  readonly [taskBrand]: true;
}

/** Recognises tasks also when two copies of cephflow are loaded, where instanceof would fail. */
const taskBrand: unique symbol = Symbol.for('cephflow.task') as never;

/** Two or more parts separated by dots, each starting with a letter: `osd.wait-empty`. */
const namePattern = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/;
const paramPattern = /^[a-z][a-z0-9_]*$/;

/**
 * Declare an elementary operation.
 * @throws TASK_INVALID when the definition contradicts itself; the text names the task and the mend
 */
export function task<const P extends Params, M extends Json = null>(definition: TaskDefinition<P, M>): Task {
  const fault = findFault(definition as unknown as TaskDefinition<Params, Json>);
  if (fault) throw new CephflowError('TASK_INVALID', `task ${definition.name}: ${fault}`);
  return { ...(definition as unknown as TaskDefinition<Params, Json>), [taskBrand]: true };
}

/** Tell whether a loaded module's export is a task. */
export function isTask(value: unknown): value is Task {
  return typeof value === 'object' && value !== null && taskBrand in value;
}

function findFault(definition: TaskDefinition<Params, Json>): string | undefined {
  const { name, params, done, run, risk, blockers, hold } = definition;
  if (!namePattern.test(name)) return 'the name must be noun.verb in lower case, such as osd.reweight';
  const badParam = Object.keys(params).find((key) => !paramPattern.test(key));
  if (badParam)
    return `parameter ${badParam} must match [a-z][a-z0-9_]* (a hyphen would be a minus in expressions)`;
  if (!done && !run) return 'it needs done (a wait), run (an act), or both';
  if (run && risk === 'reads') return 'a task that runs changes something: its risk cannot be reads';
  if (!run && risk !== 'reads') return `a task without run only reads: its risk cannot be ${risk}`;
  if (run && isSevere({ risk }) && !(blockers && done)) {
    return `a task that ${risk} needs done and blockers, so that it is never acted on twice or on a guess`;
  }
  if (hold && params[hold.life]?.kind !== 'duration')
    return `hold.life must name a parameter of kind duration`;
  return findBadDuration(definition);
}

function findBadDuration({ poll, settle, stall, limit }: TaskDefinition<Params, Json>): string | undefined {
  const bad = Object.entries({ poll, 'settle.over': settle?.over, stall, limit }).find(
    ([, text]) => text !== undefined && parseDuration(text) === undefined,
  );
  return bad && `${bad[0]} must be a duration such as 10s, not "${bad[1]}"`;
}
