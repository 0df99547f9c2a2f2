import { formatDuration } from '../../base/duration.ts';
import type { RunHead } from '../../engine/store.ts';
import { isEndedRun } from '../../run/states.ts';
import { type AddCommand, outputOption } from '../context.ts';
import { frozenNotes } from '../freezing.ts';
import { shortRun } from '../lines.ts';
import { table, toJson } from '../table.ts';

/** Runs listed unless asked otherwise: a screen or two. */
const listedRuns = '50';

/** Add `runs`. JSON: a list of run heads as the store gives them, newest first. */
export const addRuns: AddCommand = (program, start) => {
  program
    .command('runs')
    .description('list runs, newest first')
    .option('--unfinished', 'only those that are not over', false)
    .option('--limit <count>', 'at most so many', listedRuns)
    .addOption(outputOption())
    .action((options: { unfinished: boolean; limit: string }, command) =>
      start(command, async ({ globals, io, wire }) => {
        const store = await wire.store();
        const limit = Math.max(1, Number.parseInt(options.limit, 10) || 1);
        const heads = await store.listRuns({ limit, unfinished: options.unfinished });
        const busy = heads.filter(({ state }) => !isEndedRun(state)).map(({ cluster }) => cluster);
        for (const note of await frozenNotes(wire, [...new Set(busy)])) io.warn(note);
        if (globals.output === 'json') io.data(toJson(heads));
        else if (heads.length === 0) io.say('no runs yet');
        else io.data(describeRuns(heads, wire.nowMs(), io.dataWidth));
        return 0;
      }),
    );
};

function describeRuns(heads: readonly RunHead[], nowMs: number, width: number | undefined): string {
  const rows = heads.map((head) => [
    shortRun(head.run),
    head.cluster,
    head.playbook,
    head.target,
    head.state,
    `${(head.counts.succeeded ?? 0) + (head.counts.skipped ?? 0)}/${head.steps}`,
    String(head.counts.failed ?? 0),
    formatDuration((head.endedMs ?? nowMs) - head.createdMs),
    head.by,
  ]);
  const titles = ['RUN', 'CLUSTER', 'PLAYBOOK', 'TARGET', 'STATE', 'DONE', 'FAIL', 'AGE', 'BY'];
  return table(titles, rows, { width, long: 'shortened' });
}
