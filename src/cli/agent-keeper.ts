import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentOptions, agentStatus, ensureAgent, reviveAgent, stopAgent } from '../engine/agent.ts';
import type { Store } from '../engine/store.ts';
import { chooseAgent, chooseForRun } from './agent-choice.ts';
import type { Wire } from './parts.ts';

/** Look after the agent for the commands of a person. */
interface Keeper {
  /** Start a dead agent that has something to do; start a living one anew where that harms nothing. */
  keepGoing(store: Store): Promise<void>;
  /** See to it that a living agent works on these clusters. @throws LOCK_HELD when it cannot be replaced now */
  makeReady(store: Store, clusters: readonly string[]): Promise<void>;
}

/** Runs that are looked at: more than one machine ever has unfinished. */
const mostRuns = 1000;

/** Make the keeper of a state folder's agent. The same warning is given once. */
export function createKeeper(wire: Wire, warn: (text: string) => void): Keeper {
  const { stateDir } = wire;
  const agent: AgentOptions = { stateDir, ...wire.agent };
  const told = new Set<string>();
  const warnOnce = (text: string) => {
    if (!told.has(text)) warn(text);
    told.add(text);
  };
  const mine = async () => {
    const { clusters, files } = await wire.config();
    return { clusters: Object.keys(clusters), files };
  };
  const unfinished = (store: Store) => store.listRuns({ unfinished: true, limit: mostRuns });
  const find = async (store: Store) => {
    const status = await agentStatus(stateDir);
    if (status?.state !== 'working' || status.serves === undefined) return undefined;
    const own = await mine();
    return {
      pid: status.pid,
      serves: status.serves,
      isOutdated: isOutdated(stateDir, own.files),
      mine: own,
      unfinished: await unfinished(store),
      self: wire.self,
    };
  };
  const replace = async () => {
    await stopAgent(stateDir);
    await ensureAgent(agent);
  };
  return {
    keepGoing: async (store) => {
      await reviveAgent({ ...agent, unfinished: async () => (await store.unfinishedRuns()).length });
      const found = await find(store);
      if (found === undefined || found.unfinished.length === 0) return;
      const choice = chooseAgent(found);
      if (choice.kind === 'replace') await replace();
      if (choice.kind === 'warn') warnOnce(choice.text);
    },
    makeReady: async (store, clusters) => {
      // one that is just starting or ending tells what it works with when it has begun
      if (await agentStatus(stateDir)) await ensureAgent(agent);
      const found = await find(store);
      if (found && clusters.some((cluster) => chooseForRun(found, cluster) === 'replace')) await replace();
    },
  };
}

/** An agent keeps the config it was started with: after an edit it would go on with what was just mended. */
function isOutdated(stateDir: string, files: readonly string[]): boolean {
  const startedMs = modifiedMs(join(stateDir, 'agent.pid'));
  return files.some((file) => modifiedMs(file) > startedMs);
}

const modifiedMs = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
