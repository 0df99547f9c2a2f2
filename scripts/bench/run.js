// One run, or as many raw jobs, from the first add to the last completion.
import { setTimeout as pause } from 'node:timers/promises';
import { connectRedis } from '../../dist/src/engine/redis.js';
import { openStore } from '../../dist/src/engine/store-open.js';
import { prefix } from './parts.js';
import { onFreshRedis } from './processes.js';

/** How often a run is looked at. When it ended is in the store: that it is seen late costs nothing. */
const lookMs = 500;
const overStates = ['succeeded', 'failed', 'aborted'];

/** Measure one run on a fresh redis-server, with a fresh worker and a fresh client. */
export function measureRun(kind, shape, size) {
  return onFreshRedis({ kind, shape, size }, async ({ redis, start }) => {
    const [worker, client] = await Promise.all([start('worker'), start('client')]);
    const done = kind === 'raw' ? worker.told('done') : undefined;
    const added = client.told('added');
    client.say('go');
    const { beganMs, mb: clientMb } = await added;
    const { endedMs } = await (done ?? endOfRun(redis.socket));
    const { mb: workerMb } = await worker.usage();
    return { ms: endedMs - beganMs, clientMb, workerMb };
  });
}

/** Wait until the only run has succeeded, from outside: neither worker nor client is kept busy by it. */
export async function endOfRun(socket) {
  const store = await openStore(await connectRedis(socket, 'producer'), { prefix });
  try {
    for (;;) {
      const [head] = await store.listRuns({ limit: 1 });
      if (head?.state === 'succeeded') return { endedMs: head.endedMs };
      if (overStates.includes(head?.state)) throw new Error(`bench: the run is ${head.state}`);
      await pause(lookMs);
    }
  } finally {
    await store.close();
  }
}
