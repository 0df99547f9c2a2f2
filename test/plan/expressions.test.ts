import { describe, expect, test } from 'vitest';
import { toCel } from '../../src/plan/cel-types.ts';
import { evaluateText, type Values } from '../../src/plan/evaluate.ts';
import { checkExpression, evaluateLate, type Names } from '../../src/plan/expressions.ts';
import type { Problem } from '../../src/plan/problems.ts';

const osdTarget = { id: 3, name: 'osd.3', uuid: 'u3', node: 'n1', weight: 2 };
const nodeTarget = { name: 'n1', osds: [osdTarget], location: [{ type: 'rack', name: 'r1' }] };

const names: Names = {
  params: new Map([
    ['node', 'Node'],
    ['count', 'int'],
    ['share', 'double'],
    ['name', 'string'],
    ['quick', 'bool'],
    ['devices', 'dyn'],
    ['huge', 'int'],
  ]),
  variables: new Map([['osd', 'Osd']]),
};

const values: Values = {
  names: {
    params: {
      node: toCel(nodeTarget, 'Node'),
      count: toCel(3, 'int'),
      share: toCel(2, 'double'),
      name: 'n1',
      quick: true,
      devices: toCel(['/dev/sda'], 'dyn'),
      huge: 2n ** 53n - 1n,
    },
    osd: toCel(osdTarget, 'Osd'),
  },
  planIdOf: (step) => `${step}@osd.3`,
};

function evaluate(text: string) {
  const problems: Problem[] = [];
  const place = { file: 'x.yaml', line: 4, column: 9, textColumn: 10 };
  const value = evaluateText({ text, place }, values, problems);
  return problems.length > 0 ? problems.map((one) => `${one.line}:${one.column}  ${one.message}`) : value;
}

describe('expressions: what comes out of a text', () => {
  test.each<[string, unknown]>([
    // literal texts
    ['plain', 'plain'],
    ['', ''],
    [`$\${literal}`, `\${literal}`],
    [`a $\${b} \${params.name}`, `a \${b} n1`],
    ['costs 5$ {x}', 'costs 5$ {x}'],
    // one expression keeps its type
    [`\${params.count}`, 3],
    [`\${params.share}`, 2],
    [`\${params.quick}`, true],
    [`\${params.devices}`, ['/dev/sda']],
    [`\${params.node}`, nodeTarget],
    [`\${osd}`, osdTarget],
    [`\${params.node.osds}`, [osdTarget]],
    [`\${size(params.node.osds)}`, 1],
    [`\${params.node.osds.map(o, o.name)}`, ['osd.3']],
    [`\${params.node.location[0].name}`, 'r1'],
    [`\${null}`, null],
    [`\${{"a": [1, 2.5], "b": "}"}}`, { a: [1, 2.5], b: '}' }],
    // ints are ints, doubles are doubles
    [`\${params.count + 1}`, 4],
    [`\${params.count / 2}`, 1],
    [`\${params.share / 4.0}`, 0.5],
    [`\${osd.id + 1}`, 4],
    [`\${osd.weight * 1.5}`, 3],
    [`\${params.count > 2 ? "many" : "few"}`, 'many'],
    [`\${params.huge}`, 9_007_199_254_740_991],
    // several parts are a text
    [`n\${params.count}`, 'n3'],
    [`\${params.name}-\${params.count}`, 'n1-3'],
    [`\${params.share} TiB`, '2 TiB'],
    [`\${params.quick}!`, 'true!'],
    // faults, with the column of the part that is wrong
    [
      `\${params.huge + 2}`,
      ['4:12  the whole number 9007199254740993 is beyond 2^53: JSON cannot keep it exactly'],
    ],
    [`\${1.0 / 0.0}`, ['4:12  Infinity is no number that JSON can hold']],
    [
      `\${b"x"}`,
      [
        '4:12  a value of type bytes is nothing that JSON can hold: expected text, numbers, lists or mappings',
      ],
    ],
    [
      `\${duration("1h")}`,
      [
        '4:12  a value of type Duration is nothing that JSON can hold: expected text, numbers, lists or mappings',
      ],
    ],
    [
      `\${timestamp("2026-01-01T00:00:00Z")}`,
      [
        '4:12  a value of type timestamp is nothing that JSON can hold: expected text, numbers, lists or mappings',
      ],
    ],
    [`\${1 / 0}`, ['4:12  division by zero']],
    [`ab \${params.count`, [`4:13  \${ has no closing brace`]],
    [`\${osd.serial}`, ['4:16  there is no serial']],
    [`a \${osd.serial}`, ['4:18  there is no serial']],
    // outputs of steps are filled in later; all else is filled in now
    [`\${steps.find.output.device}`, { $expression: 'steps["find@osd.3"].output.device' }],
    [`at \${steps.find.output.device}`, { $expression: '"at " + string(steps["find@osd.3"].output.device)' }],
    [
      `\${steps.find.output.count + params.count > osd.id && params.share > 1.5}`,
      { $expression: 'steps["find@osd.3"].output.count + 3 > 3 && 2.0 > 1.5' },
    ],
    [
      `\${params.node.osds.filter(o, o.id == steps.find.output.count)}`,
      {
        $expression:
          '[{"id": 3, "name": "osd.3", "uuid": "u3", "node": "n1", "weight": 2.0}].filter(o, o.id == steps["find@osd.3"].output.count)',
      },
    ],
  ])('%s', (text, expected) => {
    expect(evaluate(text)).toEqual(expected);
  });
});

