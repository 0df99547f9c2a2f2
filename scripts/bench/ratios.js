// What the engine costs beside BullMQ alone, or beside another graph of its own: one worker process each, 50 at a time,
// measured turn about.
import { figureOf, median, rounded, rounds, say } from './figures.js';
import { measureRun } from './run.js';

/** Figures that are measured together, each with the function that measures them. */
export const ratioBenches = [
  {
    figures: ['engine.group-10000.ratio', 'engine.client-memory.mb', 'engine.worker-memory.mb'],
    measure: async () => {
      const sides = await turnAbout(['ours', 'group', 10_000], ['raw', 'group', 10_000]);
      return [
        overRaw('engine.group-10000.ratio', sides, 10_000),
        memoryOf('client', sides),
        memoryOf('worker', sides),
      ];
    },
  },
  {
    figures: ['engine.chords-100x100.ratio'],
    measure: async () => {
      const sides = await turnAbout(['ours', 'chords', 100], ['raw', 'group', 10_100]);
      return [overRaw('engine.chords-100x100.ratio', sides, 10_100)];
    },
  },
  {
    figures: ['engine.chain-1000.ratio'],
    measure: async () => {
      const sides = await turnAbout(['ours', 'chain', 1000], ['raw', 'chain', 1000]);
      return [overRaw('engine.chain-1000.ratio', sides, 1000)];
    },
  },
  {
    figures: ['engine.group-to-group.ratio'],
    measure: async () => {
      const sides = await turnAbout(['ours', 'group-to-group', 2000], ['ours', 'group', 2000]);
      const [both, flat] = sides;
      const baseline = `a flat group of 2000 (${seconds(flat)}; 1000 followed by 1000 ${seconds(both)})`;
      return [figureOf('engine.group-to-group.ratio', { value: ratio(sides), unit: 'x', baseline })];
    },
  },
];

/** Measure two things turn about. @returns the rounds of each */
async function turnAbout(one, other) {
  const sides = [[], []];
  for (let round = 1; round <= rounds; round += 1) {
    for (const [at, words] of [
      [1, other],
      [0, one],
    ]) {
      const measured = await measureRun(...words);
      say(`${words.join(' ')}, ${round} of ${rounds}: ${(measured.ms / 1000).toFixed(2)} s`);
      sides[at].push(measured);
    }
  }
  return sides;
}

const ratio = ([one, other]) => median(one.map(({ ms }, round) => ms / other[round].ms));

const seconds = (times) => `${(median(times.map(({ ms }) => ms)) / 1000).toFixed(2)} s`;

function overRaw(figure, sides, jobs) {
  const [ours, raw] = sides;
  const baseline = `raw BullMQ, ${jobs} jobs (${seconds(raw)}; cephflow ${seconds(ours)})`;
  return figureOf(figure, { value: ratio(sides), unit: 'x', baseline });
}

function memoryOf(whose, sides) {
  const [ours, raw] = sides.map((side) => median(side.map((one) => one[`${whose}Mb`])));
  const baseline = `raw BullMQ: ${rounded(raw)} MB`;
  return figureOf(`engine.${whose}-memory.mb`, { value: ours, unit: 'MB', baseline });
}
