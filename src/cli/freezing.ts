import { asCephflowError, CephflowError } from '../base/errors.ts';
import { describeFreeze } from '../engine/guard.ts';
import { everyCluster } from '../engine/store-freeze.ts';
import type { FreezeMarker, Marked } from '../task/markers.ts';
import { openMarkers } from './instances.ts';
import type { Io } from './io.ts';
import type { Wire } from './parts.ts';

/** Say what is frozen. `isAll`: all clusters of the config. */
interface Scope {
  readonly clusters: readonly string[];
  readonly isAll: boolean;
}

/** Find what a freeze or unfreeze is about. @throws USAGE for --all beside --cluster, CLUSTER_UNKNOWN */
export async function readScope(wire: Wire, isAll: boolean, named: string | undefined): Promise<Scope> {
  if (isAll && named !== undefined)
    throw new CephflowError('USAGE', '--all is about every cluster: leave --cluster out');
  const clusters = isAll ? Object.keys((await wire.config()).clusters) : [await wire.clusterName()];
  // a mistyped name is found before anything is frozen
  for (const cluster of clusters) await wire.systems(cluster);
  return { clusters, isAll };
}

type Outcome<T> = { readonly value: T } | { readonly error: CephflowError };

/**
 * Freeze: write the marker into each cluster and, where Redis answers, into the store; at once, since neither must wait
 * for the other that does not answer. One that is frozen already keeps its marker.
 * @throws CEPH_UNREACHABLE and what else kept a cluster from being marked
 */
export async function freezeClusters(wire: Wire, io: Io, scope: Scope, marker: FreezeMarker): Promise<void> {
  const [store, ...marked] = await Promise.all([
    outcome(freezeStore(wire, scope, marker)),
    ...scope.clusters.map((cluster) => outcome(freezeCluster(wire, cluster, marker))),
  ]);
  for (const [at, cluster] of scope.clusters.entries()) {
    const one = marked[at];
    if (!one || 'error' in one) continue;
    const { freeze, isNew } = one.value;
    io.say(`${cluster} is ${isNew ? '' : 'already '}${describeFreeze(freeze)}`);
    io.say(`nothing new is acted on there until: ${wire.self} unfreeze --cluster ${cluster}`);
  }
  const failed = scope.clusters.flatMap((cluster, at) => {
    const one = marked[at];
    return one && 'error' in one ? [{ cluster, error: one.error }] : [];
  });
  if ('error' in store && failed.length === 0)
    io.warn(`${said(store.error)}; workers find the freeze in the cluster, which they ask before every act`);
  if (failed.length > 0) throw notFrozen(failed, 'error' in store ? store.error : undefined);
}

async function outcome<T>(work: Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work };
  } catch (thrown) {
    return { error: asCephflowError(thrown) };
  }
}

const said = ({ code, message }: CephflowError) => `${code}: ${message}`;

async function freezeStore(wire: Wire, { clusters, isAll }: Scope, marker: FreezeMarker): Promise<void> {
  const fields = isAll ? [everyCluster] : clusters;
  await (await wire.engine()).withFreezes({ start: false }, async (freezes) => {
    for (const field of fields) await freezes.freeze(field, marker);
  });
}

async function freezeCluster(
  wire: Wire,
  cluster: string,
  marker: FreezeMarker,
): Promise<{ readonly freeze: Marked<FreezeMarker>; readonly isNew: boolean }> {
  const markers = await openMarkers(wire, cluster);
  const { freeze: before } = await markers.get();
  if (before && 'value' in before) return { freeze: before, isNew: false };
  await markers.setFreeze(marker);
  const { freeze } = await markers.get();
  if (freeze) return { freeze, isNew: true };
  throw new CephflowError('INTERNAL', `the freeze marker was removed from ${cluster} as soon as it was set`, {
    hint: 'somebody unfreezes it at the same moment: agree on who does what',
  });
}

interface Failed {
  readonly cluster: string;
  readonly error: CephflowError;
}

