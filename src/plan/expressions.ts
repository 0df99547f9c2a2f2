import {
  type ASTNode,
  Environment,
  EvaluationError,
  ParseError,
  TypeError as TypeFault,
} from '@marcbachmann/cel-js';
import { CephflowError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { didYouMean } from '../base/nearest.ts';
import { type CelValue, celLiteral, fieldsOfType, fromCel, type Left } from './cel-types.ts';

/** Say which names an expression may use: types of parameters, of variables, and whether steps' outputs are allowed. */
export interface Names {
  readonly params: ReadonlyMap<string, string>;
  readonly variables: ReadonlyMap<string, string>;
  /** That one of the variables whose value is known only while the run is under way. */
  readonly late?: string;
}

/** Be a mistake inside an expression, `offset` characters after its beginning. */
export interface ExpressionFault {
  readonly message: string;
  readonly offset: number;
}

/** Be a use of another step's output. `offset`: where it begins; `isWhole`: of the form steps.ID.output.NAME. */
export interface OutputUse {
  readonly step: string | undefined;
  readonly output: string | undefined;
  readonly offset: number;
  readonly text: string;
}

/** What a look at an expression finds. */
export type Checked =
  | { readonly type: string; readonly uses: readonly OutputUse[]; readonly fault?: undefined }
  | { readonly fault: ExpressionFault };

/** A literal of the plan may hold all OSDs of a big cluster. */
const limits = { maxListElements: 100_000, maxMapEntries: 100_000, maxAstNodes: 4_000_000 };

/** Names of the language's own that bind a variable: `osds.map(o, o.name)`. */
const bindingMacros: readonly string[] = ['map', 'filter', 'all', 'exists', 'exists_one', 'bind'];

/**
 * Check an expression against the names it may use, as far as can be known before it has values.
 * @returns its type (`dyn`: known only later) and the outputs it uses, or the first mistake with its place
 */
export function checkExpression(source: string, names: Names): Checked {
  const environment = checkingEnvironment(names);
  const parsed = parseSource(environment, source);
  if ('fault' in parsed) return parsed;
  const shadow = boundNames(parsed.ast).find(
    ({ name }) => names.variables.has(name) || name === 'params' || name === 'steps',
  );
  if (shadow) {
    const message = `the name ${shadow.name} is taken already: expected another one for this variable`;
    return { fault: { message, offset: shadow.offset } };
  }
  const result = environment.check(source);
  if (!result.valid) return { fault: describeFault(result.error, source, names) };
  return { type: simplifyType(result.type ?? 'dyn'), uses: outputUses(parsed.ast, source) };
}

/** List the outputs of steps that an expression uses; [] also where it is no expression. */
export function usesOfOutputs(source: string): readonly OutputUse[] {
  const parsed = parseSource(evaluating, source);
  return 'fault' in parsed ? [] : outputUses(parsed.ast, source);
}

/** List the keys of the lists of outputs that an expression uses: `outputs["0-9"]`. */
export function usesOfLists(source: string): readonly string[] {
  const parsed = parseSource(evaluating, source);
  if ('fault' in parsed) return [];
  return pathsOf(parsed.ast).flatMap(({ root, names }) => (root === 'outputs' ? (names[0] ?? []) : []));
}

/** Find where an expression names a variable. */
export function usesOfName(source: string, name: string): readonly Pick<OutputUse, 'offset' | 'text'>[] {
  const parsed = parseSource(evaluating, source);
  if ('fault' in parsed) return [];
  return pathsOf(parsed.ast)
    .filter(({ root }) => root === name)
    .map(({ start, end }) => ({ offset: start, text: source.slice(start, end) }));
}

/** What comes of evaluating an expression. */
export type Evaluated =
  | { readonly value: CelValue; readonly fault?: undefined }
  | { readonly fault: ExpressionFault };

/** Evaluate an expression; its value stays in the expression language until `fromCel` takes it out. */
export function evaluateExpression(source: string, values: Readonly<Record<string, CelValue>>): Evaluated {
  try {
    const value: CelValue = evaluating.evaluate(source, { ...values });
    return { value };
  } catch (thrown) {
    return { fault: describeFault(thrown, source, undefined) };
  }
}

/**
 * Evaluate a whole expression of a plan, where only outputs of steps are still open.
 * @param outputs by the step's id in the plan
 * @param lists outputs of several steps, by the ranges that number them in the plan
 * @throws EXPRESSION_FAILED when an output is not there, or what comes out is no JSON
 */
export function evaluateLate(
  source: string,
  outputs: Readonly<Record<string, CelValue>>,
  lists: Readonly<Record<string, CelValue>> = {},
): Json {
  const absent = usesOfOutputs(source).find(
    ({ step }) => step !== undefined && !Object.hasOwn(outputs, step),
  );
  const steps = Object.fromEntries(Object.entries(outputs).map(([id, output]) => [id, { output }]));
  const left = absent
    ? { fault: `step ${absent.step} has no output (it was skipped, or did not end well)` }
    : leave(evaluateExpression(source, { steps, outputs: lists }));
  if ('value' in left) return left.value;
  throw new CephflowError('EXPRESSION_FAILED', `${source} cannot be evaluated: ${left.fault}`, {
    hint: 'it uses what earlier steps returned; look at them with: cephflow show RUN',
  });
}

function leave(result: Evaluated): Left {
  return result.fault ? { fault: result.fault.message } : fromCel(result.value);
}

/**
 * Rewrite an expression that uses outputs so that it stands alone: known names become literals, ids of steps become
 * those of the plan. `planIdOf`: from an id in the playbook.
 */
export function closeExpression(
  source: string,
  values: Readonly<Record<string, CelValue>>,
  planIdOf: (step: string) => string,
): { readonly text: string } | { readonly fault: ExpressionFault } {
  const parsed = parseSource(evaluating, source);
  if ('fault' in parsed) return parsed;
  let text = '';
  let from = 0;
  for (const path of pathsOf(parsed.ast)) {
    let replacement: string | undefined;
    if (path.root === 'steps' && path.names[0] !== undefined) {
      const fields = path.names.slice(1).map((name) => `.${name}`);
      replacement = `steps[${JSON.stringify(planIdOf(path.names[0]))}]${fields.join('')}`;
    } else if (Object.hasOwn(values, path.root)) {
      const result = evaluateExpression(source.slice(path.start, path.end), values);
      if (result.fault) {
        return { fault: { ...result.fault, offset: result.fault.offset + path.start } };
      }
      replacement = celLiteral(result.value);
    }
    if (replacement === undefined) continue;
    text += source.slice(from, path.start) + replacement;
    from = path.end;
  }
  return { text: text + source.slice(from) };
}

const evaluating = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  limits,
});

