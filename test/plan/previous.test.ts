import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { duration, json, task } from '../../src/index.ts';
import { type Canvas, chain, chord, group, type StepOptions, step } from '../../src/plan/canvas.ts';
import { compileCanvas } from '../../src/plan/compile.ts';
import { fillStep, neededLists, neededOutputs } from '../../src/plan/fill.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { previous } from '../../src/plan/previous.ts';
import { readRanges } from '../../src/plan/ranges.ts';
import { smallContext, smallTasks, stepOf } from './support.ts';

const keep = task({
  name: 'list.keep',
  summary: 'Keep a list',
  risk: 'changes',
  params: { list: json('Anything') },
  output: { list: 'The same', device: 'A device' },
  run: async () => ({}),
});
const tasks = new Map([...smallTasks(), ['list.keep', { task: keep, hash: 'h' }]]);

const compile = (main: Canvas, atEnd?: Canvas): Plan =>
  compileCanvas(
    { name: 'it', summary: 's', target: '', main, ...(atEnd && { atEnd }) },
    { ...smallContext({ tasks }) },
  );
const find = (id: string, more: StepOptions = {}) => step('device.find', { name: 'h' }, { ...more, id });
const say = (id: string, more: StepOptions = {}) =>
  step('text.say', { text: previous('device') }, { ...more, id });
const take = (id: string, more: StepOptions = {}) =>
  step('list.keep', { list: previous('device') }, { ...more, id });

/** What a step's values become when each step that has an output says its own id. */
function filled(plan: Plan, id: string, absent: readonly string[] = []): Json {
  const own = stepOf(plan, id);
  const outputOf = (of: string) => (absent.includes(of) ? null : { device: of, count: 1 });
  const outputs = Object.fromEntries(neededOutputs(own).map((of) => [of, outputOf(of)]));
  const list = (ranges: string) => readRanges(ranges).map((index) => outputOf(plan.steps[index]?.id ?? ''));
  return fillStep(own, outputs, Object.fromEntries(neededLists(own).map((ranges) => [ranges, list(ranges)])));
}

describe('previous: after a step', () => {
  test('is a named value of its output, or the whole, at any depth; other steps are immutable', () => {
    const whole = step('list.keep', { list: { deep: [previous(), 7] } }, { id: 'whole' });
    const plan = compile(chain(find('a'), say('b'), find('c'), whole, find('d')));
    expect(stepOf(plan, 'b').with).toEqual({ text: { $expression: 'steps["a"].output["device"]' } });
    expect(stepOf(plan, 'b').title).toBe('Say a text: text known later');
    expect(filled(plan, 'whole')).toEqual({ list: { deep: [{ device: 'c', count: 1 }, 7] } });
    expect(stepOf(plan, 'd').with).toEqual({ name: 'h' });
  });

  test('looks through what is nested', () => {
    const plan = compile(
      chain(find('a'), chain(chain(say('b'))), find('c'), group([chain(say('d')), chain(chain(), say('e'))])),
    );
    expect(['b', 'd', 'e'].map((id) => filled(plan, id))).toEqual([
      { text: 'a' },
      { text: 'c' },
      { text: 'c' },
    ]);
  });

  test('is the output of the last step of a chain, through groups of ids that stand twice', () => {
    const plan = compile(
      chain(chain(find('x'), find('x')), say('b')),
      chain(find('x'), step('text.say', { text: previous('device') }, { id: 'end' })),
    );
    expect(filled(plan, 'b')).toEqual({ text: 'x-2' });
    expect(filled(plan, 'end')).toEqual({ text: 'x-3' });
  });

  test('is of those that `after` names: one, or a list of several in the order of the names', () => {
    const plan = compile(
      group([
        chain(find('a'), find('b'), find('c')),
        say('one', { after: ['c'] }),
        take('two', { after: ['c', 'a'] }),
        { ...chain(say('inner')), after: ['b'] },
      ]),
    );
    expect(filled(plan, 'one')).toEqual({ text: 'c' });
    expect(filled(plan, 'two')).toEqual({ list: ['c', 'a'] });
    expect(filled(plan, 'inner')).toEqual({ text: 'b' });
  });
});