function notFrozen(failed: readonly Failed[], store: CephflowError | undefined): CephflowError {
  const [first] = failed;
  const names = failed.map(({ cluster }) => cluster).join(', ');
  const causes = failed.map(({ error }) => said(error)).join('; ');
  const what = store
    ? `${names} is not frozen: neither the cluster nor Redis could be told (${causes}; ${said(store)})`
    : `${names} is frozen for the workers of this Redis only: the cluster itself could not be told (${causes})`;
  const { code = 'INTERNAL', command, hint } = first?.error ?? {};
  const stop = 'what acts can be stopped where it runs: end the workers or the agent (cephflow agent stop)';
  return new CephflowError(code, what, {
    hint: [...(hint === undefined ? [] : [hint]), stop].join('\n  '),
    cause: first?.error,
    ...(command && { command }),
  });
}

/**
 * Unfreeze: remove the markers from the clusters and from the store, whose embedded Redis is started for it.
 * @throws what kept a marker from being removed; CONTROL_REFUSED where all clusters are frozen at once
 */
export async function unfreezeClusters(wire: Wire, io: Io, scope: Scope): Promise<void> {
  const by = `by word of ${wire.by()}`;
  const thawed: string[] = [];
  for (const cluster of scope.clusters) {
    const markers = await openMarkers(wire, cluster);
    const { freeze } = await markers.get();
    if (!freeze) continue;
    await markers.removeFreeze();
    thawed.push(cluster);
    io.say(`${cluster} is no longer frozen, ${by} (it was ${describeFreeze(freeze)})`);
  }
  const { removed, every } = await unfreezeStore(wire, scope);
  for (const cluster of scope.clusters.filter((one) => !thawed.includes(one))) {
    const isThawed = removed.includes(cluster) || removed.includes(everyCluster);
    io.say(isThawed ? `${cluster} is no longer frozen in Redis, ${by}` : `${cluster} is not frozen`);
  }
  if (every === undefined) return;
  const what = `the workers of this Redis still act on no cluster: ${describeFreeze(every)}`;
  throw new CephflowError('CONTROL_REFUSED', what, {
    hint: `all were frozen at once; type: ${wire.self} unfreeze --all`,
  });
}

async function unfreezeStore(wire: Wire, { clusters, isAll }: Scope) {
  const fields = isAll ? [everyCluster, ...clusters] : clusters;
  const removed: string[] = [];
  const every = await (await wire.engine()).withFreezes({ start: true }, async (freezes) => {
    for (const field of fields) if (await freezes.unfreeze(field)) removed.push(field);
    return (await freezes.frozen()).get(everyCluster);
  });
  return { removed, every };
}

/** A note beside a list must not keep anybody waiting: a cluster that is slower than this goes without it. */
const noteMs = 3000;

/**
 * Tell which of these clusters are frozen, by the store's markers and the clusters' own. What cannot be asked quickly is
 * left out: the note is for people who look at something else.
 */
export async function frozenNotes(wire: Wire, clusters: readonly string[]): Promise<readonly string[]> {
  if (clusters.length === 0) return [];
  const store = await outcome((await wire.engine()).withFreezes({ start: false }, (all) => all.frozen()));
  const notes = clusters.map(async (cluster) => {
    const own = 'value' in store ? (store.value.get(cluster) ?? store.value.get(everyCluster)) : undefined;
    const found = own ?? (await askFreeze(wire, cluster));
    return found ? [`${cluster} is ${describeFreeze(found)}`] : [];
  });
  return (await Promise.all(notes)).flat();
}

async function askFreeze(wire: Wire, cluster: string): Promise<Marked<FreezeMarker> | undefined> {
  const ask = async () => {
    const systems = await wire.systems(cluster);
    return (await systems.read(AbortSignal.timeout(noteMs)).markers.get()).freeze;
  };
  const asked = await outcome(ask());
  return 'value' in asked ? asked.value : undefined;
}
