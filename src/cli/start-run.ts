import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { TaskLibrary } from '../engine/load-tasks.ts';
import { type CompileContext, compilePlan } from '../plan/compile.ts';
import { compileCode } from '../plan/compile-code.ts';
import { fingerprintDifferences } from '../plan/diff.ts';
import type { Plan } from '../plan/plan.ts';
import { tasksOf } from '../plan/plan-steps.ts';
import { refuseProblems } from '../plan/problems.ts';
import { findCodeFile, loadCodePlaybook } from './code-playbooks.ts';
import { confirmPlan } from './confirm.ts';
import type { Context } from './context.ts';
import { follow } from './follow.ts';
import { shortRun } from './lines.ts';
import { findOutlook } from './outlook.ts';
import { draftsOf, includesOf, problemsOf, readPlaybookFile } from './playbook-files.ts';
import { describePlan, planAsJson } from './show-plan.ts';
import { toJson } from './table.ts';

/** Values of parameters as typed, by name. */
export type TypedParams = Readonly<Record<string, string>>;

/** Say what is to be done: a playbook, with the values of its parameters and what is to be found again in hooks and JSON. */
export interface Wanted {
  readonly playbook: string;
  readonly params: TypedParams;
  readonly payload?: Json;
}

/** Say how a run is started. */
export interface StartOptions {
  readonly confirm: string | undefined;
  readonly reason: string | undefined;
  readonly isDetached: boolean;
  /** For the locks of the plan, where another run holds them. */
  readonly waits: boolean;
}

/** Longest that making a plan may take: a few questions to Ceph, each with a limit of its own. */
const planLimitMs = 300_000;

/**
 * Join `--param name=value` with the options that stand for parameters.
 * @throws USAGE for a --param without `=`, or a value given twice
 */
export function readParamOptions(given: readonly string[], flags: TypedParams): TypedParams {
  const params: Record<string, string> = { ...flags };
  for (const one of given) {
    const at = one.indexOf('=');
    if (at < 1) {
      throw new CephflowError('USAGE', `--param takes name=value, not "${one}"`, {
        hint: 'such as --param node=ceph-osd-07',
      });
    }
    const name = one.slice(0, at);
    if (name in params) throw new CephflowError('USAGE', `parameter ${name} is given twice`);
    params[name] = one.slice(at + 1);
  }
  return params;
}

/**
 * Read what --payload was given.
 * @throws USAGE where it is no JSON
 */
export function readPayload(given: string | undefined): Pick<Wanted, 'payload'> {
  if (given === undefined) return {};
  try {
    return { payload: JSON.parse(given) as Json };
  } catch (thrown) {
    throw noJson(thrown);
  }
}

function noJson(cause: unknown): CephflowError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CephflowError('USAGE', `--payload takes JSON: ${why}`, {
    hint: `such as --payload '{"ticket": "DC-7"}'; a text has quotes of its own: --payload '"DC-7"'`,
    cause,
  });
}

/** Show what a playbook would do. JSON: `{ plan, refusals, effects }`. @returns 0, or 4 when something speaks against it */
export async function showPlan(context: Context, wanted: Wanted): Promise<number> {
  const { globals, io } = context;
  const { plan, outlook } = await makePlan(context, wanted);
  io.data(
    globals.output === 'json' ? toJson(planAsJson(plan, outlook)) : describePlan(plan, outlook, io.dataWidth),
  );
  return outlook.refusals.length === 0 ? 0 : refused(plan, outlook.refusals).exitCode;
}

/**
 * Make the plan, show it, have it confirmed, start the run and follow it.
 * JSON of a detached start: `{ run, state, playbook, target, cluster }`.
 * @throws PLAN_REFUSED with every reason, USAGE, DECLINED, LOCK_HELD, and what making the plan throws
 */
