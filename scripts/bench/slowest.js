// The longest single command in Redis during all that was measured of our side.
import { figureOf, median, rounded } from './figures.js';

/** Names told in the baseline, the slowest first. */
const namesTold = 5;
/** SLOWLOG keeps so many bytes of a word, and says how many more there were. */
const keptBytes = 128;
const moreBytes = /\.\.\. \((\d+) more bytes\)$/;

/** Slow commands of each measurement, by side and by what was measured: as many lists as there were rounds. */
const seen = { ours: new Map(), raw: new Map() };

/** Keep the slow commands of one measurement. `scripts`: name, sha and bytes of the Lua scripts that may be among them. */
export function noteSlow({ kind, during }, commands, scripts) {
  const named = commands.map(({ ms, words }) => ({ ms, name: nameOf(words, scripts) }));
  seen[kind].set(during, [...(seen[kind].get(during) ?? []), named]);
}

/** The first call of a script carries its whole text: known by its length then, by its SHA-1 later. */
function nameOf([command, text = ''], scripts) {
  const name = command.toLowerCase();
  if (name === 'evalsha') return scripts.find(({ sha }) => sha === text)?.name ?? `evalsha ${text}`;
  if (name !== 'eval') return name;
  const length = keptBytes + Number(moreBytes.exec(text)?.[1] ?? 0);
  return `${scripts.find(({ bytes }) => bytes === length)?.name ?? 'eval'} (first call)`;
}

const longest = (commands) => commands.reduce((most, { ms }) => Math.max(most, ms), 0);

/** The longest of a measurement, as the median of its rounds; of all measurements the one where that is worst. */
const worst = (side) => Math.max(0, ...[...side.values()].map((lists) => median(lists.map(longest))));

/** Judge all that was measured before; so it must be the last. */
export const slowestBench = {
  figures: ['engine.slowest-script.ms'],
  measure: async () => {
    const { ours, raw } = seen;
    const of = (side) => rounded(longest([...side.values()].flat(2)));
    const told = namesOf(ours).slice(0, namesTold).map(tellName);
    const machine = `raw BullMQ's ${rounded(worst(raw))} ms, its longest of all ${of(raw)} ms`;
    const baseline = `${machine} (what this machine itself takes away is in both); longest of all ${of(ours)} ms; ${told.join('; ')}`;
    return [figureOf('engine.slowest-script.ms', { value: worst(ours), unit: 'ms', baseline })];
  },
};

/** Each command of each measurement with its median over the rounds, the slowest first; only the worst place of a name. */
function namesOf(side) {
  const all = [...side].flatMap(([during, lists]) => {
    const names = [...new Set(lists.flat().map(({ name }) => name))];
    return names.map((name) => {
      const its = lists.map((list) => list.filter((one) => one.name === name));
      return { name, during, ms: median(its.map(longest)), slow: median(its.map(({ length }) => length)) };
    });
  });
  const slowestFirst = all.toSorted((a, b) => b.ms - a.ms);
  return slowestFirst.filter(({ name }, at) => slowestFirst.findIndex((one) => one.name === name) === at);
}

const tellName = ({ name, during, ms, slow }) =>
  `${name} ${rounded(ms)} ms (${during}; ${slow} calls over 1 ms)`;