describe('previous: after a group', () => {
  test('is the list of what its members returned, in their order; null for one that has nothing', () => {
    const plan = compile(chord([find('a'), chain(find('b'), find('c')), find('d')], take('body')));
    expect(filled(plan, 'body')).toEqual({ list: ['a', 'c', 'd'] });
    expect(filled(plan, 'body', ['c'])).toEqual({ list: ['a', null, 'd'] });
    const whole = step('list.keep', { list: previous() }, { id: 'body' });
    expect(filled(compile(chord([find('a')], whole)), 'body')).toEqual({ list: [{ device: 'a', count: 1 }] });
  });

  test('is a list of lists where groups are nested', () => {
    const plan = compile(chord([group([find('a'), find('b')]), find('c'), group([find('d')])], take('body')));
    expect(filled(plan, 'body')).toEqual({ list: [['a', 'b'], 'c', ['d']] });
  });

  test('of ten thousand, followed by ten thousand, stays short and quick', () => {
    const header = Array.from({ length: 10_000 }, () => chain(find('a'), step('device.find', { name: 'h' })));
    const body = Array.from({ length: 10_000 }, () => step('list.keep', { list: previous('device') }));
    const plan = compile(chain(group(header), group(body)));
    const { list } = stepOf(plan, 'list.keep-10000').with;
    expect(list).toEqual({
      $expression: 'outputs["1-19999/2"].map(o, o == null ? null : o["device"])',
    });
    expect((filled(plan, 'list.keep-77') as { list: Json[] }).list).toHaveLength(10_000);
  });

  test('whose members have no common shape is refused where its lists would be too long together', () => {
    const odd = Array.from({ length: 6000 }, (_, index) =>
      chain(...Array.from({ length: 1 + ((index * index) % 7) }, () => step('device.find', { name: 'h' }))),
    );
    const many = Array.from({ length: 2000 }, () => step('list.keep', { list: previous('device') }));
    expect(() => compile(chain(group(odd), group(many)))).toThrow(
      /its lists of predecessors take \d+ characters: expected at most 8388608\. Give the list to one step/,
    );
    expect(() => compile(chain(group(odd), many[0] ?? chain()))).not.toThrow();
  });
});

describe('previous: where steps come to stand', () => {
  test('lists number the steps of the plan, in finally too, behind barriers', () => {
    const pair = () => [find('x'), chain(find('x'), find('x'))];
    const main = chain(group(pair()), group(pair()), take('body'));
    const plan = compile(main, chain(group(pair()), take('end')));
    expect(plan.steps.map(({ id }) => id).slice(0, 4)).toEqual(['x', 'x-2', 'x-3', 'barrier-1']);
    expect(filled(plan, 'body')).toEqual({ list: ['x-4', 'x-6'] });
    expect(filled(plan, 'end')).toEqual({ list: ['x-7', 'x-9'] });
  });

  test('a step that is written before what it comes after names it where it stands', () => {
    const early = [take('t', { after: ['all'] }), say('u', { after: ['b'] })];
    const plan = compile(group([...early, group([find('a'), find('b')], { id: 'all' })]));
    expect(plan.steps.map(({ id }) => id)).toEqual(['a', 'b', 't', 'u']);
    expect(filled(plan, 't')).toEqual({ list: ['a', 'b'] });
    expect(filled(plan, 'u')).toEqual({ text: 'b' });
  });

  test('one canvas that stands twice takes of what stands before it each time', () => {
    const twice = chain(find('x'), say('s'));
    const plan = compile(chain(twice, twice));
    expect(['s', 's-2'].map((id) => filled(plan, id))).toEqual([{ text: 'x' }, { text: 'x-2' }]);
  });

  test('what is given back at the end has the values that were passed on', () => {
    const light = task({
      name: 'light.on',
      summary: 'Switch the light on',
      risk: 'changes',
      params: { life: duration('How long') },
      run: async () => ({}),
      hold: { life: 'life', renew: async () => undefined, release: async () => undefined },
    });
    const main = chain(find('a'), step('light.on', { life: previous('count') }, { id: 'on' }));
    const context = smallContext({ tasks: new Map([...tasks, ['light.on', { task: light, hash: 'h' }]]) });
    const plan = compileCanvas({ name: 'it', summary: 's', target: '', main }, context);
    expect(stepOf(plan, 'on.release').with).toEqual({
      life: { $expression: 'steps["a"].output["count"]' },
    });
  });
});

