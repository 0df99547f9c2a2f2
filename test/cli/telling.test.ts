import { describe, expect, test } from 'vitest';
import { describeFailures } from '../../src/cli/failures.ts';
import { describeGlance } from '../../src/cli/glance.ts';
import { describeLeftBehind } from '../../src/cli/left-behind.ts';
import { describeControl, lineWriter } from '../../src/cli/lines.ts';
import {
  countDone,
  createTally,
  describeFar,
  describeProgress,
  describeWait,
} from '../../src/cli/progress.ts';
import type { RunSnapshot, StepView } from '../../src/engine/store.ts';
import type { Plan, PlanStep } from '../../src/plan/plan.ts';
import type { StepState } from '../../src/run/states.ts';

const osd = (id: number) => ({
  id,
  name: `osd.${id}`,
  uuid: `uuid-${id}`,
  node: 'ceph-osd-02',
  weight: 1.81945,
});
const node = { name: 'ceph-osd-02', osds: [osd(2), osd(3)] };

function step(id: string, facts: Partial<PlanStep> = {}): PlanStep {
  const usual = {
    kind: 'task',
    risk: 'changes',
    title: `Does ${id}`,
    with: {},
    after: [],
    part: 'main',
    places: [],
  };
  return { id, task: id, ...usual, ...facts } as PlanStep;
}

const plan = {
  playbook: 'replace-node',
  target: 'ceph-osd-02',
  steps: [
    step('silence', { task: 'monitoring.downtime' }),
    step('drain', { task: 'node.reweight', with: { node, weight: 0 } }),
    step('join', { kind: 'barrier' }),
    step('osd.purge@osd.2', { task: 'osd.purge', risk: 'destroys-data', with: { osd: osd(2) } }),
    step('osd.purge@osd.3', { task: 'osd.purge', risk: 'destroys-data', with: { osd: osd(3) } }),
    step('swapped', { task: 'person.confirm', risk: 'reads' }),
    step('silence.release', { kind: 'release', part: 'finally', releases: 0 }),
  ],
} as unknown as Plan;

const run = '01m850t0y2k7crbvt67xd140n5';
const atMs = Date.UTC(2026, 10, 23, 3, 12, 44);

function snapshotOf(
  states: readonly StepState[],
  { views = [], ...facts }: Partial<RunSnapshot> = {},
): RunSnapshot {
  const counts: Partial<Record<StepState, number>> = {};
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  const done = states.flatMap((state, index): StepView[] =>
    state === 'succeeded' && !views.some((view) => view.step === index)
      ? [{ step: index, state, attempt: 1, acted: true }]
      : [],
  );
  return {
    run,
    state: 'running',
    playbook: 'replace-node',
    target: 'ceph-osd-02',
    cluster: 'lab',
    by: 'ada',
    summary: '',
    planHash: '',
    createdMs: atMs - 90_000,
    nowMs: atMs,
    steps: states.length,
    counts,
    states,
    views: [...done, ...views],
    holds: [],
    lastSeq: '1-0',
    ...facts,
  };
}

const half: readonly StepState[] = [
  'succeeded',
  'succeeded',
  'succeeded',
  'succeeded',
  'failed',
  'pending',
  'pending',
];
const failedPurge: StepView = {
  step: 4,
  state: 'failed',
  attempt: 1,
  isActing: true,
  error: {
    code: 'CEPH_REFUSED',
    message: 'Ceph refused',
    detail: 'CEPH_REFUSED  Ceph refused\n  on adm1: ceph osd purge 3  (exit 16)\n  try again later',
  },
};
const hold = { step: 0, expiresMs: atMs + 3_600_000, renewMs: atMs };

describe('how far a run is', () => {
  test('counts what people see, without barriers', () => {
    expect(countDone(plan, half)).toBe('3/6');
    expect(describeProgress(plan, snapshotOf(half))).toBe('3/6 done, 0 running, 0 waiting, 1 failed');
    expect(describeProgress(plan, snapshotOf(['ready']))).toContain('1 ready');
  });

  test('of a run that is taken back, what is taken back counts', () => {
    const undoOf = (undoes: number) => step(`${undoes}.undo`, { kind: 'undo', undoes });
    const steps = [...plan.steps, step('undo', { kind: 'expand' }), undoOf(1), undoOf(0)];
    const back = { ...plan, steps } as Plan;
    const states: StepState[] = ['undoing', 'undone', 'cancelled', 'cancelled', 'cancelled', 'cancelled'];
    const all: StepState[] = [...states, 'pending', 'succeeded', 'succeeded', 'running'];
    expect(countDone(back, all)).toBe('0/6');
    expect(describeProgress(back, snapshotOf(all, { state: 'undoing' }))).toBe(
      'undoing: 1/2 taken back, 1 running, 0 waiting, 0 failed',
    );
    const begun = { ...plan, steps: [...plan.steps, step('undo', { kind: 'expand' })] } as Plan;
    expect(describeFar(begun, [])).toBe('nothing taken back');
    const tally = createTally(() => back, all);
    tally.set(0, 'undone');
    tally.set(9, 'succeeded');
    expect(tally.far()).toBe('2/2 taken back');
  });

  test('a tally follows a run that grows', () => {
    let known = { ...plan, steps: plan.steps.slice(0, 2) } as Plan;
    const tally = createTally(() => known, []);
    tally.set(0, 'succeeded');
    tally.set(3, 'succeeded');
    expect(tally.far()).toBe('1/2 done');
    known = plan;
    expect(tally.far()).toBe('2/6 done');
    tally.set(3, 'ready');
    expect(tally.far()).toBe('1/6 done');
  });

  test('a wait carries its value, its target and when it is asked next', () => {
    const waiting = { reason: '12 PGs are still on osd.2', nextAskMs: atMs + 10_000 };
    expect(describeWait({ ...waiting, progress: { value: 12, target: 0, unit: 'PGs' } }, atMs)).toBe(
      '12 PGs are still on osd.2 (12 -> 0 PGs, asked again in 10s)',
    );
    expect(describeWait({ ...waiting, question: 'Sure?' }, atMs)).toBe('12 PGs are still on osd.2');
    expect(describeWait({ reason: 'down', progress: { value: 0, target: 0, unit: 'PGs' } }, atMs)).toBe(
      'down',
    );
  });
});

