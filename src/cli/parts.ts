import type { Control } from '../engine/control.ts';
import type { TaskLibrary } from '../engine/load-tasks.ts';
import type { Actor, Store } from '../engine/store.ts';
import type { StoreFreeze } from '../engine/store-freeze.ts';
import type { Systems } from '../engine/systems.ts';
import type { Config } from './config.ts';
import type { Check, Finding } from './finding.ts';

/**
 * Hold the real parts of this process, made when they are first asked for. Environment, clock and randomness enter
 * here and nowhere else.
 */
export interface Wire {
  /** How this cephflow is called, with the options that lead to the same config: for lines that are to be typed. */
  readonly self: string;
  /** Value of PATH. */
  readonly searchPath: string;
  /** Folder of the embedded engine's records. */
  readonly stateDir: string;
  /** Name of this machine. */
  readonly host: string;
  readonly version: string;
  /** Names this process among all workers: machine and pid. */
  readonly process: string;
  /** How the agent is started: the same cephflow with the same config, in an environment without the terminal's. */
  readonly agent: {
    readonly command: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
  };
  nowMs(): number;
  /** Who acts, for the records: user, machine and terminal. */
  by(): string;
  /** @throws CONFIG_MISSING, CONFIG_INVALID */
  config(): Promise<Config>;
  /** The cluster to work on: --cluster, or the only one. @throws CLUSTER_UNKNOWN, USAGE */
  clusterName(): Promise<string>;
  /** All tasks: shipped and the config's. @throws TASK_INVALID */
  library(): Promise<TaskLibrary>;
  /** Folders of playbooks: shipped and the config's. */
  playbookFolders(): Promise<readonly string[]>;
  /** Everything around one cluster. @throws CLUSTER_UNKNOWN */
  systems(cluster: string): Promise<Systems>;
  /** The same for a worker, which tells every change of the cluster to its log, and every question with -v. */
  workerSystems(cluster: string, log: (line: string) => void): Promise<Systems>;
  /** Queue, store, agent and worker. @throws PROGRAM_MISSING, REDIS_UNREACHABLE, REDIS_UNSUITABLE, STORE_VERSION */
  engine(): Promise<EngineParts>;
  store(): Promise<Store>;
  control(): Promise<Control>;
  /** Have the embedded agent work on what is unfinished; a dead one is started. With redis.url: nothing. */
  keepGoing(): Promise<void>;
  /** Close everything that was opened. */
  close(): Promise<void>;
}

/** Tell how the agent in the background is. JSON of `agent status`. */
interface AgentState {
  readonly isRunning: boolean;
  readonly pid: number | undefined;
  readonly unfinished: number | undefined;
  readonly stateDir: string;
  /** Names of the clusters it works on, and the config files it was started with; absent where none works. */
  readonly clusters?: readonly string[];
  readonly files?: readonly string[];
}

/** Say whether an embedded Redis that does not run is started: not for what must be quick or only looks. */
export interface Manner {
  readonly start: boolean;
}

/** Reach what the store itself knows of markers, on a connection that is closed again. */
export interface StoreMarkers {
  /** Id of the store, which names this instance in a cluster. @throws REDIS_UNREACHABLE */
  instanceId(manner: Manner): Promise<string>;
  /** @throws REDIS_UNREACHABLE */
  withFreezes<T>(manner: Manner, use: (freezes: StoreFreeze) => Promise<T>): Promise<T>;
}

/** Hold the engine as the commands use it: the embedded one, or that of `redis.url`. */
export interface EngineParts extends StoreMarkers {
  /** Open the store; a dead agent with unfinished runs is started. */
  store(): Promise<Store>;
  control(): Promise<Control>;
  /** Have the agent work on what is unfinished, with the config as it is now. With redis.url: nothing. */
  keepGoing(): Promise<void>;
  /** @throws NOT_CONFIGURED with redis.url, where workers do its work */
  startAgent(): Promise<{ readonly pid: number }>;
  agentState(): Promise<AgentState>;
  /** @returns how many runs are unfinished; undefined where none lived */
  stopAgent(): Promise<{ readonly unfinished: number } | undefined>;
  /** Look at Redis, the agent and the records; with `repairBy` mend those, in whose name. */
  examine(check: Check, repairBy?: Actor): AsyncGenerator<Finding>;
  close(): Promise<void>;
}
