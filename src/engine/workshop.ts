import { performance } from 'node:perf_hooks';
import { parseDuration } from '../base/duration.ts';
import { CephflowError, describeError } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/json.ts';
import type { PlanStep } from '../plan/plan.ts';
import type { CommandLock } from '../remote/command.ts';
import type { ActContext, Decision, ReadContext, StepFacts } from '../task/context.ts';
import type { InstanceFacts } from '../task/markers.ts';
import type { Task } from '../task/task.ts';
import type { Lease, LeaseKeeper } from './lease.ts';
import type { Grant, Outcome, StepError, StoreSteps } from './leases.ts';
import type { TaskLibrary } from './load-tasks.ts';
import { type Observed, readObserved, withNodes } from './settle.ts';
import type { StoreReads } from './store.ts';
import type { PlanHead } from './store-plan.ts';
import type { ActGuard, OpenCluster } from './systems.ts';

/** Hold what every step of a worker uses. */
export interface Workshop {
  readonly store: StoreSteps & StoreReads;
  readonly tasks: TaskLibrary;
  /** Keeps the leases of everything that this worker carries out. */
  readonly leases: LeaseKeeper;
  /** The plan of a run without its steps, and who started it. @throws RUN_UNKNOWN */
  runFacts(run: string): Promise<RunFacts>;
  /** @throws CLUSTER_UNKNOWN, NOT_CONFIGURED */
  cluster(name: string): Promise<OpenCluster>;
  /** Send what became ready in a run. */
  dispatch(run: string): void;
  /** The worker stops: nothing new is begun. */
  isDraining(): boolean;
  /** Name of this worker for people: host and pid. */
  readonly name: string;
  /** The instance that this worker belongs to, as it names itself in a cluster that it acts on. */
  readonly instance: InstanceFacts;
  readonly leaseMs: number;
  /** Whether steps of the usual queue may be carried out here. */
  readonly takesUsual: boolean;
  /** How often a wait is asked about, where the step itself does not say. */
  readonly pollMs?: number;
  /** From 0 to 1: spreads retries, so that what failed together is not tried together. */
  random(): number;
  log(line: string): void;
}

/** Hold what is the same for all steps of a run. */
export interface RunFacts {
  readonly plan: PlanHead;
  readonly by: string;
}

/** Hold a claimed step before it is known what is to be done with it. */
export interface Claimed {
  readonly grant: Grant;
  readonly shop: Workshop;
  readonly run: RunFacts;
  readonly step: PlanStep;
  readonly lease: Lease;
  readonly patience: Patience;
}

/** Hold one claimed step of a task, ready to be asked and acted on. */
export interface Job {
  readonly shop: Workshop;
  readonly plan: PlanHead;
  readonly step: PlanStep;
  readonly task: Task;
  readonly values: JsonObject;
  readonly grant: Grant;
  readonly observed: Observed;
  /** Nodes that the act has sent commands to, also an earlier worker's; grows while it acts. */
  readonly nodes: Set<string>;
  /** What a person said since to a question of the engine's own: a stall, a time limit, an unknown act. */
  readonly verdict: Decision['verdict'] | undefined;
  readonly facts: StepFacts;
  readonly cluster: OpenCluster;
  readonly signal: AbortSignal;
  /** Whether, and until when, this delivery may go on with other steps of its run. */
  readonly patience: Patience;
  /** Milliseconds since the epoch, by Redis' clock. */
  now(): number;
}

/**
 * Say how long one delivery goes on with step after step of its run. Until `untilMs` (by performance.now) it does not
 * care who else waits for a worker; later it goes on only while nobody does.
 */
export interface Patience {
  readonly wantsNext: boolean;
  readonly untilMs: number;
  /** Take all free hands of the worker for more steps; whoever asked gives back what it does not use. */
  borrow(): number;
}

/** Name a step to the systems outside, stable over retries and crashes. */
export function stepFacts(run: string, step: PlanStep, { plan, by }: RunFacts): StepFacts {
  const { cluster, baseline } = plan;
  return {
    run,
    id: step.id,
    key: `${run}/${step.id}`,
    cluster,
    by,
    baseline,
    ...(step.payload === undefined ? {} : { payload: step.payload }),
    ...(plan.payload === undefined ? {} : { runPayload: plan.payload }),
  };
}

/** Carry Redis' clock on from the moment of a claim, by this machine's steady clock. */
export function clockFrom(nowMs: number): () => number {
  const at = performance.now();
  return () => Math.round(nowMs + performance.now() - at);
}