describe('what is left behind', () => {
  test('a failed run: weights with the way back, what is done for good, what nobody knows, what is held', () => {
    const snapshot = snapshotOf(half, { state: 'failed', views: [failedPurge], holds: [hold] });
    expect(describeLeftBehind(plan, snapshot).split('\n')).toEqual([
      'how things stand meanwhile (an abort takes nothing back but what is held):',
      '  CRUSH weight 0, so that no data comes back: osd.3; as it was before:',
      '    ceph osd crush reweight osd.3 1.81945',
      '  carried out for good: osd.purge@osd.2',
      '  begun, and nobody knows whether it happened: osd.purge@osd.3',
      '  silence is held and renewed (now until 2026-11-23T04:12:44Z) and given back when the run ends: Does silence',
    ]);
  });

  test('an aborted run: what was held is given back', () => {
    const states: StepState[] = [
      ...half.slice(0, 2),
      'cancelled',
      'cancelled',
      'cancelled',
      'cancelled',
      'succeeded',
    ];
    expect(describeLeftBehind(plan, snapshotOf(states, { state: 'aborted' })).split('\n')).toEqual([
      'what the run leaves behind:',
      '  CRUSH weight 0, so that no data comes back: osd.2, osd.3; as it was before:',
      '    ceph osd crush reweight osd.2 1.81945',
      '    ceph osd crush reweight osd.3 1.81945',
      '  silence is given back',
    ]);
  });

  test('a hold that could not be given back says when it ends by itself', () => {
    const snapshot = snapshotOf(half, { state: 'left-over', holds: [hold] });
    expect(describeLeftBehind(plan, snapshot)).toContain(
      'silence was not given back; it ends by itself at 2026-11-23T04:12:44Z',
    );
  });

  test('a run that has changed nothing leaves nothing', () => {
    expect(describeLeftBehind(plan, snapshotOf(['pending'], { state: 'aborted' }))).toBe('');
  });
});

describe('failures', () => {
  test('the whole error, and the exact lines to type', () => {
    const snapshot = snapshotOf(half, { state: 'failed', views: [failedPurge] });
    expect(describeFailures(plan, snapshot, { self: 'cephflow', width: undefined }).split('\n')).toEqual([
      'run 40n5: a step has failed, 1 has not begun',
      '  osd.purge@osd.3',
      '    CEPH_REFUSED  Ceph refused',
      '      on adm1: ceph osd purge 3  (exit 16)',
      '      try again later',
      'what you can do:',
      '  once more:    cephflow retry 40n5',
      '  leave it out: cephflow skip 40n5 --step osd.purge@osd.3 --confirm osd.purge@osd.3 --reason "…"',
      '  give up:      cephflow abort 40n5 --reason "…"',
      '  look closer:  cephflow logs 40n5 osd.purge@osd.3',
    ]);
  });

  test('as long as nothing is destroyed the run can be taken back', () => {
    const states: StepState[] = ['succeeded', 'failed', ...half.slice(4).map((): StepState => 'pending')];
    const views: StepView[] = [{ step: 1, state: 'failed', attempt: 1 }];
    const snapshot = snapshotOf(states, { state: 'failed', views });
    expect(describeFailures(plan, snapshot, { self: 'cephflow', width: undefined })).toContain(
      '\n  take it back: cephflow undo 40n5 --reason "…"\n  give up:',
    );
  });

  test('of a run that is over advise nothing', () => {
    const snapshot = snapshotOf(half, { state: 'aborted', views: [failedPurge] });
    expect(describeFailures(plan, snapshot, { self: 'cephflow', width: undefined }).split('\n')).toEqual([
      'run 40n5: a step has failed, 1 has not begun',
      '  osd.purge@osd.3',
      '    CEPH_REFUSED  Ceph refused',
    ]);
  });
});

