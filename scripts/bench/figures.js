// How figures are made of measured values, judged and told.
import { stderr } from 'node:process';

/** Odd, so that the median is a measured value; three is what the noise of a shared machine allows in a few minutes. */
export const rounds = 3;

/** The middle one. */
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Two digits behind the point; more are noise. */
export const rounded = (value) => Math.round(value * 100) / 100;

/** Tell what is being measured: the whole bench takes minutes. */
export const say = (text) => stderr.write(`bench: ${text}\n`);

/** What the issue of the engine allows at most. */
const limits = {
  'engine.group-10000.ratio': 1.5,
  'engine.chords-100x100.ratio': 2,
  'engine.chain-1000.ratio': 1.5,
  'engine.group-to-group.ratio': 1.2,
  'engine.growth-100k.ratio': 11,
  'engine.client-memory-growth.mb': 60,
  'engine.worker-memory-growth.mb': 60,
  'engine.redis-submitted.bytes-per-step': 96,
  'engine.redis-peak.bytes-per-step': 400,
  'engine.slowest-script.ms': 10,
  'engine.waiting-10000.core-fraction': 0.2,
};

/** Make a figure: its value rounded, its limit where it has one, n as it is where it is not said. */
export function figureOf(figure, { value, unit, baseline, n = rounds }) {
  const limit = limits[figure];
  return { figure, value: rounded(value), unit, baseline, n, ...(limit !== undefined && { limit }) };
}

/** Print figures as a table for people. */
export function tableOf(figures) {
  const head = ['FIGURE', 'VALUE', 'UNIT', 'LIMIT', 'N', 'BASELINE'];
  const lines = [head, ...figures.map(lineOf)];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => line[at].length)));
  const cell = (text, at) => (at === 1 ? text.padStart(widths[at]) : text.padEnd(widths[at]));
  return lines.map((line) => `${line.map(cell).join('  ').trimEnd()}\n`).join('');
}

function lineOf({ figure, value, unit, limit, n, baseline }) {
  const judged = limit === undefined ? '' : `<= ${limit} ${value <= limit ? 'ok' : 'MISSED'}`;
  return [figure, String(value), unit, judged, String(n), baseline];
}
