import { CephflowError, type ErrorCode } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import type { Health, OsdMap } from '../task/ceph.ts';
import type { ParamKind } from '../task/params.ts';
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
  /** What whoever starts the run wants to find again in hooks and JSON; at most 4 KiB. */
  readonly payload?: Json;
}

/**
 * Compile a playbook with its values against a cluster as it is now.
 * @throws PLAYBOOK_INVALID with all that is wrong in the file
 * @throws NODE_UNKNOWN, OSD_UNKNOWN, PARAM_INVALID with all values that do not fit
 * @throws EXPRESSION_FAILED with all expressions that have no value here
 * @throws PARAM_INVALID for a payload of more than 4 KiB
 */
export function compilePlan(playbook: Playbook, context: CompileContext): Plan {
  const tasks = new Map([...context.tasks].map(([name, { task }]) => [name, task]));
  refuseProblems(playbook.name, checkPlaybook(playbook, tasks, context.playbooks));
  const { json, cel, faults } = readParamValues(playbook, context.values, context);
  refuseFaults(playbook.name, faults);
  const expansion: Expansion = { ...context, faults: [] };
  const { main, atEnd, locks } = expandPlaybook(playbook, cel, expansion);
  refuseFaults(playbook.name, expansion.faults);
  // what was given for this run takes the place of what the playbook says
  const payload = context.payload === undefined ? playbook.payload : context.payload;
  return assemblePlan(
    {
      name: playbook.name,
      summary: playbook.summary,
      params: json,
      target: targetOf(
        playbook.params.map(({ name, param }) => ({ name, kind: param.kind })),
        json,
      ),
      ...(playbook.deadline ? { deadline: playbook.deadline } : {}),
      ...(payload === undefined ? {} : { payload }),
      locks,
      main,
      atEnd,
    },
    context,
  );
}

/** Describe a graph built in code, where a playbook would be too stiff. `params` are shown, nothing more. */
export interface CanvasPlan extends Pick<Plan, 'deadline'> {
  readonly name: string;
  readonly summary: string;
  readonly target: string;
  readonly params?: JsonObject;
  readonly locks?: readonly PlanLock[];
  /** What is to be found again in hooks and JSON; that of the context, where it has one, takes its place. */
  readonly payload?: Json;
  readonly main: Canvas;
  readonly atEnd?: Canvas;
}

/**
 * Make a plan of a canvas built in code. Values stand as tasks see them, late ones as `{ $expression }` or `previous()`.
 * @throws PLAYBOOK_INVALID for unknown tasks, ids in `after` that do not exist, circles, and outputs of predecessors that
 * are not there; PARAM_INVALID for a payload of more than 4 KiB
 */
export function compileCanvas(
  canvas: CanvasPlan,
  context: Omit<CompileContext, 'values' | 'playbooks'>,
): Plan {
  const { params = {}, locks = [], atEnd = chain(), ...rest } = canvas;
  const payload = context.payload === undefined ? {} : { payload: context.payload };
  return assemblePlan({ ...rest, ...payload, params, locks, atEnd: [atEnd] }, context);
}

/** A fault of the outermost cause names the whole: an expression that fails may make values absent. */
const codesByCause: readonly ErrorCode[] = [
  'EXPRESSION_FAILED',
  'PARAM_INVALID',
  'NODE_UNKNOWN',
  'OSD_UNKNOWN',
];

/** Refuse values that do not fit, all at once. */
export function refuseFaults(playbook: string, faults: readonly ValueFault[]): void {
  if (faults.length === 0) return;
  const code = codesByCause.find((one) => faults.some((fault) => fault.code === one)) ?? 'PARAM_INVALID';
  const messages = [...new Set(faults.map(({ message }) => message))];
  throw new CephflowError(code, messages.join('\n'), {
    hint: `what it takes: cephflow playbooks ${playbook}`,
  });
}

/** Kinds of parameters that a plan may be about. */
const targetKinds: readonly ParamKind[] = ['node', 'hostname', 'osd'];

/** Name what a plan is about: the first of its parameters that is a node, a host name or an OSD. */
export function targetOf(
  params: readonly { readonly name: string; readonly kind: ParamKind }[],
  json: Readonly<Record<string, Json>>,
): string {
  const param = params.find(({ kind }) => targetKinds.includes(kind));
  const value = param && json[param.name];
  if (isJsonObject(value)) return String(value['name']);
  return typeof value === 'string' ? value : '';
}
