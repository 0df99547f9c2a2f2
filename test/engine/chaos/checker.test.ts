import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/engine/store.ts';
import type { RunEvent } from '../../../src/run/events.ts';
import { planOf, type StepSketch } from '../plans.ts';
import { type CheckOptions, checkRuns } from './checker.ts';
import type { WorldLine } from './world.ts';

// The checker must see every kind of wrong: these are forged records of runs that went wrong in one way each.

const run = 'r';
const chain: readonly StepSketch[] = [{ id: 'a' }, { id: 'b', after: [0] }];

/** Write events as `step state @ms`, or `run state @ms`. */
function eventsOf(text: string): RunEvent[] {
  return text
    .trim()
    .split('\n')
    .map((line, at) => {
      const [, who = '', state = '', ms = '0'] = /^\s*(\S+) (\S+) @(\d+)$/.exec(line) ?? [];
      const atMs = Number(ms);
      const common = { seq: `${ms}-${at}`, atMs, state: state as RunEvent['state'] & string };
      if (who === 'run') return { ...common, kind: 'run-state-changed' };
      return { ...common, kind: 'step-state-changed', step: Number(who) };
    });
}

/** Write lines as `step act pid phase @ms`; an act is `name` or `run/name`. */
function linesOf(text: string): WorldLine[] {
  const rows = text.trim().split('\n');
  return rows.map((line) => {
    const [, step = '', act = '', pid = '', phase = '', ms = ''] =
      /^\s*(\S+) (\S+) (\d+) (\S+) @(\d+)$/.exec(line) ?? [];
    const whose = act.includes('/') ? (act.split('/')[0] ?? '') : run;
    return { run: whose, step, act, pid: Number(pid), phase: phase as WorldLine['phase'], atMs: Number(ms) };
  });
}

const goodEvents = `
  run running @1
  0 running @2
  0 succeeded @12
  1 ready @12
  1 running @13
  1 succeeded @22
  run succeeded @22`;
const goodLines = `
  a x 1 begin @10
  a x 1 effect @11
  a x 1 end @11
  b y 1 begin @20
  b y 1 effect @21
  b y 1 end @21`;

interface Forged {
  readonly steps?: readonly StepSketch[];
  readonly groups?: readonly { id: string; maxParallel: number; memberSizes: readonly number[] }[];
  readonly events?: string;
  readonly lines?: string;
  readonly audit?: readonly Partial<AuditEntry>[];
  readonly options?: CheckOptions;
}

function check({ steps = chain, groups = [], ...forged }: Forged) {
  const { events = goodEvents, lines = goodLines, audit = [], options } = forged;
  const record = {
    run,
    plan: planOf(steps, { groups }),
    events: eventsOf(events),
    audit: audit.map((one) => ({ atMs: 0, act: 'decide', by: 'ann', ...one })),
  };
  return checkRuns([record], linesOf(lines), options);
}

const faultsOf = (forged: Forged) => check(forged).faults;
/** Replace one line of a text. */
const but = (text: string, line: string, by: string) => {
  expect(text).toContain(line);
  return text.replace(line, by);
};

test('checker: a run that went right has no faults', () => {
  expect(check({})).toEqual({ faults: [], runs: 1, acts: 2, repeats: 0 });
});

test('checker: a step that did not end, one that ended twice, and a run that did not end', () => {
  expect(faultsOf({ events: but(goodEvents, '1 succeeded @22', '1 waiting @22') })).toEqual([
    'r: b has not ended: its last state is waiting',
  ]);
  const twice = but(goodEvents, '1 ready @12', '0 running @12\n 0 succeeded @12\n 1 ready @12');
  expect(faultsOf({ events: twice })).toEqual(['r: a was recorded as ended 2 times']);
  expect(faultsOf({ events: but(goodEvents, 'run succeeded @22', 'run failed @22') })).toEqual([
    'r: the run was recorded as ended 0 times',
  ]);
});

