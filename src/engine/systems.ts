import type { CommandLock } from '../remote/command.ts';
import type { LockHolder } from '../remote/lock.ts';
import type { Ceph, CephReads } from '../task/ceph.ts';
import type { Machine, MachineReads, Monitoring, MonitoringReads, People } from '../task/context.ts';
import type { MarkerActs, MarkerReads, Markers } from '../task/markers.ts';

/** Reach what a question may ask. None of these objects has a way to change anything. */
export interface ReadSystems {
  readonly ceph: CephReads;
  machine(node: string): MachineReads;
  readonly monitoring: MonitoringReads;
  /** The engine's and people's own: no task sees them. */
  readonly markers: MarkerReads;
}

/** Reach what an act may change. */
interface ActSystems {
  readonly ceph: Ceph;
  machine(node: string): Machine;
  readonly monitoring: Monitoring;
  readonly people: People;
}

/** Say under which lock an act's commands run on the machines, and what is asked before each of them. */
export interface ActGuard {
  readonly lock: CommandLock;
  /**
   * Asked immediately before each command that changes something. `node`: where it will run under the lock; undefined
   * where it runs beside the worker, without one. Throws where the act may begin nothing more.
   */
  before(node: string | undefined): Promise<void>;
}

/**
 * Reach one cluster and everything around it. `signal` ends every command begun through the object it was given for.
 * @see DESIGN section 7
 */
export interface Systems {
  read(signal: AbortSignal): ReadSystems;
  act(signal: AbortSignal, guard: ActGuard): ActSystems;
  /** Find what still runs on a node under a lock; where nothing does, nothing of an earlier turn begins there any more. */
  findRunning(node: string, lock: CommandLock, signal: AbortSignal): Promise<LockHolder | undefined>;
  /** Change the markers in the cluster itself; that is no part of a step's act. */
  markers(signal: AbortSignal): MarkerActs;
  close(): Promise<void>;
}

/** Open the systems of a cluster by its name in the config. @throws CLUSTER_UNKNOWN, NOT_CONFIGURED */
export type SystemsFor = (cluster: string) => Promise<Systems>;

/** Hold the systems of one cluster for all steps of a worker, with the answers they share. */
export interface OpenCluster {
  readonly systems: Systems;
  /** Reads for polls of `done` only: an answer may be as old as `sharedAgeMs`. Never for blockers or around an act. */
  readonly shared: CephReads;
  /** Whether the cluster said within the last two seconds that it is this one. */
  knows(fsid: string): boolean;
  /** The cluster has just said which one it is. */
  learn(fsid: string): void;
  /**
   * The markers of the cluster: as they are now, or (`shared`) as they were at most `sharedAgeMs` ago. No act changes
   * them, so `forget` leaves them: else a group of small acts would ask once for each.
   */
  markers(how: { readonly shared: boolean }): Promise<Markers>;
  /** Throw away shared answers about Ceph, also those under way: something was changed. */
  forget(): void;
}

/** Younger than any sensible poll, older than the time in which 500 waits come due together. */
const sharedAgeMs = 2000;

interface Shared {
  readonly askedAtMs: number;
  readonly answer: Promise<unknown>;
}

/**
 * Share the reads of one cluster between the waits of a worker, so that 500 waits are not 500 commands.
 * The reads live on `signal`, the worker's own: one step that is aborted must not spoil the answer of the others.
 */
export function openCluster(systems: Systems, signal: AbortSignal, now: () => number): OpenCluster {
  const { ceph, markers } = systems.read(signal);
  const answers = new Map<string, Shared>();
  let marked: (Shared & { readonly answer: Promise<Markers> }) | undefined;

  function askMarkers({ shared: mayBeOld }: { readonly shared: boolean }): Promise<Markers> {
    if (mayBeOld && marked && now() - marked.askedAtMs < sharedAgeMs) return marked.answer;
    const asked = { askedAtMs: now(), answer: markers.get() };
    marked = asked;
    asked.answer.catch(() => {
      if (marked === asked) marked = undefined;
    });
    return asked.answer;
  }

  function share<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const known = answers.get(name);
    if (known && now() - known.askedAtMs < sharedAgeMs) return known.answer as Promise<T>;
    const answer = ask();
    answers.set(name, { askedAtMs: now(), answer });
    // a failure is told to whoever waits for it now, and not kept
    answer.catch(() => answers.delete(name));
    return answer;
  }

  const shared: CephReads = {
    osdMap: () => share('osdMap', () => ceph.osdMap()),
    health: () => share('health', () => ceph.health()),
    status: () => share('status', () => ceph.status()),
    placementGroups: () => share('placementGroups', () => ceph.placementGroups()),
    usage: () => share('usage', () => ceph.usage()),
    services: () => share('services', () => ceph.services()),
    safeToDestroy: (osds) => ceph.safeToDestroy(osds),
    okToStop: (osds) => ceph.okToStop(osds),
    projectRemoval: (osds) => ceph.projectRemoval(osds),
  };
  let known: { readonly fsid: string; readonly atMs: number } | undefined;
  return {
    systems,
    shared,
    markers: askMarkers,
    knows: (fsid) => known?.fsid === fsid && now() - known.atMs < sharedAgeMs,
    learn: (fsid) => {
      known = { fsid, atMs: now() };
    },
    forget: () => answers.clear(),
  };
}
