import type { JsonObject } from '../base/json.ts';
import type { StepSettings } from './playbook.ts';

/**
 * Arrange steps in code as a playbook does in YAML: a step, a chain of canvases or a group of them, nested at will, or
 * an expansion, which is none of these until the run knows its list.
 */
export type Canvas = StepCanvas | ChainCanvas | GroupCanvas | ExpandCanvas;

interface AnyCanvas {
  /** Name that `after` of others may use; a step without one is named after its task. */
  readonly id?: string;
  /** Start after the canvases of these ids instead of after the neighbour. */
  readonly after?: readonly string[];
}

/** Use a task with values as the plan holds them. */
export interface StepCanvas extends AnyCanvas {
  readonly canvas: 'step';
  readonly task: string;
  /** May hold `previous()` at any depth; a step without it takes nothing of its predecessor. */
  readonly with: JsonObject;
  readonly settings: StepSettings;
  /** CEL over outputs, ids as in the plan. */
  readonly when?: string;
}

/** Do canvases one after the other. */
export interface ChainCanvas extends AnyCanvas {
  readonly canvas: 'chain';
  readonly items: readonly Canvas[];
}

/** Do canvases beside one another. */
export interface GroupCanvas extends AnyCanvas {
  readonly canvas: 'group';
  readonly members: readonly Canvas[];
  /** How many members may be begun and not finished. */
  readonly maxParallel?: number;
}

/** Do a canvas for each value of a list that an earlier step returns; none of it holds another expansion. */
export interface ExpandCanvas extends AnyCanvas {
  readonly canvas: 'expand';
  readonly id: string;
  /** CEL over outputs, ids as in the plan, that gives the list. */
  readonly over: string;
  /** Name of a member's value in the late expressions of `member`. */
  readonly variable: string;
  readonly atMost: number;
  readonly maxParallel?: number;
  readonly member: Canvas;
  readonly settings: StepSettings;
}

/** What a step may carry besides its values. */
export interface StepOptions extends StepSettings {
  readonly id?: string;
  readonly after?: readonly string[];
  readonly when?: string;
}

/** What a group may carry besides its members. */
export interface GroupOptions {
  readonly id?: string;
  readonly after?: readonly string[];
  readonly maxParallel?: number;
}

/** Shared by all steps without settings or options: a graph may have a hundred thousand. */
const none: StepOptions = {};

/** Use a task: `step('osd.stop', { osd })`, `step('text.say', { text: previous('device') })`. */
export function step(task: string, values: JsonObject = {}, options: StepOptions = none): StepCanvas {
  if (options === none) return { canvas: 'step', task, with: values, settings: none };
  const { id, after, when, ...settings } = options;
  return {
    canvas: 'step',
    task,
    with: values,
    settings,
    ...(id === undefined ? {} : { id }),
    ...(after === undefined ? {} : { after }),
    ...(when === undefined ? {} : { when }),
  };
}

/** Do canvases one after the other. */
export function chain(...items: readonly Canvas[]): ChainCanvas {
  return { canvas: 'chain', items };
}

/** Do canvases beside one another. */
export function group(members: readonly Canvas[], options: GroupOptions = {}): GroupCanvas {
  return { canvas: 'group', members, ...options };
}

/** Do the header's canvases beside one another, then the body when all of them are done. */
export function chord(header: readonly Canvas[], body: Canvas): ChainCanvas {
  return chain(group(header), body);
}
