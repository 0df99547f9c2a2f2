// What a run of 100,000 steps with the identities of as many OSDs takes in Redis, its plan included.
import { figureOf, median, rounded, rounds, say } from './figures.js';
import { onFreshRedis } from './processes.js';
import { endOfRun } from './run.js';
import { shapeOf } from './shapes.js';

const size = 100_000;
/** Each with what it is called in the baseline. */
const graphs = { 'osd-group': 'flat group', 'osd-chords': 'chords of 1000' };

/** Figures that are measured together, each with the function that measures them. */
export const memoryBenches = [
  {
    figures: ['engine.redis-submitted.bytes-per-step', 'engine.redis-peak.bytes-per-step'],
    measure: async () => {
      const byShape = {};
      for (const shape of Object.keys(graphs)) byShape[shape] = await roundsOf(shape);
      return ['submitted', 'peak'].map((what) => worseOf(what, byShape));
    },
  },
];

async function roundsOf(shape) {
  const { steps } = shapeOf(shape, size);
  const measured = [];
  for (let round = 1; round <= rounds; round += 1) {
    const bytes = await bytesOf(shape);
    const one = Object.fromEntries(Object.entries(bytes).map(([what, value]) => [what, value / steps]));
    const told = Object.entries(one).map(([what, value]) => `${what} ${rounded(value)}`);
    say(`ours ${shape} ${size}, ${round} of ${rounds}, bytes per step: ${told.join(', ')}`);
    measured.push(one);
  }
  return measured;
}

/** The client has ended, and with it what Redis held for it, before the first look; only then a worker begins. */
function bytesOf(shape) {
  return onFreshRedis({ kind: 'ours', shape, size }, async ({ redis, start }) => {
    const empty = await redis.settledBytes();
    const watched = redis.watchMemory();
    const client = await start('client');
    const added = client.told('added');
    client.say('go');
    await added;
    await client.usage();
    await client.end();
    const submitted = (await redis.settledBytes()) - empty;
    const worker = await start('worker');
    await endOfRun(redis.socket);
    await worker.usage();
    const { most, peak } = await watched();
    return { submitted, peak: most - empty, all: peak - empty };
  });
}

function worseOf(what, byShape) {
  const of = (shape, which) => median(byShape[shape].map((one) => one[which]));
  const shapes = Object.entries(graphs);
  const told = shapes.map(([shape, name]) => {
    const peak = what === 'peak' ? ` (used_memory_peak, all included: ${rounded(of(shape, 'all'))})` : '';
    return `${name} ${rounded(of(shape, what))}${peak}`;
  });
  return figureOf(`engine.redis-${what}.bytes-per-step`, {
    value: Math.max(...shapes.map(([shape]) => of(shape, what))),
    unit: 'B',
    baseline: `an empty Redis; ${told.join(', ')}; used_memory without clients, AOF buffer and cached scripts as INFO tells them`,
  });
}
