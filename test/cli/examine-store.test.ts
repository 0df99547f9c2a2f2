import { expect, test } from 'vitest';
import { asCephflowError } from '../../src/base/errors.ts';
import { examineStore } from '../../src/cli/examine-store.ts';
import type { Check, Finding } from '../../src/cli/finding.ts';
import type { Actor } from '../../src/engine/store.ts';
import { chainOf } from '../engine/plans.ts';
import { rigForEachTest } from '../engine/store-rig.ts';

const rig = rigForEachTest();
const me = { by: 'anna', reason: 'power cut' };

/** As the doctor's own: what is thrown is a failure. */
const check: Check = async (name, ask) => {
  try {
    return { name, level: 'ok', text: await ask(), exitCode: 0 };
  } catch (thrown) {
    const { code, message, hint, exitCode } = asCephflowError(thrown);
    return { name, level: 'FAIL', text: `${code}  ${message}`, exitCode, ...(hint && { fix: hint }) };
  }
};

async function examined(repairBy?: Actor): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const one of examineStore(rig.store, { check, repairBy, self: 'cephflow' })) found.push(one);
  return found;
}

const whole = { name: 'other records', level: 'ok', text: 'whole', exitCode: 0 } as const;

test('every unfinished run has a line, and what is left of others has one', async () => {
  const run = await rig.store.createRun(chainOf(2), me);
  const name = `run ${run.slice(-4)}`;
  expect(await examined()).toEqual([{ name, level: 'ok', text: 'whole', exitCode: 0 }, whole]);
});

test('damage is told with what mends it, and mended where that is wanted', async () => {
  const run = await rig.store.createRun(chainOf(2), me);
  const name = `run ${run.slice(-4)}`;
  await rig.redis.hincrby(`${rig.prefix}:{${run}}:meta`, 'mainLeft', 5);
  await rig.redis.setbit(`${rig.prefix}:{${run}}:rdy`, 0, 0);
  const texts =
    'steps that have not ended: the run counts 7, its steps say 2\ns0 is ready, but neither in the outbox nor sent';
  expect(await examined()).toEqual([
    {
      name,
      level: 'FAIL',
      text: `RUN_DAMAGED  the records contradict one another:\n${texts}`,
      fix: 'cephflow doctor --repair mends what can be mended; no step is ended by it',
      exitCode: 70,
    },
    whole,
  ]);
  expect(await examined(me)).toEqual([
    { name, level: 'ok', text: `2 mended:\n${texts}`, exitCode: 0 },
    whole,
  ]);
  expect((await examined())[0]).toMatchObject({ level: 'ok', text: 'whole' });
  const [repaired] = (await rig.store.audit(run)).slice(-1);
  expect(repaired).toMatchObject({
    act: 'repair',
    by: 'anna',
    reason: expect.stringMatching(/^power cut: /),
  });
});

test('what a run has set and nobody gave back is a warning; what no script can mend is for a person', async () => {
  const over = await rig.store.createRun(chainOf(1), me);
  const held = await rig.claim(over, 0);
  await rig.store.recordHold(held, { expiresMs: 4e12, renewMs: 4e12 });
  await rig.store.complete(held, { state: 'succeeded', acted: true });
  const run = await rig.store.createRun(chainOf(1), me);
  await rig.redis.hdel((await rig.redis.hget(`${rig.prefix}:{${run}}:meta`, 'planKey')) ?? '', 'p0');
  expect(await examined(me)).toEqual([
    {
      name: `run ${run.slice(-4)}`,
      level: 'FAIL',
      text: 'RUN_DAMAGED  the records contradict one another:\n1 pages of the plan are not in the store',
      fix: 'no script can mend this: a person must look at the run, and abort or kill it',
      exitCode: 70,
    },
    {
      name: 'other records',
      level: 'warn',
      text: 's0 set something that nobody gives back; it stays until 2096-10-02T07:06:40.000Z at most',
      exitCode: 0,
    },
  ]);
});
