import { allItems, type Item, namePattern } from './playbook.ts';
import { type Problem, problemAt } from './problems.ts';

/**
 * Give every item an id that is unique in its playbook: the one written, else the name of its task or playbook with a
 * number from the second on (`cluster.wait-healthy-2`). Written ids that stand twice or are no names are problems.
 */
export function nameItems(items: readonly Item[], problems: Problem[]): readonly Item[] {
  const taken = new Map<string, number>();
  for (const item of allItems(items)) {
    if (item.id === '') continue;
    const first = taken.get(item.id);
    if (first !== undefined) {
      const text = `id "${item.id}" stands twice: expected another name than in line ${first}`;
      problems.push(problemAt(item.place, text));
    } else if (!namePattern.test(item.id)) {
      const text = `"${item.id}" is no id: expected [a-z][a-z0-9_]* (a hyphen would be a minus in expressions)`;
      problems.push(problemAt(item.place, text));
    }
    taken.set(item.id, item.place.line);
  }
  return items.map((item) => nameItem(item, taken));
}

function nameItem(item: Item, taken: Map<string, number>): Item {
  const id = item.id === '' ? freeName(baseName(item), taken) : item.id;
  taken.set(id, item.place.line);
  if (item.kind === 'step' || item.kind === 'playbook') return { ...item, id };
  return { ...item, id, steps: item.steps.map((inner) => nameItem(inner, taken)) };
}

function baseName(item: Item): string {
  if (item.kind === 'step') return item.task.text;
  return item.kind === 'playbook' ? item.playbook.text : item.kind;
}

function freeName(base: string, taken: ReadonlyMap<string, number>): string {
  if (!taken.has(base)) return base;
  // Ends: of one more candidate than there are names, one is free.
  for (let number = 2; number <= taken.size + 2; number += 1) {
    if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
  }
  return base;
}