test('checker: a person who retries allows one more end, of that step only', () => {
  const failed = but(goodEvents, '1 running @13', '1 running @13\n 1 failed @14\n 1 ready @15');
  expect(faultsOf({ events: failed })).toEqual(['r: b was recorded as ended 2 times']);
  expect(faultsOf({ events: failed, audit: [{ act: 'retry', step: 0 }] })).toHaveLength(1);
  expect(faultsOf({ events: failed, audit: [{ act: 'retry', step: 1 }] })).toEqual([]);
  expect(faultsOf({ events: failed, audit: [{ act: 'retry-all' }] })).toEqual([]);
});

test('checker: a step that is ready before its predecessor was recorded as done', () => {
  const early = but(
    but(goodEvents, '1 ready @12', '1 stale @12'),
    '0 running @2',
    '0 running @2\n 1 ready @3',
  );
  expect(faultsOf({ events: early })).toEqual(['r: b was begun before a was recorded as done']);
});

test('checker: a finally step waits for all of main, however that ended', () => {
  const steps: readonly StepSketch[] = [{ id: 'a' }, { id: 'f', part: 'finally' }];
  const failed = but(but(goodEvents, '0 succeeded @12', '0 failed @12'), 'run succeeded', 'run aborted');
  const lines = goodLines.replaceAll(' b ', ' f ');
  expect(faultsOf({ steps, events: failed, lines })).toEqual([]);
  const early = but(failed, '0 failed @12\n', '').replace('1 running @13', '1 running @13\n 0 failed @19');
  expect(faultsOf({ steps, events: early, lines })).toEqual(['r: f was begun before a was recorded as done']);
});

test('checker: an act before its predecessor had its effect, also through steps that do not act', () => {
  const wrong = `${but(goodLines, 'a x 1 effect @11\n', '')}\n a x 1 effect @23`;
  const expected = ['r: b acted before a had its effect'];
  expect(faultsOf({ lines: wrong })).toEqual(expected);
  const steps: readonly StepSketch[] = [
    { id: 'a' },
    { id: 'wait', after: [0], risk: 'reads' },
    { id: 'join', after: [1], kind: 'barrier', risk: 'reads' },
    { id: 'b', after: [2] },
  ];
  const events = goodEvents
    .replaceAll(' 1 ', ' 3 ')
    .replace(' 3 ready', ' 1 running @12\n 1 succeeded @12\n 2 running @12\n 2 succeeded @12\n 3 ready');
  expect(faultsOf({ steps, events })).toEqual([]);
  expect(faultsOf({ steps, events, lines: wrong })).toEqual(expected);
});

test('checker: an act before its predecessor was recorded, unless Redis has lost records', () => {
  const events = but(goodEvents, '0 succeeded @12', '0 succeeded @21');
  expect(faultsOf({ events })).toEqual(['r: b acted before a was recorded as done']);
  expect(faultsOf({ events, options: { hasLostTail: true } })).toEqual([]);
});

test('checker: an act while another process is still at its predecessor', () => {
  const lines = but(goodLines, 'b y 1 begin @20', 'a z 2 begin @12\n b y 1 begin @20\n a z 2 aborted @20');
  expect(faultsOf({ lines })).toEqual(['r: b acted while a was still being acted on']);
  expect(faultsOf({ lines, options: { stoppedPids: [2] } })).toEqual([]);
});

test('checker: a step that is done and never acted', () => {
  expect(faultsOf({ lines: but(goodLines, 'b y 1 effect @21\n', '') })).toEqual([
    'r: b is recorded as done and has not acted',
  ]);
});

test('checker: two acts of one step at a time, unless the first process was stopped meanwhile', () => {
  const second = ' a z 2 begin @10\n a z 2 effect @11\n a z 2 end @11';
  const lines = but(goodLines, 'a x 1 effect @11', `a x 1 effect @11\n${second}`);
  expect(faultsOf({ lines })).toEqual(['r: a was acted on by 2 while 1 was at it']);
  expect(faultsOf({ lines, options: { stoppedPids: [1] } })).toEqual([]);
});

