// The graphs that are measured, by name: how many steps each has, and its canvas.
import { randomUUID } from 'node:crypto';
import { chain, chord, group, step } from '../../dist/src/plan/canvas.js';

const nothing = () => step('bench.nothing');
const many = (count, one) => Array.from({ length: count }, (_, index) => one(index));
const chords = (count, size, one) =>
  chain(
    ...many(count, (at) =>
      chord(
        many(size, (index) => one(at * (size + 1) + index)),
        one(at * (size + 1) + size),
      ),
    ),
  );

/** OSDs of one host of the plans with identities. */
const osdsOfNode = 24;

/** An identity as a plan freezes it; no two steps have the same. */
function identity(id) {
  const node = `ceph-osd-${String(Math.floor(id / osdsOfNode)).padStart(4, '0')}`;
  return { id, name: `osd.${id}`, uuid: randomUUID(), node, weight: 7.277, device_class: 'hdd' };
}

const onOsd = (index) => step('bench.osd', { osd: identity(index), weight: 0 });
const waits = (index) => step('bench.wait', { osd: identity(index) });

/** Each takes a size: what it counts stands beside it. */
const shapes = {
  /** Steps. */
  group: (size) => ({ steps: size, canvas: group(many(size, nothing)) }),
  /** Steps. */
  chain: (size) => ({ steps: size, canvas: chain(...many(size, nothing)) }),
  /** Chained chords of as many header steps and one body. */
  chords: (size) => ({ steps: size * (size + 1), canvas: chords(size, size, nothing) }),
  /** Steps in both groups together. */
  'group-to-group': (size) => ({
    steps: size,
    canvas: chain(group(many(size / 2, nothing)), group(many(size / 2, nothing))),
  }),
  /** Steps, each with the identity of an OSD of its own. */
  'osd-group': (size) => ({ steps: size, canvas: group(many(size, onOsd)) }),
  /** Header steps of all chords of 1000 and one body together. */
  'osd-chords': (size) => ({ steps: size + size / 1000, canvas: chords(size / 1000, 1000, onOsd) }),
  /** Steps, each waiting for an OSD of its own. */
  waits: (size) => ({ steps: size, canvas: group(many(size, waits)) }),
};

/** Make a graph. `steps`: those that somebody wrote, without the barriers that a plan may add. */
export function shapeOf(name, size) {
  return shapes[name](size);
}