function checkingEnvironment(names: Names): Environment {
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits });
  for (const [type, fields] of Object.entries(fieldsOfType)) {
    environment.registerType(type, { fields: { ...fields } });
  }
  environment.registerVariable({ name: 'params', schema: Object.fromEntries(names.params) });
  environment.registerVariable('steps', 'map');
  for (const [name, type] of names.variables) environment.registerVariable(name, type);
  return environment;
}

function simplifyType(type: string): string {
  return type.startsWith('$') ? 'map' : type;
}

type ParsedSource = { readonly ast: ASTNode } | { readonly fault: ExpressionFault };

function parseSource(environment: Environment, source: string): ParsedSource {
  if (source.trim() === '') return { fault: { message: 'the expression is empty', offset: 0 } };
  try {
    return { ast: environment.parse(source).ast };
  } catch (thrown) {
    return { fault: describeFault(thrown, source, undefined) };
  }
}

function describeFault(thrown: unknown, source: string, names: Names | undefined): ExpressionFault {
  if (!(thrown instanceof ParseError || thrown instanceof EvaluationError || thrown instanceof TypeFault)) {
    return { message: thrown instanceof Error ? thrown.message : String(thrown), offset: 0 };
  }
  const range = thrown.range ?? { start: 0, end: source.length };
  const word = source.slice(range.start, range.end);
  return { message: wordFault(thrown, word, { source, start: range.start, names }), offset: range.start };
}

