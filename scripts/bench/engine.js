// All figures of the engine, in the order in which they are measured: same redis-server, same append-only file.
import { growthBenches } from './growth.js';
import { memoryBenches } from './memory.js';
import { ratioBenches } from './ratios.js';
import { slowestBench } from './slowest.js';
import { waitingBenches } from './waiting.js';

/** Figures that are measured together, each with the function that measures them. */
export const benches = [...ratioBenches, ...growthBenches, ...memoryBenches, ...waitingBenches, slowestBench];

/** Tell which must be measured for those wanted: the slowest command is one of all the others. */
export function needed(isWanted) {
  const isOneWanted = ({ figures }) => figures.some(isWanted);
  return isOneWanted(slowestBench) ? benches : benches.filter(isOneWanted);
}
