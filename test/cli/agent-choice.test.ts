import { expect, test } from 'vitest';
import { chooseAgent, chooseForRun } from '../../src/cli/agent-choice.ts';

const lab1 = { clusters: ['lab1'], files: ['/etc/A.yaml'] };
const lab2 = { clusters: ['lab2'], files: ['/etc/B.yaml'] };
const both = { clusters: ['lab1', 'lab2'], files: ['/etc/C.yaml'] };
const run = (cluster: string, counts: { running?: number } = {}) => ({
  run: `0123abc${cluster.slice(-1)}`,
  cluster,
  counts,
});
const found = {
  pid: 12,
  serves: lab1,
  mine: lab1,
  isOutdated: false,
  unfinished: [run('lab1', { running: 1 })],
  self: 'cephflow',
};

test('an agent that works on all that is unfinished is kept', () => {
  expect(chooseAgent(found)).toEqual({ kind: 'keep' });
  expect(chooseForRun(found, 'lab1')).toBe('keep');
});

test('an agent whose config was edited is not replaced while a step is under way', () => {
  expect(chooseAgent({ ...found, isOutdated: true })).toEqual({
    kind: 'warn',
    text:
      'the agent (process 12) keeps the config that it was started with, because steps of run abc1 are under way\n' +
      '  to have it read the config now, type: cephflow agent stop',
  });
  expect(chooseAgent({ ...found, isOutdated: true, unfinished: [run('lab1')] })).toEqual({ kind: 'replace' });
});

test('a newer config without the cluster of an unfinished run does not replace the agent', () => {
  const choice = chooseAgent({ ...found, mine: lab2, isOutdated: true, unfinished: [run('lab1')] });
  expect(choice).toEqual({ kind: 'keep' });
});

test('a run that the agent cannot work on does not stand still in silence', () => {
  const standing = { ...found, unfinished: [run('lab2')] };
  const choice = chooseAgent(standing);
  expect(choice.kind === 'warn' && choice.text.split('\n')[0]).toBe(
    'run abc2 stands still: the agent (process 12) works with /etc/A.yaml, which has lab1, but not its cluster lab2',
  );
  expect(chooseAgent({ ...standing, mine: both })).toEqual({ kind: 'replace' });
  expect(
    chooseAgent({ ...standing, mine: both, unfinished: [run('lab2'), run('lab1', { running: 1 })] }).kind,
  ).toBe('warn');
});

test('a run on a cluster that the agent lacks is refused while others need the agent as it is', () => {
  const hint =
    'write all clusters into one config and type: cephflow agent stop; or keep the records apart: CEPHFLOW_STATE=FOLDER cephflow …';
  const refusal = (about: Partial<typeof found>) => {
    try {
      return chooseForRun({ ...found, ...about }, 'lab2');
    } catch (thrown) {
      const { code, message, hint } = thrown as { code: string; message: string; hint: string };
      return { code, message, hint };
    }
  };
  const who =
    'the agent (process 12) works with /etc/A.yaml, which has lab1, but not lab2; it cannot be started anew now: ';
  expect(refusal({ mine: lab2, unfinished: [run('lab1')] })).toEqual({
    code: 'LOCK_HELD',
    message: `${who}run abc1 on lab1 has not ended`,
    hint,
  });
  expect(refusal({ mine: both })).toEqual({
    code: 'LOCK_HELD',
    message: `${who}steps of run abc1 are under way`,
    hint,
  });
  expect(refusal({ mine: both, unfinished: [run('lab1')] })).toBe('replace');
  expect(refusal({ mine: lab2, unfinished: [] })).toBe('replace');
});
