import { describe, expect, test } from 'vitest';
import { CephflowError } from '../../src/base/errors.ts';
import { confirmPlan } from '../../src/cli/confirm.ts';
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