describe('expressions: what is known before there are values', () => {
  test.each<[string, string]>([
    ['params.node', 'Node'],
    ['params.node.osds', 'list<Osd>'],
    ['params.node.osds[0].weight', 'double'],
    ['params.count + 1', 'int'],
    ['params.share * 2.0', 'double'],
    ['"a" + params.name', 'string'],
    ['params.count == 3', 'bool'],
    ['params.devices', 'dyn'],
    ['steps.find.output.device', 'dyn'],
    ['osd', 'Osd'],
  ])('%s is %s', (source, type) => {
    expect(checkExpression(source, names)).toMatchObject({ type });
  });

  test.each<[string, string, number]>([
    [
      'params.nod',
      'there is no nod: expected one of node, count, share, name, quick, devices, huge. Did you mean "node"?',
      7,
    ],
    ['params.node.nme', 'there is no nme: expected one of name, osds, location. Did you mean "name"?', 12],
    [
      'osd.wieght > 1.0',
      'there is no wieght: expected one of id, name, uuid, node, weight, device_class, serial. Did you mean "weight"?',
      4,
    ],
    ['count', 'unknown name count. Did you mean "params.count"?', 0],
    ['1 + odd', 'unknown name odd: expected one of osd, params, steps. Did you mean "osd"?', 4],
    ['params.share + 1', 'no such overload: double + int', 0],
    ['params.count +', 'the expression ends too early', 14],
    ['', 'the expression is empty', 0],
    [
      'params.node.osds.map(osd, osd.id)',
      'the name osd is taken already: expected another one for this variable',
      21,
    ],
  ])('%s is refused', (source, message, offset) => {
    expect(checkExpression(source, names)).toEqual({ fault: { message, offset } });
  });

  test('names the outputs that are used, and where', () => {
    expect(checkExpression('1 + steps.find.output.count', names)).toEqual({
      type: 'int',
      uses: [{ step: 'find', output: 'count', offset: 4, text: 'steps.find.output.count' }],
    });
  });
});

describe('expressions: late values', () => {
  test('take outputs whose whole numbers are ints', () => {
    const outputs = { 'find@osd.3': toCel({ count: 4, share: 0.5, list: ['a'] }, 'dyn') as never };
    expect(evaluateLate('steps["find@osd.3"].output.count + 1', outputs)).toBe(5);
    expect(evaluateLate('steps["find@osd.3"].output.share * 2.0', outputs)).toBe(1);
    expect(evaluateLate('steps["find@osd.3"].output.list', outputs)).toEqual(['a']);
  });

  test('say what is missing', () => {
    expect(() => evaluateLate('steps["find"].output.device', {})).toThrow(
      'steps["find"].output.device cannot be evaluated: step find has no output (it was skipped, or did not end well)',
    );
  });
});