/** Give a question its context. `shared`: the answers of Ceph may be two seconds old. */
export function readContext(job: Job, { shared }: { shared: boolean }): ReadContext {
  const { cluster, signal } = job;
  const systems = cluster.systems.read(signal);
  return {
    ceph: shared ? cluster.shared : systems.ceph,
    machine: (node) => systems.machine(node),
    monitoring: systems.monitoring,
    step: job.facts,
    decision: decisionForTask(job),
    nowMs: job.now(),
    signal,
  };
}

/** Give an act its context. */
export function actContext(job: Job, signal: AbortSignal, remembered: Json | undefined): ActContext {
  const systems = job.cluster.systems.act(signal, guardOf(job));
  const { store } = job.shop;
  return {
    ceph: systems.ceph,
    machine: (node) => systems.machine(node),
    monitoring: systems.monitoring,
    people: systems.people,
    step: job.facts,
    decision: decisionForTask(job),
    nowMs: job.now(),
    signal,
    remembered,
    log(line) {
      // a line that cannot be written must not fail the act it tells about; Redis' own trouble is reported elsewhere
      store.log(job.grant, line).catch(() => job.shop.log(`${job.facts.key}: ${line}`));
    },
  };
}

/**
 * Name the lock on nodes for the commands of a step. Deliveries are numbered upwards: what a worker that was overtaken
 * still sends comes to nothing.
 */
export function commandLock({ grant, step }: Pick<Job, 'grant' | 'step'>): CommandLock {
  return { name: `${grant.run}/${step.id}`, turn: grant.delivery };
}

/**
 * Let an act begin a command only while it holds its lease, as Redis says at that moment, and only after the node was
 * written down. A worker that was stopped for a while and goes on must not act beside the one that took over.
 */
function guardOf(job: Job): ActGuard {
  const { grant, nodes, observed, shop, step } = job;
  return {
    lock: commandLock(job),
    before: async (node) => {
      if (node !== undefined) nodes.add(node);
      const { askedMs: _asked, askedAbout: _about, ...rest } = observed; // an act that begins closes the question
      if ((await shop.store.observe(grant, withNodes(nodes, rest))) === 'accepted') return;
      const what = `${step.id} begins nothing more: its lease was lost, another worker may hold it`;
      throw new CephflowError('COMMAND_ABORTED', what);
    },
  };
}

/** An answer to a question of the engine (a stall, a time limit, an unknown act) is none to the task's own. */
function decisionForTask({ grant, observed }: Job): Decision | undefined {
  const { decision } = grant;
  if (!decision || observed.askedMs !== undefined) return undefined;
  return decision.atMs <= (observed.calmMs ?? 0) ? undefined : decision;
}

/** Used where neither step, config nor task says how often to ask. */
const usualPollMs = 10_000;

/** How often to ask again: the step's own `poll`, else the config's, else the task's. */
export function pollMsOf({ step, shop, task }: Pick<Job, 'step' | 'shop' | 'task'>): number {
  const ofTask = task.poll === undefined ? undefined : parseDuration(task.poll);
  return step.pollMs ?? shop.pollMs ?? ofTask ?? usualPollMs;
}

/** Ask, on completing, for a step that is ready: decided then, since the worker may have been told to stop meanwhile. */
export function claimNext({ shop, patience }: Pick<Job, 'shop' | 'patience'>): Pick<Outcome, 'next'> {
  if (!patience.wantsNext || !shop.takesUsual || shop.isDraining()) return {};
  const isPatient = performance.now() < patience.untilMs;
  return { next: { worker: shop.name, leaseMs: shop.leaseMs, count: 1 + patience.borrow(), isPatient } };
}

/** Turn an error into what is recorded with the step. */
export function recordError(error: CephflowError): StepError {
  return {
    code: error.code,
    message: error.message,
    ...(error.hint !== undefined && { hint: error.hint }),
    detail: describeError(error),
  };
}

/** Take up what the person said to a question that the engine had asked. */
export function takeUpDecision(grant: Grant): {
  observed: Observed;
  verdict: Decision['verdict'] | undefined;
} {
  const observed = readObserved(grant.observed);
  const { decision } = grant;
  const isAnswer = decision && observed.askedMs !== undefined && decision.atMs >= observed.askedMs;
  if (!isAnswer) return { observed, verdict: undefined };
  const { askedMs: _answered, mustAnswer, ...rest } = observed;
  const open = mustAnswer !== undefined && observed.askedAbout !== 'act' ? { mustAnswer } : {};
  return { observed: { ...rest, ...open, calmMs: decision.atMs }, verdict: decision.verdict };
}
