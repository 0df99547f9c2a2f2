// What all children of the bench share.
import { createHash } from 'node:crypto';
import process from 'node:process';
import { Redis } from 'ioredis';

/** Jobs added by one command, the same for both sides. */
export const addAtOnce = 500;

/** Steps or jobs at a time, the same for both sides. */
export const concurrency = 50;

/** The Lua scripts of this process, ours and BullMQ's: Redis' SLOWLOG knows them by SHA-1 or by text. */
const scripts = [];
const defineCommand = Redis.prototype.defineCommand;
Redis.prototype.defineCommand = function define(name, definition) {
  const { lua } = definition;
  scripts.push({ name, sha: createHash('sha1').update(lua).digest('hex'), bytes: Buffer.byteLength(lua) });
  return defineCommand.call(this, name, definition);
};

/** Tell the parent a word, with the highest memory so far (resident, MB). */
export function tell(kind, more = {}) {
  process.send({ kind, mb: process.resourceUsage().maxRSS / 1024, ...more });
}

/** Wait until the parent says a word. */
export function told(word) {
  return new Promise((resolve) => {
    const onMessage = (message) => {
      if (message !== word) return;
      process.off('message', onMessage);
      resolve();
    };
    process.on('message', onMessage);
  });
}

/** Answer whenever the parent asks what this process has used so far. `more` is asked then. */
export function answerUsage(more = () => ({})) {
  process.on('message', (message) => {
    if (message !== 'usage') return;
    const { user, system } = process.cpuUsage();
    tell('usage', { cpuMs: (user + system) / 1000, scripts, ...more() });
  });
}
