import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConfFacts, recoverySettings } from './ceph-conf.ts';
import { batch, startDaemon } from './cluster.ts';
import { demand, type Keeper, run, type Said } from './keeper.ts';
import type { LabNode } from './node.ts';
import { until } from './until.ts';

/** `mon`, `mgr` or an OSD by its name. */
type DaemonName = 'mon' | 'mgr' | `osd.${number}`;

/** What a test does to the cluster of a lab. */
export interface ClusterActs {
  /** Run `ceph …` as admin; a failing exit code is an answer, not an error. */
  ceph(...words: string[]): Promise<Said>;
  /** Run `ceph … --format json` and return what it said; throws where the exit code is not 0. */
  cephJson<T = unknown>(...words: string[]): Promise<T>;
  /** Carry out many ceph commands through one client, quickly; read back what matters, failures are not told. */
  batch(commands: readonly string[], format?: 'plain' | 'json'): Promise<string>;
  slowRecovery(sleepSeconds: number): Promise<void>;
  fastRecovery(): Promise<void>;
  /** SIGKILL. */
  kill(daemon: DaemonName): Promise<void>;
  /** SIGSTOP: the daemon is there and does not answer. */
  pause(daemon: DaemonName): Promise<void>;
  resume(daemon: DaemonName): Promise<void>;
  startMgr(): Promise<void>;
  startMon(): Promise<void>;
  /** Wait for HEALTH_OK. */
  waitHealthy(timeoutSeconds: number): Promise<void>;
  /** Wait until every PG is active+clean, none is mapped anew and all OSDs are up. */
  waitClean(timeoutSeconds: number): Promise<void>;
}

/** What the acts work on. */
export interface ActsOn {
  readonly keeper: Keeper;
  readonly facts: ConfFacts;
  readonly nodes: ReadonlyMap<string, LabNode>;
  /** Run a command with the monitor's hostname. */
  readonly onMonitor: (words: string[]) => Promise<Said>;
}

interface Status {
  readonly health: { readonly status: string };
  readonly osdmap: { num_osds: number; num_up_osds: number; num_remapped_pgs: number };
  readonly pgmap: { num_pgs: number; pgs_by_state: readonly { state_name: string; count: number }[] };
}

/** The lab's clients give up after this; a monitor that is there answers within a second. */
const connectSeconds = 10;
/** Statistics come from the manager a second late, so one good poll is not enough. */
const goodPolls = 3;

/** Give a lab the acts on its cluster. */
export function clusterActs(on: ActsOn): ClusterActs {
  const { facts } = on;
  const options = ['--conf', join(facts.dir, 'ceph.conf'), '--connect-timeout', String(connectSeconds)];
  const ceph = (...words: string[]): Promise<Said> => run('ceph', [...options, ...words]);
  const cephJson = async <T>(...words: string[]): Promise<T> =>
    JSON.parse(demand(['ceph', ...words], await ceph(...words, '--format', 'json'))) as T;
  return {
    ceph,
    cephJson,
    batch: (commands, format) => batch(facts, commands, format),
    slowRecovery: async (sleepSeconds) => void (await batch(facts, recoverySettings(sleepSeconds))),
    fastRecovery: async () => void (await batch(facts, recoverySettings(0))),
    kill: (daemon) => signalDaemon(on, daemon, 'KILL'),
    pause: (daemon) => signalDaemon(on, daemon, 'STOP'),
    resume: (daemon) => signalDaemon(on, daemon, 'CONT'),
    startMgr: () => startDaemon('mgr', facts, on.onMonitor),
    startMon: () => startDaemon('mon', facts, on.onMonitor),
    waitHealthy: (timeoutSeconds) => waitFor('HEALTH_OK', timeoutSeconds, { cephJson, good: isHealthy }),
    waitClean: (timeoutSeconds) =>
      waitFor('all PGs active+clean', timeoutSeconds, { cephJson, good: isClean }),
  };
}

async function signalDaemon(on: ActsOn, daemon: DaemonName, signal: string): Promise<void> {
  const pid = await daemonPid(on, daemon);
  await on.keeper.must(['kill', `-${signal}`, pid]);
}

async function daemonPid(on: ActsOn, daemon: DaemonName): Promise<string> {
  const folders = daemon.startsWith('osd.') ? [...on.nodes.values()].map(({ dir }) => dir) : [on.facts.dir];
  const files = folders.map((folder) => join(folder, 'run', `${daemon}.pid`));
  for (const file of files) {
    const pid = (await readFile(file, 'utf8').catch(() => '')).trim();
    if (pid !== '') return pid;
  }
  throw new Error(`lab: ${daemon} has no pid file; looked at ${files.join(', ')}`);
}

async function waitFor(
  what: string,
  timeoutSeconds: number,
  how: { cephJson: <T>(...words: string[]) => Promise<T>; good: (status: Status) => boolean },
): Promise<void> {
  let polls = 0;
  let last = '';
  const ask = async (): Promise<boolean> => {
    const status = await how.cephJson<Status>('status');
    last = JSON.stringify({ health: status.health, osdmap: status.osdmap, pgs: status.pgmap.pgs_by_state });
    polls = how.good(status) ? polls + 1 : 0;
    return polls >= goodPolls;
  };
  await until(what, timeoutSeconds, ask, () => last);
}

function isHealthy(status: Status): boolean {
  return status.health.status === 'HEALTH_OK';
}

function isClean(status: Status): boolean {
  const { osdmap, pgmap } = status;
  const clean = pgmap.pgs_by_state.find(({ state_name }) => state_name === 'active+clean')?.count ?? 0;
  // A new manager reports no PG at all at first, and HEALTH_OK with it.
  const isReported = pgmap.num_pgs > 0;
  const isUp = osdmap.num_up_osds === osdmap.num_osds;
  return isReported && isUp && osdmap.num_remapped_pgs === 0 && clean === pgmap.num_pgs;
}
