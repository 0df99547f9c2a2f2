import type { ErrorCode } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import { type CelValue, celTypeOf, toCel } from './cel-types.ts';
import { evaluateWritten } from './evaluate.ts';
import type { Playbook } from './playbook.ts';
import { formatProblems, type Problem } from './problems.ts';
import { resolveValue, type Surroundings } from './resolve.ts';

/** Say why a value cannot be used. */
export interface ValueFault {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Hold the values of a playbook's parameters, for the plan and for expressions. */
export interface ParamValues {
  readonly json: Readonly<Record<string, Json>>;
  readonly cel: Readonly<Record<string, CelValue>>;
  readonly faults: readonly ValueFault[];
}

/** Read the given values of a playbook's parameters in their order, defaults evaluated over those before; all faults at once. */
export function readParamValues(
  playbook: Playbook,
  given: Readonly<Record<string, Json>>,
  where: Surroundings,
): ParamValues {
  const faults = [...unknownNames(playbook, given)];
  const json: Record<string, Json> = {};
  const cel: Record<string, CelValue> = {};
  for (const { name, param, default: written } of playbook.params) {
    const problems: Problem[] = [];
    let value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined && written !== undefined && faults.length === 0) {
      value = evaluateWritten(written, { names: { params: cel }, planIdOf: (step) => step }, problems);
    }
    if (problems.length > 0) {
      faults.push({ code: 'EXPRESSION_FAILED', message: formatProblems(problems) });
      continue;
    }
    // After a first fault a default may lack what it is made of; it would only be reported twice.
    if (value === undefined && written !== undefined) continue;
    const resolved = resolveValue(param, value, where);
    if (resolved.message !== undefined) {
      faults.push({ code: resolved.code, message: `parameter ${name}: ${resolved.message}` });
      continue;
    }
    json[name] = resolved.value;
    cel[name] = toCel(resolved.value, celTypeOf(param.kind));
  }
  return { json, cel, faults };
}

function unknownNames(playbook: Playbook, given: Readonly<Record<string, Json>>): readonly ValueFault[] {
  const known = playbook.params.map(({ name }) => name);
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  return unknown.map((name) => {
    const expected = known.length > 0 ? `it takes ${known.join(', ')}` : 'it takes none';
    const message = `${playbook.name} has no parameter "${name}": ${expected}.${didYouMean(name, known)}`;
    return { code: 'PARAM_INVALID', message };
  });
}
