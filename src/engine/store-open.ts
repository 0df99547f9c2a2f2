import type { Redis } from 'ioredis';
import { CephflowError } from '../base/errors.ts';
import { closeRedis } from './redis.ts';
import type { Store } from './store.ts';
import { createContext, type StoreContext, type StoreOptions } from './store-context.ts';
import { storeControl } from './store-control.ts';
import { storeFlow } from './store-flow.ts';
import { storeReads } from './store-reads.ts';
import { storeSteps } from './store-steps.ts';

/** Version of the keys. Raise it with every change that an older cephflow would misread. */
const schemaVersion = '2';

/**
 * Open the store on a connection, which it closes with itself.
 * @throws STORE_VERSION when an older or newer cephflow wrote it, REDIS_UNREACHABLE
 */
export async function openStore(redis: Redis, options: StoreOptions): Promise<Store> {
  const context = createContext(redis, options);
  await checkVersion(context);
  return {
    ...storeSteps(context),
    ...storeControl(context),
    ...storeReads(context),
    ...storeFlow(context),
    close: () => closeRedis(redis),
  };
}

async function checkVersion({ redis, keys, ask }: StoreContext): Promise<void> {
  await ask(redis.setnx(keys.schema, schemaVersion));
  const found = await ask(redis.get(keys.schema));
  if (found === schemaVersion) return;
  const writer = Number(found) > Number(schemaVersion) ? 'a newer' : 'an older';
  throw new CephflowError(
    'STORE_VERSION',
    `the store was written by ${writer} cephflow (its version is ${found}, this one knows ${schemaVersion})`,
    { hint: 'use the same version of cephflow everywhere; let its runs end before an upgrade' },
  );
}