describe('previous: what is not there is refused with the steps that take it', () => {
  const fault = (main: Canvas, atEnd?: Canvas) => {
    try {
      compile(main, atEnd);
    } catch (thrown) {
      return thrown;
    }
    return 'it was compiled';
  };
  const invalid = (lines: readonly string[]) =>
    expect.objectContaining({
      code: 'PLAYBOOK_INVALID',
      message: ['it passes on what is not there:', ...lines].join('\n'),
    });

  test('nothing before: at the beginning, in finally, in a group that begins', () => {
    expect(fault(group([say('a'), chain(say('b'))]), say('c'))).toEqual(
      invalid([
        'a takes previous("device"), but nothing stands before it',
        'b takes previous("device"), but nothing stands before it',
        'c takes previous("device"), but nothing stands before it',
      ]),
    );
  });

  test('nothing but a group without steps', () => {
    expect(fault(chain(find('a'), group([chain(), group([])]), say('b')))).toEqual(
      invalid(['b takes previous("device"), but what stands before it holds no step']),
    );
  });

  test('an output that the task does not declare', () => {
    const wrong = step('text.say', { text: previous('devise') }, { id: 'b' });
    expect(fault(chain(find('a'), wrong))).toEqual(
      invalid([
        'b takes previous("devise") of a, whose task device.find has no output devise: expected one of device, count. Did you mean "device"?',
      ]),
    );
    const none = step('noop.do', {}, { id: 'm' });
    expect(fault(chord([find('a'), none], step('list.keep', { list: previous() }, { id: 'b' })))).toEqual(
      invalid(['b takes previous() of m, whose task noop.do has no output: it has none.']),
    );
  });

  test('what an expansion returns, and lists of outputs inside of one', () => {
    const each = (member: Canvas, over = 'steps["a"].output.device'): Canvas => ({
      ...{ canvas: 'expand', id: 'each', variable: 'device', atMost: 3, settings: {} },
      ...{ over, member },
    });
    expect(fault(chain(find('a'), each(find('m')), say('b')))).toEqual(
      invalid(['b takes previous("device"), but each before it is an expansion, which returns nothing']),
    );
    const refused = (message: string) => expect.objectContaining({ code: 'PLAYBOOK_INVALID', message });
    expect(fault(chain(find('a'), each(chain(find('m'), say('s')))))).toEqual(
      refused('s takes previous() in the expansion each, which is not possible'),
    );
    const listing = step('list.keep', { list: { $expression: 'outputs["0"]' } }, { id: 'l' });
    expect(fault(chain(find('a'), each(listing)))).toEqual(
      refused('l takes a list of outputs in the expansion each, which is not possible'),
    );
    expect(fault(chain(find('a'), each(find('m'), 'outputs["0"]')))).toEqual(
      refused('each takes a list of outputs as its list, which is not possible'),
    );
  });

  test('no more than twenty lines', () => {
    const all = Array.from({ length: 30 }, (_, index) => say(`s${index}`));
    expect(
      String(fault(group(all)))
        .split('\n')
        .at(-1),
    ).toBe('and 10 more');
  });
});

describe('canvas: payload', () => {
  test('of the run and of a step stand in the plan', () => {
    const main = step('noop.do', {}, { payload: { ticket: 7 } });
    const plan = compileCanvas({ name: 'it', summary: 's', target: '', payload: 'x', main }, smallContext());
    expect([plan.payload, plan.steps[0]?.payload]).toEqual(['x', { ticket: 7 }]);
    const given = compileCanvas(
      { name: 'it', summary: 's', target: '', payload: 'x', main },
      smallContext({ payload: 'y' }),
    );
    expect(given.payload).toBe('y');
  });

  test('longer than 4 KiB is refused', () => {
    const payload = 'é'.repeat(2048);
    const about = { name: 'it', summary: 's', target: '' };
    expect(() => compileCanvas({ ...about, main: step('noop.do'), payload }, smallContext())).toThrow(
      'the payload of the run is 4098 bytes of JSON: expected at most 4096',
    );
    const main = step('noop.do', {}, { id: 'a', payload });
    expect(() => compileCanvas({ ...about, main }, smallContext())).toThrow(
      expect.objectContaining({
        code: 'PARAM_INVALID',
        message: 'the payload of step a is 4098 bytes of JSON: expected at most 4096',
      }),
    );
  });
});
