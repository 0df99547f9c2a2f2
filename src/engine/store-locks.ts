import type { Actor, LockView } from './store.ts';
import type { StoreContext } from './store-context.ts';
import { readHolder } from './store-steps.ts';

/** Entries of the audit of what belongs to no run alone. */
const auditKept = 10_000;

/** List the locks that are held or waited for. */
export async function listLocks({ redis, keys, ask }: StoreContext): Promise<readonly LockView[]> {
  const names = (await ask(redis.smembers(keys.locks))).sort();
  const views = names.map(async (name) => {
    const [holders, waiters] = await Promise.all([
      ask(redis.hgetall(keys.lock(name))),
      ask(redis.zrange(`${keys.lock(name)}:waiters`, 0, -1)),
    ]);
    return {
      name,
      holders: Object.entries(holders).map(([holder, since]) => ({
        ...readHolder(holder),
        sinceMs: Number(since),
      })),
      waiters: waiters.map(readHolder),
    };
  });
  return Promise.all(views);
}

/** Take a lock away from its holder, whoever waits is woken. Audited with the run, and with the locks. */
export async function unlock(
  context: StoreContext,
  name: string,
  holder: { readonly run: string; readonly step?: number },
  actor: Actor,
): Promise<boolean> {
  const { redis, keys, ask } = context;
  const { by, reason = '', request = '' } = actor;
  const words = ['unlock', holder.step ?? '', by, reason, request, name, ''];
  const [, count] = (await context.call('control', holder.run, words)) as [string, number | string];
  if (Number(count) !== 1) return false;
  const entry = ['act', 'unlock', 'by', by, 'reason', reason, 'lock', name, 'run', holder.run];
  await ask(redis.xadd(keys.audit, 'MAXLEN', '~', auditKept, '*', ...entry));
  return true;
}
