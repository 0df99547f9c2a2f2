import { didYouMean } from '../base/nearest.ts';
import {
  type ChainItem,
  type GroupItem,
  type IncludeItem,
  type Item,
  namePattern,
  type StepItem,
} from './playbook.ts';
import { type Problem, problemAt } from './problems.ts';
import { type Fields, readLocks, readSettings, settingKeys } from './read-settings.ts';
import {
  describeWritten,
  takeFields,
  takeList,
  takeText,
  type Written,
  type WrittenEntry,
  type WrittenMap,
  type WrittenText,
} from './written.ts';

const stepKeys = ['task', 'id', 'with', 'after', 'when', 'lock', ...settingKeys];
const includeKeys = ['playbook', 'id', 'with', 'after'];
const groupKeys = ['group', 'id', 'after'];
const chainKeys = ['chain', 'id', 'after'];
const groupBodyKeys = ['for-each', 'at-most', 'max-parallel', 'lock', 'steps'];
const kinds = ['task', 'group', 'chain', 'playbook'] as const;

/** Read the entries of a chain; ids that are not written are '' until `nameItems` gives them. */
export function readItems(written: Written | undefined, what: string, problems: Problem[]): readonly Item[] {
  return takeList(written, what, problems).flatMap((one) => {
    const item = readItem(one, problems);
    return item ? [item] : [];
  });
}

function readItem(written: Written, problems: Problem[]): Item | undefined {
  if (written.kind !== 'map') {
    takeFields(written, stepKeys, 'a step', problems);
    return undefined;
  }
  const found = kinds.filter((kind) => written.entries.some(({ key }) => key === kind));
  const [kind, second] = found;
  if (second !== undefined) {
    problems.push(problemAt(written.place, `a step has both ${kind} and ${second}: expected one of them`));
    return undefined;
  }
  if (kind === 'group') return readGroup(written, problems);
  if (kind === 'chain') return readChain(written, problems);
  if (kind === 'playbook') return readInclude(written, problems);
  if (kind === 'task') return readStep(written, problems);
  const keys = written.entries.map(({ key }) => key).filter((key) => !stepKeys.includes(key));
  const guess = keys.map((key) => didYouMean(key, kinds)).find((text) => text !== '') ?? '';
  const place =
    keys.length === 1 && guess !== '' ? written.entries.find(({ key }) => key === keys[0]) : undefined;
  const named = place ? `unknown key "${place.key}" in a step` : 'this does nothing';
  const expected = `expected one of task, group, chain, playbook.${guess}`;
  problems.push(problemAt(place?.keyPlace ?? written.place, `${named}: ${expected}`));
  return undefined;
}

function readCommon(fields: Fields, written: WrittenMap, problems: Problem[]) {
  const id = takeText(fields.get('id')?.value, 'id', problems);
  const entry = fields.get('after');
  const after = entry && takeNames(entry, problems);
  return { id: id?.text ?? '', place: id?.place ?? written.place, ...(after ? { after } : {}) };
}

function takeNames(entry: WrittenEntry, problems: Problem[]): readonly WrittenText[] {
  return takeList(entry.value, entry.key, problems).flatMap((one) => {
    const name = takeText(one, `an id in ${entry.key}`, problems);
    return name ? [name] : [];
  });
}

function readStep(written: WrittenMap, problems: Problem[]): StepItem | undefined {
  const before = problems.length;
  const fields = takeFields(written, stepKeys, 'a step', problems);
  const task = takeText(fields.get('task')?.value, 'task', problems);
  const when = takeText(fields.get('when')?.value, 'when', problems);
  const common = readCommon(fields, written, problems);
  const options = readSettings(fields, problems);
  const locks = readLocks(fields.get('lock'), problems);
  const values = readWith(fields.get('with'), problems);
  if (!task) return undefined;
  const unclear = problems.length > before ? { isUnclear: true as const } : {};
  const condition = when ? { when } : {};
  return { kind: 'step', ...common, task, with: values, options, locks, ...condition, ...unclear };
}

function readInclude(written: WrittenMap, problems: Problem[]): IncludeItem | undefined {
  const fields = takeFields(written, includeKeys, 'an included playbook', problems);
  const playbook = takeText(fields.get('playbook')?.value, 'playbook', problems);
  const common = readCommon(fields, written, problems);
  const values = readWith(fields.get('with'), problems);
  return playbook && { kind: 'playbook', ...common, playbook, with: values };
}

function readWith(entry: WrittenEntry | undefined, problems: Problem[]): readonly WrittenEntry[] {
  if (!entry) return [];
  if (entry.value.kind === 'map') return entry.value.entries;
  problems.push(
    problemAt(
      entry.value.place,
      `with is ${describeWritten(entry.value)}: expected a mapping from parameters to values`,
    ),
  );
  return [];
}

function readChain(written: WrittenMap, problems: Problem[]): ChainItem {
  const fields = takeFields(written, chainKeys, 'a chain', problems);
  const steps = readItems(fields.get('chain')?.value, 'chain', problems);
  return { kind: 'chain', ...readCommon(fields, written, problems), steps };
}

function readGroup(written: WrittenMap, problems: Problem[]): GroupItem {
  const fields = takeFields(written, groupKeys, 'a group', problems);
  const body = fields.get('group')?.value ?? written;
  const before = problems.length;
  const inner = takeFields(body, groupBodyKeys, 'a group', problems);
  const unclear = problems.length > before ? { isUnclear: true as const } : {};
  if (body.kind === 'map' && !inner.has('steps')) {
    problems.push(problemAt(body.place, 'the group has no steps: expected the key steps'));
  }
  const forEach = readForEach(inner.get('for-each'), problems);
  const isUnbound = inner.has('for-each') && forEach === undefined;
  const maxParallel = inner.get('max-parallel')?.value;
  const atMost = inner.get('at-most')?.value;
  const steps = readItems(inner.get('steps')?.value, 'steps', problems);
  return {
    kind: 'group',
    ...readCommon(fields, written, problems),
    ...(forEach ? { forEach } : {}),
    ...(maxParallel ? { maxParallel } : {}),
    ...(atMost ? { atMost } : {}),
    ...unclear,
    locks: readLocks(inner.get('lock'), problems),
    // without its variable every use of it would be reported as well
    steps: isUnbound ? [] : steps,
  };
}

function readForEach(entry: WrittenEntry | undefined, problems: Problem[]): GroupItem['forEach'] {
  if (!entry) return undefined;
  const { value } = entry;
  const [only, second] = value.kind === 'map' ? value.entries : [];
  if (!only || second) {
    const what = only ? 'more than one variable' : describeWritten(value);
    const expected = `expected one variable over a list, such as { osd: "\${params.node.osds}" }`;
    problems.push(problemAt(value.place, `for-each has ${what}: ${expected}`));
    return undefined;
  }
  if (!namePattern.test(only.key)) {
    problems.push(
      problemAt(only.keyPlace, `"${only.key}" is no name of a variable: expected [a-z][a-z0-9_]*`),
    );
  }
  return { variable: only.key, place: only.keyPlace, over: only.value };
}
