import { describe, expect, test } from 'vitest';
import { CephflowError, describeError } from '../../src/base/errors.ts';
import { confirmPlan, confirmRun } from '../../src/cli/confirm.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Risk } from '../../src/task/task.ts';

const planOf = (risk: Risk) =>
  ({ playbook: 'replace-node', target: 'ceph-osd-07', steps: [{ risk }] }) as unknown as Plan;

/** Sit at a terminal and answer; undefined: nobody is there. */
function terminal(answer: string | undefined) {
  const asked: string[] = [];
  const nothing = () => undefined;
  const ask = async (question: string) => {
    asked.push(question);
    return answer;
  };
  return {
    asked,
    io: {
      data: nothing,
      say: nothing,
      warn: nothing,
      dataWidth: undefined,
      sayWidth: undefined,
      canAsk: answer !== undefined,
      ask,
    },
  };
}

async function outcome(risk: Risk, given: string | undefined, answer: string | undefined) {
  const { asked, io } = terminal(answer);
  try {
    await confirmPlan(planOf(risk), given, io);
    return { asked: asked.length, code: 0 };
  } catch (error) {
    if (error instanceof CephflowError) return { asked: asked.length, code: error.exitCode };
    throw error;
  }
}

describe('confirming a plan', () => {
  test('what destroys or stops asks for the name; the right one goes on', async () => {
    expect(await outcome('destroys-data', undefined, 'ceph-osd-07')).toEqual({ asked: 1, code: 0 });
    expect(await outcome('stops-service', undefined, ' ceph-osd-07 ')).toEqual({ asked: 1, code: 0 });
  });

  test('another answer, also yes, is a no: exit 3', async () => {
    for (const answer of ['yes', '', 'ceph-osd-08'])
      expect(await outcome('destroys-data', undefined, answer)).toEqual({ asked: 1, code: 3 });
  });

  test('--confirm asks nothing; of something else it is a mistake, exit 64', async () => {
    expect(await outcome('destroys-data', 'ceph-osd-07', undefined)).toEqual({ asked: 0, code: 0 });
    expect(await outcome('destroys-data', 'ceph-osd-70', 'ceph-osd-07')).toEqual({ asked: 0, code: 64 });
    expect(await outcome('changes', 'ceph-osd-70', undefined)).toEqual({ asked: 0, code: 64 });
  });

  test('nobody there and no --confirm: exit 64', async () => {
    expect(await outcome('destroys-data', undefined, undefined)).toEqual({ asked: 0, code: 64 });
  });

  test('what destroys nothing needs no confirmation', async () => {
    expect(await outcome('moves-data', undefined, undefined)).toEqual({ asked: 0, code: 0 });
  });
});

describe('confirming something about a run', () => {
  const run = '01m850t0y2k7crbvt67xd140n5';
  const confirm = async (given: string | undefined, answer: string | undefined) => {
    const { asked, io } = terminal(answer);
    const refused = await confirmRun(io, {
      run,
      given,
      unattended: 'this ends it',
      warning: 'Careful.',
    }).then(
      () => '',
      (error: CephflowError) => describeError(error),
    );
    return { asked, refused };
  };

  test('its id is typed, as it is shown', async () => {
    expect(await confirm(undefined, '40n5')).toEqual({
      asked: ['Careful. Type 40n5 to go on: '],
      refused: '',
    });
    const { refused } = await confirm(undefined, 'y');
    expect(refused).toBe('DECLINED  the answer was not 40n5\n  nothing was changed');
  });

  test('--confirm takes it whole or as it is shown, and no other', async () => {
    for (const given of ['40n5', '40N5', run]) expect((await confirm(given, undefined)).refused).toBe('');
    expect((await confirm('0n5', undefined)).refused).toBe(
      'USAGE  --confirm says 0n5, but the run is 40n5\n  nothing was changed; if you mean 40n5, type --confirm 40n5',
    );
  });
});
