import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Params, ValuesOf } from '../task/params.ts';
import type { Canvas } from './canvas.ts';
import type { PlanLock } from './plan.ts';

/** What a playbook in code builds, where a canvas alone does not say all. */
export interface BuiltPlaybook {
  readonly main: Canvas;
  /** Done when the run ends, whatever its outcome. */
  readonly atEnd?: Canvas;
  /** Held from start to end: names of locks, or locks that several may hold at once. */
  readonly locks?: readonly (string | PlanLock)[];
  /** What the run is about, for lists and confirmations; absent: the first parameter that is a node, a host or an OSD. */
  readonly target?: string;
  /** For hooks, events and JSON; --payload takes its place. At most 4 KiB. */
  readonly payload?: Json;
}

/** Describe a playbook whose graph is built by code. */
export interface PlaybookDefinition<P extends Params> {
  /** As its file is called. */
  readonly name: string;
  /** One sentence for people. */
  readonly summary: string;
  readonly params?: P;
  /**
   * Build the graph for these values: only from them, without I/O, a clock or randomness, since the plan is made again
   * when it is confirmed.
   */
  build(values: ValuesOf<P>): Canvas | BuiltPlaybook;
}

/** Be a playbook in code as cephflow sees it: its definition with the parameter types forgotten. */
export interface CodePlaybook extends PlaybookDefinition<Params> {
  readonly [playbookBrand]: true;
}

/** Recognises playbooks also when two copies of cephflow are loaded. */
const playbookBrand: unique symbol = Symbol.for('cephflow.playbook') as never;

const namePattern = /^[a-z][a-z0-9-]*$/;

/**
 * Declare a playbook in code: the default export of a .ts, .mts, .js or .mjs file in a folder of playbooks.
 * @throws PLAYBOOK_INVALID for a name that cannot be typed
 */
export function playbook<const P extends Params = Record<never, never>>(
  definition: PlaybookDefinition<P>,
): CodePlaybook {
  const { name } = definition;
  if (!namePattern.test(name)) {
    const text = `"${name}" is no name of a playbook: expected lower case and hyphens, such as replace-node`;
    throw new CephflowError('PLAYBOOK_INVALID', text);
  }
  return { ...(definition as unknown as PlaybookDefinition<Params>), [playbookBrand]: true };
}

/** Tell whether a loaded module's export is a playbook. */
export function isCodePlaybook(value: unknown): value is CodePlaybook {
  return typeof value === 'object' && value !== null && playbookBrand in value;
}
