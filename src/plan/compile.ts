import { CephflowError, type ErrorCode } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import type { Health, OsdMap } from '../task/ceph.ts';
import type { Task } from '../task/task.ts';
import { assemblePlan } from './assemble.ts';
import { type Canvas, chain } from './canvas.ts';
import { checkPlaybook } from './check.ts';
import { type Expansion, expandPlaybook } from './expand.ts';
import type { Plan, PlanLock } from './plan.ts';
import type { Playbook } from './playbook.ts';
import { refuseProblems } from './problems.ts';
import { readParamValues, type ValueFault } from './read-values.ts';

/** What a plan is made with. */
export interface CompileContext {
  /** The tasks that this installation has, each with the hash of its file. */
  readonly tasks: ReadonlyMap<string, { readonly task: Task; readonly hash: string }>;
  /** Playbooks that may be included, by name. */
  readonly playbooks: ReadonlyMap<string, Playbook>;
  /** Values of the parameters as they were given: text or JSON. */
  readonly values: Readonly<Record<string, Json>>;
  readonly map: OsdMap;
  readonly health: Health;
  /** Name of the cluster in the config. */
  readonly cluster: string;
  /** Names of the contacts of the config. */
  readonly contacts: readonly string[];
}

/**
 * Compile a playbook with its values against a cluster as it is now.
 * @throws PLAYBOOK_INVALID with all that is wrong in the file
 * @throws NODE_UNKNOWN, OSD_UNKNOWN, PARAM_INVALID with all values that do not fit
 * @throws EXPRESSION_FAILED with all expressions that have no value here
 */
export function compilePlan(playbook: Playbook, context: CompileContext): Plan {
  const tasks = new Map([...context.tasks].map(([name, { task }]) => [name, task]));
  refuseProblems(playbook.name, checkPlaybook(playbook, tasks, context.playbooks));
  const { json, cel, faults } = readParamValues(playbook, context.values, context);
  refuseFaults(playbook, faults);
  const expansion: Expansion = { ...context, faults: [] };
  const { main, atEnd, locks } = expandPlaybook(playbook, cel, expansion);
  refuseFaults(playbook, expansion.faults);
  return assemblePlan(
    {
      name: playbook.name,
      summary: playbook.summary,
      params: json,
      target: targetOf(playbook, json),
      ...(playbook.deadline ? { deadline: playbook.deadline } : {}),
      ...(playbook.payload === undefined ? {} : { payload: playbook.payload }),
      locks,
      main,
      atEnd,
    },
    context,
  );
}

/** Describe a graph built in code, where a playbook would be too stiff. `params` are shown, nothing more. */
export interface CanvasPlan extends Pick<Plan, 'deadline' | 'payload'> {
  readonly name: string;
  readonly summary: string;
  readonly target: string;
  readonly params?: JsonObject;
  readonly locks?: readonly PlanLock[];
  readonly main: Canvas;
  readonly atEnd?: Canvas;
}

/**
 * Make a plan of a canvas built in code. Values stand as tasks see them, late ones as `{ $expression }`.
 * @throws PLAYBOOK_INVALID for unknown tasks, ids in `after` that do not exist, and circles
 */
export function compileCanvas(
  canvas: CanvasPlan,
  context: Omit<CompileContext, 'values' | 'playbooks'>,
): Plan {
  const { params = {}, locks = [], atEnd = chain(), ...rest } = canvas;
  return assemblePlan({ ...rest, params, locks, atEnd: [atEnd] }, context);
}

/** A fault of the outermost cause names the whole: an expression that fails may make values absent. */
const codesByCause: readonly ErrorCode[] = [
  'EXPRESSION_FAILED',
  'PARAM_INVALID',
  'NODE_UNKNOWN',
  'OSD_UNKNOWN',
];

function refuseFaults(playbook: Playbook, faults: readonly ValueFault[]): void {
  if (faults.length === 0) return;
  const code = codesByCause.find((one) => faults.some((fault) => fault.code === one)) ?? 'PARAM_INVALID';
  const messages = [...new Set(faults.map(({ message }) => message))];
  throw new CephflowError(code, messages.join('\n'), {
    hint: `what it takes: cephflow playbooks ${playbook.name}`,
  });
}

/** Kinds of parameters that a plan may be about. */
const targetKinds: readonly string[] = ['node', 'hostname', 'osd'];

/** Name what a plan is about: the first of its parameters that is a node, a host name or an OSD. */
function targetOf(playbook: Playbook, json: Readonly<Record<string, Json>>): string {
  const param = playbook.params.find((one) => targetKinds.includes(one.param.kind));
  const value = param && json[param.name];
  if (isJsonObject(value)) return String(value['name']);
  return typeof value === 'string' ? value : '';
}