interface FaultPlace {
  readonly source: string;
  readonly start: number;
  readonly names: Names | undefined;
}

function wordFault(
  thrown: ParseError | EvaluationError | TypeFault,
  word: string,
  place: FaultPlace,
): string {
  const { names } = place;
  if (thrown.code === 'unknown_variable') {
    const known = names ? [...names.variables.keys(), 'params', 'steps'] : [];
    // A parameter's own name without `params.` is the commonest slip, so it is guessed first.
    if (names?.params.has(word)) return `unknown name ${word}. Did you mean "params.${word}"?`;
    const expected =
      known.length > 0 ? `: expected one of ${known.join(', ')}.${didYouMean(word, known)}` : '';
    return `unknown name ${word}${expected}`;
  }
  if (thrown.code === 'no_such_key') {
    const known = names ? knownKeys(place.source.slice(0, place.start), names) : [];
    const expected =
      known.length > 0 ? `: expected one of ${known.join(', ')}.${didYouMean(word, known)}` : '';
    return `there is no ${word}${expected}`;
  }
  return thrown.summary.replace('Unexpected token: EOF', 'the expression ends too early');
}

/** List what may stand after the dot that ends `before`; [] where that is not known. */
function knownKeys(before: string, names: Names): readonly string[] {
  if (/(^|[^\w.])params\.$/.test(before)) return [...names.params.keys()];
  const owner = before.replace(/\.$/, '');
  // The longest tail that is an expression itself: `params.node` of `1 + params.node.`.
  for (let from = 0; from < owner.length; from += 1) {
    const result = checkingEnvironment(names).check(owner.slice(from));
    const fields = result.valid ? fieldsOfType[result.type ?? ''] : undefined;
    if (fields) return Object.keys(fields);
  }
  return [];
}

interface Path {
  readonly root: string;
  readonly names: readonly string[];
  readonly start: number;
  readonly end: number;
}

/** Find every name with the fields behind it, longest first, in the order of the text. Outermost paths only. */
function pathsOf(ast: ASTNode): readonly Path[] {
  const found: Path[] = [];
  const visit = (node: ASTNode) => {
    const path = pathOf(node);
    if (path) found.push(path);
    else for (const child of childrenOf(node)) visit(child);
  };
  visit(ast);
  return found.toSorted((a, b) => a.start - b.start);
}

function pathOf(node: ASTNode): Path | undefined {
  if (node.op === 'id') return { root: node.args, names: [], start: node.start, end: node.end };
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const owner = pathOf(node.args[0]);
  const field = node.op === '.' ? node.args[1] : stringValue(node.args[1]);
  if (!owner || field === undefined) return undefined;
  return { ...owner, names: [...owner.names, field], end: node.end };
}

function stringValue(node: ASTNode): string | undefined {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  return flatten(node.args).filter(isNode);
}

function flatten(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.flatMap(flatten) : [value];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

function boundNames(ast: ASTNode): readonly { readonly name: string; readonly offset: number }[] {
  const own =
    ast.op === 'rcall' && bindingMacros.includes(ast.args[0])
      ? ast.args[2]
          .slice(0, 1)
          .flatMap((one) => (one.op === 'id' ? [{ name: one.args, offset: one.start }] : []))
      : [];
  return [...own, ...childrenOf(ast).flatMap(boundNames)];
}

function outputUses(ast: ASTNode, source: string): readonly OutputUse[] {
  return pathsOf(ast)
    .filter((path) => path.root === 'steps')
    .map((path) => ({
      step: path.names[0],
      output: path.names[1] === 'output' ? path.names[2] : undefined,
      offset: path.start,
      text: source.slice(path.start, path.end),
    }));
}