export async function startRun(context: Context, wanted: Wanted, options: StartOptions): Promise<number> {
  const { globals, io, wire } = context;
  const { plan, outlook } = await makePlan(context, wanted);
  io.say(describePlan(plan, outlook, io.sayWidth));
  if (outlook.refusals.length > 0) throw refused(plan, outlook.refusals);
  await confirmPlan(plan, options.confirm, io);
  await refuseStale(context, plan, wanted);
  const control = await wire.control();
  const reason = options.reason === undefined ? {} : { reason: options.reason };
  const { waits } = options;
  const run = await control.startRun(plan, { by: wire.by(), waits, ...reason }).catch(offerToWait);
  await wire.keepGoing();
  if (!options.isDetached) return follow(context, run, { fromStart: true });
  const { target, cluster } = plan;
  const state = waits ? (await (await wire.store()).brief(run)).state : 'running';
  if (globals.output === 'json') io.data(toJson({ run, state, playbook: plan.playbook, target, cluster }));
  else io.data(run);
  const how = state === 'planned' ? 'begins when its locks are free' : 'goes on';
  io.say(`run ${shortRun(run)} ${how}; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

function offerToWait(thrown: unknown): never {
  if (!(thrown instanceof CephflowError) || thrown.code !== 'LOCK_HELD') throw thrown;
  const hint = `${thrown.hint}\n  or add --wait: it begins when the locks are free`;
  throw new CephflowError('LOCK_HELD', thrown.message, { hint, cause: thrown });
}

async function makePlan(context: Context, wanted: Wanted) {
  const { wire } = context;
  const signal = AbortSignal.timeout(planLimitMs);
  const { plan, systems, library } = await compile(context, wanted, signal);
  const asked = { plan, tasks: tasksOf(library), systems, by: wire.by(), nowMs: wire.nowMs(), signal };
  return { plan, outlook: await findOutlook(asked) };
}

async function compile({ wire }: Context, { playbook: name, ...given }: Wanted, signal: AbortSignal) {
  const [config, cluster, library] = [await wire.config(), await wire.clusterName(), await wire.library()];
  const folders = await wire.playbookFolders();
  const compileWith = await openPlaybook(folders, name, library);
  const systems = (await wire.systems(cluster)).read(signal);
  const [map, health] = [await systems.ceph.osdMap(), await systems.ceph.health()];
  const plan = compileWith({
    tasks: library,
    playbooks: includesOf(folders),
    values: given.params,
    map,
    health,
    cluster,
    contacts: Object.keys(config.contacts),
    ...(given.payload === undefined ? {} : { payload: given.payload }),
  });
  return { plan, systems, library };
}

/** Find a playbook, in YAML or in code, and read it; its mistakes are told before the cluster is asked anything. */
async function openPlaybook(
  folders: readonly string[],
  name: string,
  library: TaskLibrary,
): Promise<(context: CompileContext) => Plan> {
  const code = findCodeFile(folders, name);
  if (code !== undefined) {
    const playbook = await loadCodePlaybook(code);
    return (context) => compileCode(playbook, context);
  }
  const file = readPlaybookFile(folders, name);
  const { playbook } = file;
  if (playbook) return (context) => compilePlan(playbook, context);
  refuseProblems(name, problemsOf(file, tasksOf(library), draftsOf(folders)));
  throw new CephflowError('PLAYBOOK_INVALID', `playbook ${name} could not be read`);
}

/** What was confirmed is what was shown: a person may have read for long, and the cluster is not theirs alone. */
async function refuseStale(context: Context, plan: Plan, wanted: Wanted): Promise<void> {
  const now = await compile(context, wanted, AbortSignal.timeout(planLimitMs));
  const changes = fingerprintDifferences(plan.fingerprint, now.plan.fingerprint);
  if (changes.length === 0) return;
  const list = changes.map((change) => `  - ${change}`).join('\n');
  const message = `the cluster has changed since the plan of ${plan.playbook} was shown:\n${list}`;
  throw new CephflowError('PLAN_REFUSED', message, { hint: 'nothing was changed; look at the plan anew' });
}

function refused(plan: Plan, refusals: readonly string[]): CephflowError {
  const about = `${plan.playbook}${plan.target === '' ? '' : ` ${plan.target}`}`;
  const list = refusals.map((reason) => `  - ${reason}`).join('\n');
  return new CephflowError('PLAN_REFUSED', `${about} is refused:\n${list}`, {
    hint: 'nothing was changed',
  });
}
