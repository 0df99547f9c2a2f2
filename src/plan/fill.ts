import { CephflowError } from '../base/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../base/json.ts';
import { toCel } from './cel-types.ts';
import { evaluateLate, usesOfOutputs } from './expressions.ts';
import { isLateValue, type PlanStep } from './plan.ts';

/** Hold what steps returned, by their ids in the plan. A step that was skipped or failed is absent. */
export type Outputs = Readonly<Record<string, Json>>;

/** List the ids of the steps whose outputs a step needs before its values and condition are known. */
export function neededOutputs(step: PlanStep): readonly string[] {
  const sources = [...lateSources(step.with), ...(step.when === undefined ? [] : [step.when])];
  if (step.expansion) sources.push(step.expansion.over.$expression);
  const ids = sources.flatMap((source) => usesOfOutputs(source).flatMap((use) => use.step ?? []));
  return [...new Set(ids)];
}

/**
 * Fill in what a step's values take from the outputs of earlier steps. Read them with `readParam` afterwards: late
 * values have not been seen by their kinds yet.
 * @throws EXPRESSION_FAILED when an output is not there or does not fit
 */
export function fillStep(step: PlanStep, outputs: Outputs): JsonObject {
  const known = celOutputs(outputs);
  const values = Object.entries(step.with).map(([name, value]) => [name, fillValue(value, known)]);
  return Object.fromEntries(values) as JsonObject;
}

/**
 * Ask a step's condition; true where it has none.
 * @throws EXPRESSION_FAILED when an output is not there, or the answer is neither true nor false
 */
export function evaluateWhen(step: PlanStep, outputs: Outputs): boolean {
  if (step.when === undefined) return true;
  const answer = evaluateLate(step.when, celOutputs(outputs));
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

function fillValue(value: Json, outputs: Readonly<Record<string, unknown>>): Json {
  if (isLateValue(value)) return evaluateLate(value.$expression, outputs);
  if (Array.isArray(value)) return value.map((item: Json) => fillValue(item, outputs));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillValue(item, outputs)]));
}

function celOutputs(outputs: Outputs): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(outputs).map(([id, output]) => [id, toCel(output, 'dyn')]));
}
