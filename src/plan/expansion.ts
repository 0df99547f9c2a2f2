import { usesOfOutputs } from './expressions.ts';
import { splitText } from './interpolation.ts';
import type { Item } from './playbook.ts';
import type { Written } from './written.ts';

/** Give the expression of a for-each whose list only a step's output tells; undefined where it is known earlier. */
export function lateListOf(over: Written | undefined): string | undefined {
  if (over?.kind !== 'scalar' || typeof over.value !== 'string') return undefined;
  const split = splitText(over.value);
  const [only] = split.fault === undefined && split.parts.length === 1 ? split.parts : [];
  if (only?.kind !== 'expression') return undefined;
  return usesOfOutputs(only.source).length > 0 ? only.source : undefined;
}

/** Tell whether a group is an expansion: its members are known only while the run is under way. */
export function isExpansion(item: Item): boolean {
  return item.kind === 'group' && lateListOf(item.forEach?.over) !== undefined;
}

/** Give for each item the id of the outermost expansion around it; an item outside of any is absent. */
export function expansionsAround(items: readonly Item[], around?: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const item of items) {
    if (around !== undefined) found.set(item.id, around);
    if (item.kind === 'step' || item.kind === 'playbook') continue;
    const inner = around ?? (isExpansion(item) ? item.id : undefined);
    for (const [id, expansion] of expansionsAround(item.steps, inner)) found.set(id, expansion);
  }
  return found;
}
