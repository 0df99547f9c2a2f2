import type { Param } from '../task/params.ts';
import type { Plan, PlanStep } from './plan.ts';
import type { Place } from './problems.ts';
import type { Written, WrittenEntry, WrittenText } from './written.ts';

/** Be a playbook as it is written: nothing is looked up and no expression is evaluated yet. */
export interface Playbook {
  readonly file: string;
  readonly name: string;
  readonly summary: string;
  readonly params: readonly PlaybookParam[];
  /** Held by the run from start to end. */
  readonly locks: readonly WrittenLock[];
  readonly deadline?: Plan['deadline'];
  readonly payload?: Plan['payload'];
  /** What all its steps say unless they say otherwise. */
  readonly defaults: Pick<StepSettings, 'queue' | 'priority'>;
  /** A chain: one after the other. */
  readonly steps: readonly Item[];
  /** A chain that is started when the run ends, whatever its outcome. */
  readonly finally: readonly Item[];
  /** Its form has mistakes: what is missed in it may stand in the part that could not be read. */
  readonly isDraft?: true;
}

/** Be a declared parameter. `default` may hold expressions over the parameters before it. */
export interface PlaybookParam {
  readonly name: string;
  readonly place: Place;
  readonly param: Omit<Param, 'default'>;
  readonly default?: Written;
  /** Its kind could not be read: any use of it may be right. Only in a draft. */
  readonly isUnclear?: true;
}

/** Be one entry of a chain. */
export type Item = StepItem | IncludeItem | GroupItem | ChainItem;

interface AnyItem {
  /** Unique in the playbook: as written, else made from the task's or playbook's name. */
  readonly id: string;
  readonly place: Place;
  /** Start after these instead of after the neighbour above. */
  readonly after?: readonly WrittenText[];
}

/** Use a task. */
export interface StepItem extends AnyItem {
  readonly kind: 'step';
  readonly task: WrittenText;
  readonly with: readonly WrittenEntry[];
  readonly options: WrittenSettings;
  readonly locks: readonly WrittenLock[];
  /** CEL; where it is false the step is skipped. */
  readonly when?: WrittenText;
  /** Its form has mistakes: what it seems to lack may stand under a mistyped key. Only in a draft. */
  readonly isUnclear?: true;
}

/** Hold what a step says about how it is carried out, as the plan holds it. */
export type StepSettings = Pick<
  PlanStep,
  | 'timeout'
  | 'pollMs'
  | 'delayMs'
  | 'retry'
  | 'limitMs'
  | 'queue'
  | 'priority'
  | 'rate'
  | 'locks'
  | 'approvers'
  | 'payload'
>;

/** Be the settings as they are written; all of it is literal. A rate without a name is the step's own. */
export type WrittenSettings = Omit<StepSettings, 'rate' | 'locks'> & {
  readonly rate?: Omit<NonNullable<StepSettings['rate']>, 'name'> & { readonly name?: string };
};

/** Be a lock whose name is a text with expressions, such as `node/${params.node.name}`. */
export interface WrittenLock {
  readonly name: WrittenText;
  readonly capacity: number;
}

/** Use another playbook. */
export interface IncludeItem extends AnyItem {
  readonly kind: 'playbook';
  readonly playbook: WrittenText;
  readonly with: readonly WrittenEntry[];
}

/**
 * Do things beside one another. With `forEach` each value of the list is a member, which does `steps` as a chain;
 * without it each of `steps` is a member. A list that an output tells makes it an expansion.
 */
export interface GroupItem extends AnyItem {
  readonly kind: 'group';
  readonly forEach?: { readonly variable: string; readonly place: Place; readonly over: Written };
  readonly maxParallel?: Written;
  /** Most members of a list that only an output tells. */
  readonly atMost?: Written;
  /** Held by each step in it. */
  readonly locks: readonly WrittenLock[];
  /** Its form has mistakes: what it seems to lack may stand under a mistyped key. Only in a draft. */
  readonly isUnclear?: true;
  readonly steps: readonly Item[];
}

/** Do things one after the other, as a member of a group. */
export interface ChainItem extends AnyItem {
  readonly kind: 'chain';
  readonly steps: readonly Item[];
}

/** List every item of a chain and of what it nests, outer before inner. */
export function allItems(items: readonly Item[]): readonly Item[] {
  return items.flatMap((item) =>
    item.kind === 'group' || item.kind === 'chain' ? [item, ...allItems(item.steps)] : [item],
  );
}

/** Give for each item the ids of the for-each groups around it, outermost first. */
export function loopsOf(
  items: readonly Item[],
  around: readonly string[] = [],
): ReadonlyMap<string, readonly string[]> {
  const loops = new Map<string, readonly string[]>();
  for (const item of items) {
    loops.set(item.id, around);
    if (item.kind === 'step' || item.kind === 'playbook') continue;
    const inner = item.kind === 'group' && item.forEach ? [...around, item.id] : around;
    for (const [id, list] of loopsOf(item.steps, inner)) loops.set(id, list);
  }
  return loops;
}

/** What ids of steps, parameters and variables must look like: a hyphen would be a minus in expressions. */
export const namePattern = /^[a-z][a-z0-9_]*$/;
