import { CephflowError } from '../base/errors.ts';
import type { AgentServes } from '../engine/agent.ts';
import type { RunHead } from '../engine/store.ts';
import { shortRun } from './lines.ts';

/** Hold what a command knows when it finds an agent: one agent works for a state folder, with the config it was started with. */
interface Found {
  readonly pid: number;
  readonly serves: AgentServes;
  /** A file of this command's config is newer than the agent. */
  readonly isOutdated: boolean;
  /** Clusters and files of this command's config. */
  readonly mine: AgentServes;
  readonly unfinished: readonly Pick<RunHead, 'run' | 'cluster' | 'counts'>[];
  /** How this cephflow is called. */
  readonly self: string;
}

/** Say what to do about an agent: leave it, start it anew with this command's config, or leave it and tell why. */
type Choice = { readonly kind: 'keep' | 'replace' } | { readonly kind: 'warn'; readonly text: string };

/**
 * Choose what to do about the agent that was found. It is replaced only when that stops no step that is under way and
 * leaves no run without its cluster: a command that only reads must not harm an act.
 */
export function chooseAgent(found: Found): Choice {
  const { serves, mine, unfinished, isOutdated, pid } = found;
  const standing = unfinished.find(({ cluster }) => !serves.clusters.includes(cluster));
  const couldHelp = standing !== undefined && mine.clusters.includes(standing.cluster);
  // a config that does not know what is unfinished is another one, not a newer one
  const isOurs = unfinished.every(({ cluster }) => mine.clusters.includes(cluster));
  if (standing === undefined && !(isOutdated && isOurs)) return { kind: 'keep' };
  const obstacle = isOutdated || couldHelp ? findObstacle(found) : undefined;
  if ((isOutdated || couldHelp) && obstacle === undefined) return { kind: 'replace' };
  if (standing !== undefined) {
    const what = `run ${shortRun(standing.run)} stands still: ${describeAgent(found)}, but not its cluster ${standing.cluster}`;
    return { kind: 'warn', text: `${what}\n  ${advise(found)}` };
  }
  const what = `the agent (process ${pid}) keeps the config that it was started with, because ${obstacle}`;
  return { kind: 'warn', text: `${what}\n  to have it read the config now, type: ${found.self} agent stop` };
}

/**
 * Tell whether a run on a cluster can be started beside the agent that was found.
 * @returns `replace`: only after the agent was started anew
 * @throws LOCK_HELD when the agent does not have the cluster and cannot be replaced now
 */
export function chooseForRun(found: Found, cluster: string): 'keep' | 'replace' {
  if (found.serves.clusters.includes(cluster)) return 'keep';
  const obstacle = findObstacle(found);
  if (obstacle === undefined) return 'replace';
  throw new CephflowError(
    'LOCK_HELD',
    `${describeAgent(found)}, but not ${cluster}; it cannot be started anew now: ${obstacle}`,
    { hint: advise(found) },
  );
}

/** What speaks against ending the agent and starting it with this command's config. */
function findObstacle({ unfinished, mine }: Found): string | undefined {
  const busy = unfinished.find(({ counts }) => (counts.running ?? 0) > 0);
  if (busy) return `steps of run ${shortRun(busy.run)} are under way`;
  const left = unfinished.find(({ cluster }) => !mine.clusters.includes(cluster));
  if (left) return `run ${shortRun(left.run)} on ${left.cluster} has not ended`;
  return undefined;
}

function describeAgent({ pid, serves }: Found): string {
  const files = serves.files.length === 0 ? 'no config file' : serves.files.join(', ');
  return `the agent (process ${pid}) works with ${files}, which has ${serves.clusters.join(', ') || 'no cluster'}`;
}

const advise = ({ self }: Found): string =>
  `write all clusters into one config and type: ${self} agent stop; or keep the records apart: CEPHFLOW_STATE=FOLDER ${self} …`;
