import { describe, expect, it } from 'vitest';
import { duration, number, text } from '../../src/task/params.ts';
import { type TaskDefinition, task } from '../../src/task/task.ts';

const wait: TaskDefinition<Record<never, never>, null> = {
  name: 'thing.wait',
  summary: 'Wait for a thing',
  risk: 'reads',
  params: {},
  done: async () => true,
};

describe('task()', () => {
  const refused: readonly [string, object, string][] = [
    [
      'a name without a verb',
      { name: 'thing' },
      'the name must be noun.verb in lower case, such as osd.reweight',
    ],
    [
      'a parameter with a hyphen',
      { params: { 'at-least': number('n') } },
      'parameter at-least must match [a-z][a-z0-9_]* (a hyphen would be a minus in expressions)',
    ],
    ['neither a question nor an act', { done: undefined }, 'it needs done (a wait), run (an act), or both'],
    [
      'an act that says it only reads',
      { run: async () => {} },
      'a task that runs changes something: its risk cannot be reads',
    ],
    [
      'a wait that says it changes',
      { risk: 'changes' },
      'a task without run only reads: its risk cannot be changes',
    ],
    [
      'a destroying act without blockers',
      { risk: 'destroys-data', run: async () => {} },
      'a task that destroys-data needs done and blockers, so that it is never acted on twice or on a guess',
    ],
    ['a poll without a unit', { poll: '10' }, 'poll must be a duration such as 10s, not "10"'],
    [
      'a hold whose life is no duration',
      { params: { life: text('x') }, hold: { life: 'life', renew: async () => {}, release: async () => {} } },
      'hold.life must name a parameter of kind duration',
    ],
  ];

  it.each(refused)('refuses %s', (_, change, fault) => {
    const definition = { ...wait, ...change } as typeof wait;
    expect(() => task(definition)).toThrow(`task ${definition.name}: ${fault}`);
  });

  it('takes a hold with a life', () => {
    const made = task({
      name: 'thing.hold',
      summary: 'Hold a thing',
      risk: 'changes',
      params: { life: duration('how long') },
      run: async () => {},
      hold: { life: 'life', renew: async () => {}, release: async () => {} },
    });
    expect(made.hold?.life).toBe('life');
  });
});