test('checker: acts done again are counted', () => {
  const again = but(goodLines, 'a x 1 end @11', 'a z 2 begin @12\n a z 2 effect @12\n a z 2 end @12');
  expect(check({ lines: again })).toEqual({ faults: [], runs: 1, acts: 3, repeats: 1 });
  const killed = but(goodLines, 'a x 1 begin @10', 'a w 2 begin @9\n a x 1 begin @10');
  expect(check({ lines: killed })).toMatchObject({ faults: [], acts: 3, repeats: 0 });
});

test('checker: what destroys or stops is neither done twice nor begun again unasked', () => {
  for (const risk of ['destroys-data', 'stops-service'] as const) {
    const steps: readonly StepSketch[] = [
      { id: 'a', risk },
      { id: 'b', after: [0] },
    ];
    const again = but(goodLines, 'a x 1 end @11', 'a z 2 begin @12\n a z 2 effect @12\n a z 2 end @12');
    const audit = [{ step: 0, atMs: 11 }];
    const twice = `r: a (${risk}) had its effect 2 times`;
    const unasked = `r: a (${risk}) was begun again, and nobody had said so`;
    expect(faultsOf({ steps, lines: again })).toEqual([twice, unasked]);
    expect(faultsOf({ steps, lines: again, audit })).toEqual([twice]);
    const killed = but(goodLines, 'a x 1 begin @10', 'a w 2 begin @9\n a x 1 begin @10');
    expect(faultsOf({ steps, lines: killed })).toEqual([unasked]);
    expect(faultsOf({ steps, lines: killed, audit: [{ step: 0, atMs: 10 }] })).toEqual([]);
    expect(faultsOf({ steps, lines: killed, audit: [{ step: 1, atMs: 10 }] })).toEqual([unasked]);
  }
});

test('checker: two acts that stop or destroy at once in one cluster, also of two runs', () => {
  const steps: readonly StepSketch[] = [
    { id: 'a', risk: 'stops-service' },
    { id: 'b', risk: 'destroys-data' },
  ];
  const lines = `
    a x 1 begin @10
    b y 1 begin @10
    a x 1 effect @11
    b y 1 effect @11`;
  expect(faultsOf({ steps, lines })).toEqual(['r: b acted while a of r was under way in the same cluster']);
  const record = (name: string) => ({
    run: name,
    plan: planOf(steps),
    events: eventsOf(goodEvents),
    audit: [],
  });
  const two = linesOf(`${lines.replaceAll(' y ', ' q/y ')}\n b z 1 begin @12\n b z 1 effect @12`);
  expect(checkRuns([record('r'), record('q')], two).faults).toEqual([
    'q: a is recorded as done and has not acted',
    'q: b acted while a of r was under way in the same cluster',
  ]);
});

test('checker: more members begun than the group allows', () => {
  const steps: readonly StepSketch[] = [0, 1].map((member) => ({
    id: 'ab'[member] ?? '',
    places: [{ group: 0, member }],
  }));
  const groups = [{ id: 'g', maxParallel: 1, memberSizes: [1, 1] }];
  expect(faultsOf({ steps, groups })).toEqual([]);
  const events = but(goodEvents, '0 succeeded @12', '1 running @10\n 0 succeeded @12');
  expect(faultsOf({ steps, groups, events })).toEqual(['r: 2 members of g were begun, and it allows 1']);
});

test('checker: what is held and not given back', () => {
  const steps: readonly StepSketch[] = [
    { id: 'a' },
    { id: 'a.release', kind: 'release', releases: 0, part: 'finally' },
  ];
  const lines = goodLines.replaceAll(' b ', ' a!release ');
  expect(faultsOf({ steps, lines })).toEqual([]);
  expect(faultsOf({ steps, lines: but(lines, 'a!release y 1 effect @21\n', '') })).toEqual([
    'r: a is still held',
  ]);
});
