import { CephflowError } from '../base/errors.ts';
import type { Actor, Store, StoreFinding } from '../engine/store.ts';
import type { Check, Finding } from './finding.ts';
import { shortRun } from './lines.ts';

/** Sentences about one run: whoever reads more of them repairs anyway. */
const mostTexts = 20;

/** Say how a store is looked at. `repairBy`: mend what is found, in whose name. */
export interface StoreExamination {
  readonly check: Check;
  readonly repairBy?: Actor | undefined;
  /** What is typed to mend. */
  readonly self: string;
}

/** Look at the records of every unfinished run, and at what ended ones have left; mend them if that is wanted. */
export async function* examineStore(store: Examined, examination: StoreExamination): AsyncGenerator<Finding> {
  for (const run of [...(await store.unfinishedRuns()), '']) {
    const name = run === '' ? 'other records' : `run ${shortRun(run)}`;
    try {
      yield await examineOne(store, examination, { run, name });
    } catch (thrown) {
      yield examination.check(name, () => Promise.reject(thrown));
    }
  }
}

type Examined = Pick<Store, 'unfinishedRuns' | 'examine' | 'repair'>;

async function examineOne(
  store: Examined,
  { check, repairBy, self }: StoreExamination,
  { run, name }: { readonly run: string; readonly name: string },
): Promise<Finding> {
  const found = await store.examine(run);
  const canMend = repairBy !== undefined && found.some(({ canRepair }) => canRepair);
  const mended = canMend ? await store.repair(run, repairBy) : 0;
  const left = canMend ? await store.examine(run) : found;
  if (left.length === 0) {
    const text = found.length === 0 ? 'whole' : `${mended} mended:\n${textsOf(found)}`;
    return { name, level: 'ok', text, exitCode: 0 };
  }
  // what a run has set on purpose and never gave back is for a person, and no damage
  if (left.every(({ kind }) => kind === 'hold'))
    return { name, level: 'warn', text: textsOf(left), exitCode: 0 };
  return check(name, () => Promise.reject(damage(left, self)));
}

function damage(found: readonly StoreFinding[], self: string): CephflowError {
  const hint = found.some(({ canRepair }) => canRepair)
    ? `${self} doctor --repair mends what can be mended; no step is ended by it`
    : 'no script can mend this: a person must look at the run, and abort or kill it';
  return new CephflowError('RUN_DAMAGED', `the records contradict one another:\n${textsOf(found)}`, { hint });
}

function textsOf(found: readonly StoreFinding[]): string {
  const texts = found.slice(0, mostTexts).map(({ text }) => text);
  const more = found.length > texts.length ? [`… and ${found.length - texts.length} more`] : [];
  return [...texts, ...more].join('\n');
}