describe('a run at a glance', () => {
  const telling = { self: 'cephflow', width: undefined };

  test('what it waits for since when, and what to type', () => {
    const waiting = { reason: 'OSD_DOWN: 2 osds down', sinceMs: atMs - 60_000, nextAskMs: atMs + 5000 };
    const states: StepState[] = [
      'succeeded',
      'waiting',
      'pending',
      'pending',
      'pending',
      'pending',
      'pending',
    ];
    const views: StepView[] = [{ step: 1, state: 'waiting', attempt: 1, waiting }];
    expect(describeGlance(plan, snapshotOf(states, { views }), telling).split('\n')).toEqual([
      'run 40n5  replace-node ceph-osd-02 on cluster lab: RUNNING for 1m30s, 1/6 steps done',
      '  waits for 1m00s, drain: OSD_DOWN: 2 osds down (asked again in 5s)',
      '  follow it:    cephflow watch 40n5',
      '  ask at once:  cephflow retry 40n5 --step drain',
      '  leave it out: cephflow skip 40n5 --step drain --confirm drain --reason "…"',
      '  give up:      cephflow abort 40n5 --reason "…"',
    ]);
  });

  test('a run that waits for a lock: whose it is, and where to look', () => {
    const other = '01m850t0y2k7crbvt67xd17q2m';
    const locks = [
      { name: 'node/n1', holders: [{ run: other, sinceMs: atMs - 180_000 }], waiters: [{ run }] },
      { name: 'node/n2', holders: [{ run: other, sinceMs: atMs }], waiters: [{ run: other, step: 1 }] },
    ];
    const states: StepState[] = ['ready', ...half.slice(1).map((): StepState => 'pending')];
    const snapshot = snapshotOf(states, { state: 'planned' });
    expect(describeGlance(plan, snapshot, { ...telling, locks }).split('\n')).toEqual([
      'run 40n5  replace-node ceph-osd-02 on cluster lab: PLANNED for 1m30s, 0/6 steps done',
      '  waits for lock node/n1, which run 7q2m has held for 3m00s',
      '  follow it:    cephflow watch 40n5',
      '  who has what: cephflow lock ls',
      '  give up:      cephflow abort 40n5 --reason "…"',
    ]);
  });

  test('a question that is for some to answer says for whom', () => {
    const waiting = { reason: 'a person', question: 'Is it in place?', sinceMs: atMs };
    const views: StepView[] = [{ step: 5, state: 'waiting', attempt: 1, waiting }];
    const steps = plan.steps.map((one) => ({ ...one, approvers: ['ada', 'cleo'] }));
    expect(describeGlance({ ...plan, steps }, snapshotOf(half, { views }), telling)).toContain(
      'run 40n5 asks: Is it in place?\n  who: only ada or cleo may answer\n  yes: ',
    );
  });

  test('a question, with both answers', () => {
    const waiting = { reason: 'a person', question: 'Is it in place?', sinceMs: atMs };
    const states: StepState[] = [...half.slice(0, 4), 'succeeded', 'waiting', 'pending'];
    const views: StepView[] = [{ step: 5, state: 'waiting', attempt: 1, waiting }];
    expect(describeGlance(plan, snapshotOf(states, { views }), telling)).toContain(
      'run 40n5 asks: Is it in place?\n  yes: cephflow approve 40n5 swapped\n  no:  cephflow reject 40n5 swapped',
    );
  });

  test('fits a narrow terminal', () => {
    const text = describeGlance(plan, snapshotOf(half), { self: 'cephflow', width: 60 });
    const told = text.split('\n').filter((line) => !line.includes('cephflow '));
    expect(Math.max(...told.map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});

describe('lines of a run', () => {
  const course = {
    atMs,
    step: 'osd.wait-empty@osd.2',
    state: 'waiting',
    text: '12 PGs are still on osd.2\nsee',
  };

  test('in a pipe: one line with date, run and columns', () => {
    expect(lineWriter(run, undefined)(course)).toBe(
      '2026-11-23T03:12:44Z  40n5  osd.wait-empty@osd.2          waiting    12 PGs are still on osd.2 | see',
    );
  });

  test('on 80 columns: the time of day, and what does not fit below', () => {
    expect(lineWriter(run, 80)(course).split('\n')).toEqual([
      '03:12:44  osd.wait-empty@osd.2    waiting  12 PGs are still on osd.2 | see',
    ]);
    expect(lineWriter(run, 60)(course).split('\n')).toEqual([
      '03:12:44  osd.wait-empty@osd.2    waiting',
      '          12 PGs are still on osd.2 | see',
    ]);
  });

  test('what a person decided is said in words', () => {
    expect(describeControl('decide by ada@adm1 (pts/0): rejected cables')).toBe(
      'rejected by ada@adm1 (pts/0): cables',
    );
    expect(describeControl('abort by ada: enough')).toBe('abort by ada: enough');
  });
});
