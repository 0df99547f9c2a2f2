// The processes of a measurement: a fresh redis-server, and children that are told words and tell words.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startRedis } from './redis.js';
import { noteSlow } from './slowest.js';

/** What takes longer hangs: so much, and so much for each step. */
const limitMs = 180_000;
const limitMsPerStep = 6;

/**
 * Measure on a redis-server that nobody used. `kind`: ours or raw. `start` starts one of its children, `worker` or
 * `client`, and waits until it is ready.
 */
export async function onFreshRedis({ kind, shape, size }, measure) {
  const redis = await startRedis();
  const children = [];
  let onDeath;
  const died = new Promise((_, reject) => {
    onDeath = reject;
  });
  died.catch(() => {});
  const start = async (role) => {
    const child = openChild(`${kind}-${role}`, [redis.socket, shape, String(size)], onDeath);
    children.push(child);
    await child.told('ready');
    return child;
  };
  try {
    const work = Promise.race([measure({ redis, start }), died]);
    const measured = await withinLimit(work, limitMs + limitMsPerStep * size);
    const scripts = await scriptsOf(children);
    noteSlow({ kind, during: `${shape} ${size}` }, await redis.slowCommands(), scripts);
    return measured;
  } finally {
    await Promise.all(children.map((child) => child.end()));
    await redis.stop();
  }
}

async function withinLimit(measured, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`bench: it takes longer than ${ms / 1000} s`)), ms);
  });
  return Promise.race([measured, late]).finally(() => clearTimeout(timer));
}

/** Names of the scripts that the children know, also of those that have ended. */
async function scriptsOf(children) {
  const usages = await Promise.all(children.map((child) => child.lastUsage()));
  return usages.flatMap(({ scripts }) => scripts);
}

/** A child that ends by itself is an error, not a silence: `onDeath` is told it. */
function openChild(name, words, onDeath) {
  const child = fork(join(import.meta.dirname, `${name}.js`), words);
  const waiting = new Map();
  const state = { isWanted: true };
  child.on('message', ({ kind, ...more }) => {
    waiting.get(kind)?.resolve(more);
    waiting.delete(kind);
  });
  child.once('exit', (code, signal) => {
    state.ended = new Error(`bench: ${name} ended (${code ?? signal})`);
    for (const { reject } of waiting.values()) reject(state.ended);
    if (state.isWanted) onDeath(state.ended);
  });
  const told = (kind) => {
    const promise = new Promise((resolve, reject) => {
      if (state.ended) reject(state.ended);
      else waiting.set(kind, { resolve, reject });
    });
    // awaited later, perhaps not at all where something else failed first
    promise.catch(() => {});
    return promise;
  };
  const usage = async () => {
    const answer = told('usage');
    child.send('usage');
    state.usage = await answer;
    return state.usage;
  };
  return {
    told,
    say: (word) => child.send(word),
    /** CPU, memory and more of this process until now. */
    usage,
    lastUsage: async () => (state.ended ? state.usage : usage()),
    async end() {
      state.isWanted = false;
      if (state.ended) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
