import { CephflowError } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import type { Params, ValuesOf } from '../task/params.ts';
import type { Canvas, StepCanvas } from './canvas.ts';
import type { BuiltPlaybook, CodePlaybook } from './code.ts';
import { type CompileContext, compileCanvas, refuseFaults, targetOf } from './compile.ts';
import { holdsLate } from './expand.ts';
import type { Plan } from './plan.ts';
import { holdsPrevious } from './previous.ts';
import type { ValueFault } from './read-values.ts';
import { resolveValue } from './resolve.ts';

/**
 * Build the graph of a playbook in code with its values, and compile it. Values of its parameters and of its steps are
 * read as in a playbook in YAML: names of nodes and OSDs become identities, durations milliseconds, defaults stand in.
 * @throws PLAYBOOK_INVALID when it does not build, and what `compileCanvas` throws
 * @throws NODE_UNKNOWN, OSD_UNKNOWN, PARAM_INVALID with all values that do not fit
 */
export function compileCode(playbook: CodePlaybook, context: CompileContext): Plan {
  const { name, summary, params: declared = {} } = playbook;
  const faults: ValueFault[] = [];
  const params = readValues(context.values, declared, { of: name, context, faults });
  refuseFaults(name, faults);
  const { main, atEnd, locks = [], target, payload } = build(playbook, params);
  const read = (canvas: Canvas) => readCanvas(canvas, context, faults);
  const canvas = {
    name,
    summary,
    params,
    target: target ?? targetOf(kindsOf(declared), params),
    locks: locks.map((lock) => (typeof lock === 'string' ? { name: lock, capacity: 1 } : lock)),
    ...(payload === undefined ? {} : { payload }),
    main: read(main),
    ...(atEnd === undefined ? {} : { atEnd: read(atEnd) }),
  };
  refuseFaults(name, faults);
  return compileCanvas(canvas, context);
}

const kindsOf = (params: Params) => Object.entries(params).map(([name, { kind }]) => ({ name, kind }));

function build(playbook: CodePlaybook, values: JsonObject): BuiltPlaybook {
  try {
    const built = playbook.build(values as unknown as ValuesOf<Params>);
    return 'canvas' in built ? { main: built } : built;
  } catch (thrown) {
    throw isOurs(thrown) ? thrown : unbuildable(playbook.name, thrown);
  }
}

/** A refusal of the author's own may be of another copy of the class. */
const isOurs = (thrown: unknown) => thrown instanceof Error && thrown.name === 'CephflowError';

function unbuildable(name: string, cause: unknown): CephflowError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CephflowError('PLAYBOOK_INVALID', `playbook ${name} does not build: ${why}`, {
    hint: 'mend its build(); for a refusal of your own, throw a CephflowError with PLAN_REFUSED',
    cause,
  });
}

interface Reading {
  /** Whose values they are, for people. */
  readonly of: string;
  readonly context: CompileContext;
  readonly faults: ValueFault[];
}

/** Read what was given for parameters; what is wrong is added to the faults. */
function readValues(given: JsonObject, params: Params, { of, context, faults }: Reading): JsonObject {
  const known = Object.keys(params);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const expected = known.length > 0 ? `it takes ${known.join(', ')}` : 'it takes none';
    const message = `${of} has no parameter "${name}": ${expected}.${didYouMean(name, known)}`;
    faults.push({ code: 'PARAM_INVALID', message });
  }
  const values: Record<string, Json> = {};
  for (const [name, param] of Object.entries(params)) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value !== undefined && (holdsLate(value) || holdsPrevious(value))) {
      values[name] = value;
      continue;
    }
    const resolved = resolveValue(param, value, context);
    if (resolved.message === undefined) values[name] = resolved.value;
    else faults.push({ code: resolved.code, message: `${of}: ${name}: ${resolved.message}` });
  }
  return values;
}

function readCanvas(canvas: Canvas, context: CompileContext, faults: ValueFault[]): Canvas {
  const read = (inner: Canvas) => readCanvas(inner, context, faults);
  if (canvas.canvas === 'chain') return { ...canvas, items: canvas.items.map(read) };
  if (canvas.canvas === 'group') return { ...canvas, members: canvas.members.map(read) };
  if (canvas.canvas === 'expand') return { ...canvas, member: read(canvas.member) };
  return readStep(canvas, context, faults);
}

function readStep(step: StepCanvas, context: CompileContext, faults: ValueFault[]): StepCanvas {
  const task = context.tasks.get(step.task)?.task;
  if (!task) return step;
  const of = step.id === undefined || step.id === step.task ? step.task : `${step.id} (${step.task})`;
  return { ...step, with: readValues(step.with, task.params, { of, context, faults }) };
}
