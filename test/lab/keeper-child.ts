import { openKeeper } from './keeper.ts';

// Started by keeper.test.ts, which kills it: opens a lab's namespace with a daemon in it and waits.
const [, , dir = ''] = process.argv;
const keeper = await openKeeper(dir, false);
await keeper.must(['sh', '-c', 'setsid sleep 3600 > /dev/null 2>&1 < /dev/null &']);
process.stdout.write(`${keeper.pid}\n`);
setInterval(() => undefined, 60_000);
