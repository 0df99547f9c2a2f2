import type { Command } from 'commander';
import { formatDuration } from '../../base/duration.ts';
import { CephflowError } from '../../base/errors.ts';
import { didYouMean } from '../../base/nearest.ts';
import { confirmSame } from '../confirm.ts';
import {
  type AddCommand,
  type Context,
  needOptions,
  outputOption,
  type Start,
  withExample,
} from '../context.ts';
import { listLocks, type NamedHolder, type NamedLock } from '../held-locks.ts';
import { table, toJson } from '../table.ts';

/**
 * Add `lock ls` and `lock rm`. JSON of ls: a list of `{ name, holders: [{ run, step, by, sinceMs }], waiters: [{ run, step }] }`,
 * where step is an id, absent where the run itself holds or waits.
 */
export const addLock: AddCommand = (program, start) => {
  const lock = program
    .command('lock')
    .description('what runs hold so that others keep away: clusters, nodes, OSDs, failure domains');
  const listing = lock
    .command('ls')
    .description('list the locks that are held or waited for')
    .addOption(outputOption())
    .action((_options: unknown, command: Command) => start(command, list));
  withExample(listing, 'cephflow lock ls');
  addRemoving(lock, start);
};

function addRemoving(lock: Command, start: Start): void {
  const removing = lock
    .command('rm')
    .description('take a lock away from its holder, which goes on without it; who waits gets it')
    .argument('<name>', 'name of the lock, as lock ls shows it')
    .option('--holder <run[/step]>', 'who loses it, where several hold it')
    .option('--reason <text>', 'why this is safe; recorded (needed)')
    .option('--confirm <name>', 'the name of the lock again (needed)')
    .action((name: string, options: RemoveOptions, command: Command) =>
      start(command, (context) => {
        needOptions(command, ['reason', 'confirm']);
        return remove(context, name, options);
      }),
    );
  withExample(
    removing,
    'cephflow lock rm node/ceph-osd-07 --confirm node/ceph-osd-07 --reason "run 7q2m was killed"',
  );
}

async function list({ globals, io, wire }: Context): Promise<number> {
  const locks = await listLocks(await wire.store());
  if (globals.output === 'json') io.data(toJson(locks.map(asJson)));
  else if (locks.length === 0) io.say('no locks are held');
  else io.data(describe(locks, wire.nowMs(), io.dataWidth));
  return 0;
}

function asJson({ name, holders, waiters }: NamedLock): unknown {
  return {
    name,
    holders: holders.map(({ run, step, by, sinceMs }) => ({ run, step, by, sinceMs })),
    waiters: waiters.map(({ run, step }) => ({ run, step })),
  };
}

function describe(locks: readonly NamedLock[], nowMs: number, width: number | undefined): string {
  const rows = locks.flatMap(({ name, holders, waiters }) => [
    ...holders.map(({ title, by, sinceMs }) => [name, title, 'holds', formatDuration(nowMs - sinceMs), by]),
    ...waiters.map(({ title, by }) => [name, title, 'waits', '', by]),
  ]);
  return table(['LOCK', 'RUN', 'STATE', 'AGE', 'BY'], rows, { width, long: 'shortened' });
}

interface RemoveOptions {
  readonly holder?: string;
  readonly reason: string;
  readonly confirm: string;
}

async function remove({ io, wire }: Context, name: string, options: RemoveOptions): Promise<number> {
  confirmSame({ given: options.confirm, name, subject: 'the lock to take away is' });
  const locks = await listLocks(await wire.store());
  const holder = chooseHolder(name, locks, options.holder);
  const control = await wire.control();
  const { run, number, title } = holder;
  const who = { run, ...(number === undefined ? {} : { step: number }) };
  const isFreed = await control.unlock(name, who, { by: wire.by(), reason: options.reason });
  if (!isFreed) throw notHeld(`${title} does not hold ${name} any more`);
  io.say(`${name} is taken away from ${title} (${holder.by})`);
  return 0;
}

function chooseHolder(name: string, locks: readonly NamedLock[], typed: string | undefined): NamedHolder {
  const { holders = [] } = locks.find((lock) => lock.name === name) ?? {};
  if (holders.length === 0) {
    const names = locks.filter((lock) => lock.holders.length > 0).map((lock) => lock.name);
    throw notHeld(`nobody holds ${name}.${didYouMean(name, names)}`);
  }
  const meant = typed === undefined ? holders : holders.filter((holder) => isCalled(holder, typed));
  const [only] = meant;
  if (only !== undefined && meant.length === 1) return only;
  const list = (meant.length === 0 ? holders : meant).map(({ title }) => title).join(', ');
  const what =
    typed !== undefined && meant.length === 0
      ? `${typed} does not hold ${name}`
      : `${name} has ${meant.length} holders: which one is meant?`;
  throw new CephflowError('USAGE', what, {
    hint: `nothing was changed; add --holder RUN or RUN/STEP, one of: ${list}`,
  });
}

/** A run is called by its id, or a beginning or end of it; its step by its id. */
function isCalled({ run, step }: NamedHolder, typed: string): boolean {
  const at = typed.indexOf('/');
  const word = (at < 0 ? typed : typed.slice(0, at)).toLowerCase();
  const isRun = word !== '' && (run.startsWith(word) || run.endsWith(word));
  return isRun && (at < 0 || step === typed.slice(at + 1));
}

function notHeld(what: string): CephflowError {
  return new CephflowError('CONTROL_REFUSED', what, {
    hint: `nothing was changed; who holds what is listed by: cephflow lock ls`,
  });
}
