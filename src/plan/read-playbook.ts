import { didYouMean } from '../base/nearest.ts';
import { type Param, type ParamKind, paramKinds } from '../task/params.ts';
import { nameItems } from './name-items.ts';
import { namePattern, type Playbook, type PlaybookParam } from './playbook.ts';
import { type Place, type Problem, problemAt } from './problems.ts';
import { readItems } from './read-items.ts';
import { readDeadline, readLocks, readPayload, readRouting } from './read-settings.ts';
import {
  describeWritten,
  takeFields,
  takeList,
  takeText,
  type Written,
  type WrittenEntry,
} from './written.ts';

const playbookKeys = [
  'playbook',
  'summary',
  'params',
  'lock',
  'deadline',
  'queue',
  'priority',
  'payload',
  'steps',
  'finally',
];
const paramKeys = ['kind', 'about', 'default', 'min', 'max', 'choices'];

/**
 * Read a playbook from the values of its file; what is wrong with its form is added to `problems`.
 * @returns as much of it as could be read; undefined where nothing can be said about the rest
 */
export function readPlaybook(written: Written, problems: Problem[]): Playbook | undefined {
  const fields = takeFields(written, playbookKeys, 'a playbook', problems);
  if (written.kind !== 'map') return undefined;
  const missing = (key: string) =>
    problems.push(problemAt(written.place, `the playbook has no ${key}: expected the key ${key}`));
  for (const key of ['playbook', 'summary', 'steps']) if (!fields.has(key)) missing(key);
  const name = takeText(fields.get('playbook')?.value, 'playbook', problems);
  if (name && !/^[a-z][a-z0-9-]*$/.test(name.text)) {
    problems.push(
      problemAt(name.place, `"${name.text}" is no name of a playbook: expected a name such as replace-node`),
    );
  }
  const summary = takeText(fields.get('summary')?.value, 'summary', problems);
  const params = readParams(fields.get('params'), problems);
  const locks = readLocks(fields.get('lock'), problems);
  const deadline = readDeadline(fields.get('deadline'), problems);
  const payload = readPayload(fields.get('payload'), problems);
  const defaults = readRouting(fields, problems);
  const steps = readItems(fields.get('steps')?.value, 'steps', problems);
  const atEnd = readItems(fields.get('finally')?.value, 'finally', problems);
  const named = nameItems([...steps, ...atEnd], problems);
  // without its params nothing can be said about the expressions
  if (fields.has('params') && fields.get('params')?.value.kind !== 'map') return undefined;
  return {
    file: written.place.file,
    name: name?.text ?? '',
    summary: summary?.text ?? '',
    params,
    locks,
    ...(deadline ? { deadline } : {}),
    ...(payload === undefined ? {} : { payload }),
    defaults,
    steps: named.slice(0, steps.length),
    finally: named.slice(steps.length),
  };
}

function readParams(entry: WrittenEntry | undefined, problems: Problem[]): readonly PlaybookParam[] {
  if (!entry) return [];
  if (entry.value.kind !== 'map') {
    const what = describeWritten(entry.value);
    problems.push(
      problemAt(entry.value.place, `params is ${what}: expected a mapping from names to parameters`),
    );
    return [];
  }
  return entry.value.entries.flatMap((one) => readParam(one, problems));
}

function readParam({ key, keyPlace, value }: WrittenEntry, problems: Problem[]): readonly PlaybookParam[] {
  if (!namePattern.test(key)) {
    problems.push(
      problemAt(keyPlace, `"${key}" is no name of a parameter: expected [a-z][a-z0-9_]*, such as new_node`),
    );
  }
  const fields = takeFields(value, paramKeys, 'a parameter', problems);
  if (value.kind !== 'map') return [unclearParam(key, keyPlace)];
  const kind = readKind(fields.get('kind'), keyPlace, problems);
  const about = takeText(fields.get('about')?.value, 'about', problems);
  if (!fields.has('about')) {
    problems.push(
      problemAt(keyPlace, `parameter ${key} has no about: expected a phrase that says what it is`),
    );
  }
  const min = readBound(fields.get('min'), problems);
  const max = readBound(fields.get('max'), problems);
  const choices = readChoices(fields.get('choices'), problems);
  if (kind === 'choice' && choices === undefined) {
    problems.push(
      problemAt(keyPlace, `parameter ${key} is a choice without choices: expected choices: [one, other]`),
    );
  }
  if (!kind || !about) return [unclearParam(key, keyPlace)];
  const param: Omit<Param, 'default'> = {
    kind,
    about: about.text,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(choices === undefined ? {} : { choices }),
  };
  const written = fields.get('default')?.value;
  return [{ name: key, place: keyPlace, param, ...(written ? { default: written } : {}) }];
}

/** Stand in for a parameter that could not be read, so that its uses are not reported as well. */
function unclearParam(name: string, place: Place): PlaybookParam {
  return { name, place, param: { kind: 'text', about: '' }, isUnclear: true };
}

function readKind(entry: WrittenEntry | undefined, place: Place, problems: Problem[]): ParamKind | undefined {
  if (!entry) {
    problems.push(problemAt(place, `the parameter has no kind: expected one of ${paramKinds.join(', ')}`));
    return undefined;
  }
  const text = takeText(entry.value, 'kind', problems)?.text;
  if (text === undefined) return undefined;
  const kind = paramKinds.find((one) => one === text);
  if (kind === undefined) {
    const expected = `expected one of ${paramKinds.join(', ')}.${didYouMean(text, paramKinds)}`;
    problems.push(problemAt(entry.value.place, `unknown kind "${text}": ${expected}`));
  }
  return kind;
}

function readBound(entry: WrittenEntry | undefined, problems: Problem[]): number | undefined {
  if (!entry) return undefined;
  const { value } = entry;
  if (value.kind === 'scalar' && typeof value.value === 'number') return value.value;
  problems.push(problemAt(value.place, `${entry.key} is ${describeWritten(value)}: expected a number`));
  return undefined;
}

function readChoices(entry: WrittenEntry | undefined, problems: Problem[]): readonly string[] | undefined {
  if (!entry) return undefined;
  return takeList(entry.value, 'choices', problems).flatMap((one) => {
    const text = takeText(one, 'a choice', problems);
    return text ? [text.text] : [];
  });
}
