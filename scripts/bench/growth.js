// How time and memory of the processes grow with the size of a run.
import { figureOf, median, rounded, rounds, say } from './figures.js';
import { measureRun } from './run.js';

const [small, middle, large] = [1000, 10_000, 100_000];

/** Figures that are measured together, each with the function that measures them. */
export const growthBenches = [
  {
    figures: ['engine.growth-100k.ratio', 'engine.client-memory-growth.mb', 'engine.worker-memory-growth.mb'],
    measure: async () => {
      const measured = [];
      for (let round = 1; round <= rounds; round += 1) measured.push(await oneOfEach(round));
      const seconds = (size) => `${(median(measured.map((of) => of[size].ms)) / 1000).toFixed(2)} s`;
      const value = median(measured.map((of) => of[large].ms / of[middle].ms));
      const baseline = `${middle} steps (${seconds(middle)}; ${large} steps ${seconds(large)})`;
      return [
        figureOf('engine.growth-100k.ratio', { value, unit: 'x', baseline }),
        memoryGrowth('client', measured),
        memoryGrowth('worker', measured),
      ];
    },
  },
];

async function oneOfEach(round) {
  const sizes = {};
  for (const size of [small, middle, large]) {
    sizes[size] = await measureRun('ours', 'group', size);
    say(`ours group ${size}, ${round} of ${rounds}: ${(sizes[size].ms / 1000).toFixed(2)} s`);
  }
  return sizes;
}

function memoryGrowth(whose, measured) {
  const of = (size) => median(measured.map((sizes) => sizes[size][`${whose}Mb`]));
  const value = median(measured.map((sizes) => sizes[large][`${whose}Mb`] - sizes[small][`${whose}Mb`]));
  const baseline = `${rounded(of(small))} MB at ${small} steps, ${rounded(of(large))} MB at ${large} (peaks of fresh processes)`;
  return figureOf(`engine.${whose}-memory-growth.mb`, { value, unit: 'MB', baseline });
}
