import type { Command } from 'commander';
import { CephflowError } from '../../base/errors.ts';
import { describeInstance } from '../../engine/guard.ts';
import { isEndedRun } from '../../run/states.ts';
import type { InstanceRecord, Marked } from '../../task/markers.ts';
import { type AddCommand, type Context, needOptions, outputOption, type Start } from '../context.ts';
import { isOurs, openMarkers, releaseCluster, takenByOther } from '../instances.ts';
import type { Io } from '../io.ts';
import { readReason } from '../reason.ts';
import { describeSelf } from '../store-markers.ts';
import { toJson } from '../table.ts';

/**
 * Add `instance show|take|release`: the record in a cluster that names the one cephflow which acts on it. JSON of show:
 * `{ cluster, fsid, own, record, unreadable, isOurs }`.
 */
export const addInstance: AddCommand = (program, start) => {
  const instance = program
    .command('instance')
    .description('which cephflow acts on a cluster; the record is in the cluster itself');
  addShow(instance, start);
  instance
    .command('take')
    .description(
      'make this cephflow the one that acts on the cluster; steps of the other one wait from then on',
    )
    .option('--reason <text>', 'why; recorded (needed)')
    .option('--confirm <name>', 'name or fsid of the cluster, where nobody is there to be asked')
    .action((options: TakeOptions, command: Command) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return take(context, options);
      }),
    );
  instance
    .command('release')
    .description('let another cephflow act on the cluster; an idle agent does so when it ends')
    .action((_options: unknown, command: Command) => start(command, release));
};

function addShow(instance: Command, start: Start): void {
  instance
    .command('show')
    .description('tell which cephflow acts on the cluster')
    .addOption(outputOption())
    .action((_options: unknown, command: Command) =>
      start(command, async ({ globals, io, wire }) => {
        const cluster = await wire.clusterName();
        const systems = (await wire.systems(cluster)).read(AbortSignal.timeout(showMs));
        const [{ fsid }, { instance: found }] = [await systems.ceph.osdMap(), await systems.markers.get()];
        const own = await (await wire.engine()).instanceId({ start: true });
        const mine = isOurs(found, own);
        const record = found && 'value' in found ? { record: found.value } : {};
        const unreadable = found && 'unreadable' in found ? found : {};
        if (globals.output === 'json')
          io.data(toJson({ cluster, fsid, own, ...record, ...unreadable, isOurs: mine }));
        else io.data(describeCluster({ cluster, fsid, own }, found, mine));
        return 0;
      }),
    );
}

/** Longest that both questions may take. */
const showMs = 60_000;

interface Place {
  readonly cluster: string;
  readonly fsid: string;
  readonly own: string;
}

function describeCluster(
  { cluster, fsid, own }: Place,
  found: Marked<InstanceRecord> | undefined,
  isMine: boolean,
): string {
  if (!found) return `${cluster} (${fsid}) is acted on by nobody; this is instance ${own}`;
  const who = isMine ? 'this one' : `this is instance ${own}`;
  const head = `${cluster} (${fsid}) is acted on by ${describeInstance(found)}; ${who}`;
  if ('unreadable' in found) return head;
  const { redis, stateDir, version, taken } = found.value;
  return [
    head,
    `  redis ${redis}${stateDir === undefined ? '' : ` in ${stateDir}`}, cephflow ${version}`,
    ...(taken ? [`  taken from ${taken.from} by ${taken.by}: ${taken.reason}`] : []),
  ].join('\n');
}

interface TakeOptions {
  readonly reason: string;
  readonly confirm?: string;
}

async function take({ io, wire }: Context, options: TakeOptions): Promise<number> {
  const reason = readReason(options.reason);
  const cluster = await wire.clusterName();
  const own = await (await wire.engine()).instanceId({ start: true });
  const { fsid } = await (await wire.systems(cluster)).read(AbortSignal.timeout(showMs)).ceph.osdMap();
  const before = (await (await openMarkers(wire, cluster)).get()).instance;
  if (isOurs(before, own)) {
    io.say(`${cluster} is acted on by this instance (${own}) already: nothing was changed`);
    return 0;
  }
  if (before) io.warn(`${cluster} (${fsid}) is acted on by ${describeInstance(before)}: ${warning}`);
  await confirmTaking({ cluster, fsid }, options.confirm, io);
  const from = before ? describeInstance(before) : 'nobody';
  const record: InstanceRecord = {
    instance: own,
    ...(await describeSelf(wire)),
    since: new Date(wire.nowMs()).toISOString(),
    taken: { by: wire.by(), reason, from },
  };
  // asking a person took its time
  const markers = await openMarkers(wire, cluster);
  await markers.setInstance(record);
  const { instance: after } = await markers.get();
  if (!after || !isOurs(after, own)) throw overwritten(cluster, after);
  io.say(`${cluster} (${fsid}) is acted on by this instance (${own}) now, taken from ${from}`);
  io.say(`by ${wire.by()}, because: ${reason}`);
  return 0;
}

const warning =
  'what it has begun goes on to its end, and its unfinished runs wait until they are ended or it takes the cluster back';

function overwritten(cluster: string, after: Marked<InstanceRecord> | undefined): CephflowError {
  if (after) return takenByOther(cluster, after, 'it wrote its record at the same moment');
  return new CephflowError(
    'CLUSTER_TAKEN',
    `the record in ${cluster} was removed a moment after it was written`,
    {
      hint: 'type: cephflow instance show',
    },
  );
}

/** @throws USAGE, DECLINED */
async function confirmTaking(
  { cluster, fsid }: Pick<Place, 'cluster' | 'fsid'>,
  given: string | undefined,
  io: Io,
): Promise<void> {
  if (given === cluster || given === fsid) return;
  if (given !== undefined) {
    throw new CephflowError('USAGE', `--confirm says ${given}, but the cluster is ${cluster} (${fsid})`, {
      hint: `nothing was changed; if you mean it, type --confirm ${cluster}`,
    });
  }
  if (!io.canAsk) {
    throw new CephflowError(
      'USAGE',
      `taking over ${cluster} must be confirmed, and nobody is there to do it`,
      {
        hint: `nothing was changed; add --confirm ${cluster}`,
      },
    );
  }
  const answer = await io.ask(`Two that act on one cluster endanger it. Type ${cluster} to take it over: `);
  if (answer?.trim() === cluster) return;
  throw new CephflowError('DECLINED', `the answer was not ${cluster}`, { hint: 'nothing was changed' });
}

/** More runs than one store has unfinished. */
const mostRuns = 1000;

async function release({ io, wire }: Context): Promise<number> {
  const cluster = await wire.clusterName();
  const store = await wire.store();
  const heads = await store.listRuns({ unfinished: true, limit: mostRuns });
  const busy = heads.filter((head) => head.cluster === cluster && !isEndedRun(head.state));
  if (busy.length > 0) {
    const whose = busy.length === 1 ? 'a run' : `${busy.length} runs`;
    const what = `${cluster} cannot be released: ${whose} of this instance would claim it again with the next act`;
    throw new CephflowError('CONTROL_REFUSED', what, {
      hint: 'let them end, or abort them; cephflow runs --unfinished lists them',
    });
  }
  const own = await (await wire.engine()).instanceId({ start: true });
  const wasOurs = await releaseCluster(wire, cluster, own);
  io.say(
    wasOurs
      ? `${cluster} is released by ${wire.by()}: another instance may act on it`
      : `nobody acts on ${cluster}`,
  );
  return 0;
}
