import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import { type CelValue, toCel } from './cel-types.ts';
import { evaluateLate, usesOfLists, usesOfOutputs } from './expressions.ts';
import { isLateValue, type PlanStep } from './plan.ts';

/** Hold what steps returned, by their ids in the plan. A step that was skipped or failed is absent. */
export type Outputs = Readonly<Record<string, Json>>;

/** Hold outputs of several steps, in the order of the ranges that are the key; null for a step that has none. */
export type OutputLists = Readonly<Record<string, readonly Json[]>>;

/** List the ids of the steps whose outputs a step needs before its values and condition are known. */
export function neededOutputs(step: Pick<PlanStep, 'with' | 'when' | 'expansion'>): readonly string[] {
  const sources = [...lateSources(step.with), ...(step.when === undefined ? [] : [step.when])];
  if (step.expansion) sources.push(step.expansion.over.$expression);
  const ids = sources.flatMap((source) => usesOfOutputs(source).flatMap((use) => use.step ?? []));
  return [...new Set(ids)];
}

/** List the ranges of the steps whose outputs a step's values take as lists; see ranges.ts. */
export function neededLists(step: Pick<PlanStep, 'with'>): readonly string[] {
  return [...new Set(lateSources(step.with).flatMap(usesOfLists))];
}

/**
 * Fill in what a step's values take from the outputs of earlier steps. Read them with `readParam` afterwards: late
 * values have not been seen by their kinds yet.
 * @throws EXPRESSION_FAILED when an output is not there or does not fit
 */
export function fillStep(step: PlanStep, outputs: Outputs, lists: OutputLists = {}): JsonObject {
  const known: Known = { outputs: inCel(outputs), lists: inCel(lists) };
  const values = Object.entries(step.with).map(([name, value]) => [name, fillValue(value, known)]);
  return Object.fromEntries(values) as JsonObject;
}

/**
 * Ask a step's condition; true where it has none.
 * @throws EXPRESSION_FAILED when an output is not there, or the answer is neither true nor false
 */
export function evaluateWhen(step: PlanStep, outputs: Outputs): boolean {
  if (step.when === undefined) return true;
  const answer = evaluateLate(step.when, inCel(outputs));
  if (typeof answer === 'boolean') return answer;
  throw new CephflowError(
    'EXPRESSION_FAILED',
    `when of step ${step.id} is ${JSON.stringify(answer)}: expected true or false`,
    { hint: `the condition is: ${step.when}` },
  );
}

function lateSources(value: Json): readonly string[] {
  if (isLateValue(value)) return [value.$expression];
  if (Array.isArray(value)) return value.flatMap(lateSources);
  return isJsonObject(value) ? Object.values(value).flatMap(lateSources) : [];
}

interface Known {
  readonly outputs: Readonly<Record<string, CelValue>>;
  readonly lists: Readonly<Record<string, CelValue>>;
}

function fillValue(value: Json, known: Known): Json {
  if (isLateValue(value)) return evaluateLate(value.$expression, known.outputs, known.lists);
  if (Array.isArray(value)) return value.map((item: Json) => fillValue(item, known));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillValue(item, known)]));
}

function inCel(values: Readonly<Record<string, Json>>): Readonly<Record<string, CelValue>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toCel(value, 'dyn')]));
}
