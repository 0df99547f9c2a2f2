/**
 * Remember where the items of one playbook came to stand in the plan, so that `after` can name what stands further
 * down: a name means the item in the same members of the groups that both are in, and all members of those that only
 * the named one is in.
 */
export class PlacedItems {
  readonly #loops: ReadonlyMap<string, readonly string[]>;
  /** Items that can be asked for: only these are remembered, for a plan may hold a hundred thousand steps. */
  readonly #named: ReadonlySet<string>;
  /** Ids in the plan by item and members, for every number of outer members. */
  readonly #ids = new Map<string, string[]>();
  readonly #waiting: {
    readonly item: string;
    readonly members: readonly string[];
    readonly names: readonly string[];
    readonly ids: string[];
  }[] = [];

  /**
   * @param loops the for-each groups around each item, outermost first
   * @param names what any `after` names
   */
  constructor(loops: ReadonlyMap<string, readonly string[]>, names: readonly string[]) {
    this.#loops = loops;
    this.#named = new Set(names.flatMap((name) => [name, ...(loops.get(name) ?? [])]));
  }

  /** Note that an item stands in the plan under this id, for these members. */
  add(item: string, members: readonly string[], id: string): void {
    if (!this.#named.has(item)) return;
    for (let depth = 0; depth <= members.length; depth += 1) {
      const key = keyOf(item, members.slice(0, depth));
      const ids = this.#ids.get(key);
      if (ids) ids.push(id);
      else this.#ids.set(key, [id]);
    }
  }

  /** Ask for the ids of what an item comes after; the list is filled by `tie`. */
  wait(item: string, members: readonly string[], names: readonly string[]): readonly string[] {
    const ids: string[] = [];
    this.#waiting.push({ item, members, names, ids });
    return ids;
  }

  /** Fill all lists that `wait` gave out, when everything is placed. */
  tie(): void {
    for (const { item, members, names, ids } of this.#waiting) {
      for (const name of names) ids.push(...this.#find(item, members, name));
    }
  }

  #find(item: string, members: readonly string[], name: string): readonly string[] {
    const around = this.#loops.get(item) ?? [];
    const loops = this.#loops.get(name) ?? [];
    const differ = loops.findIndex((loop, index) => around[index] !== loop);
    const shared = differ === -1 ? loops.length : differ;
    const found = this.#ids.get(keyOf(name, members.slice(0, shared)));
    if (found) return found;
    // A group without members holds no such item: what comes after it comes after the group itself.
    const group = loops[shared];
    return (group === undefined ? undefined : this.#ids.get(keyOf(group, members.slice(0, shared)))) ?? [];
  }
}

function keyOf(item: string, members: readonly string[]): string {
  return JSON.stringify([item, ...members]);
}
