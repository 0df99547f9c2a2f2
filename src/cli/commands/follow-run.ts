import { stepIndex } from '../../engine/control.ts';
import type { RunEvent } from '../../run/events.ts';
import { type AddCommand, type Context, outputOption, runArgument, withExample } from '../context.ts';
import { findRun } from '../find.ts';
import { follow } from '../follow.ts';
import { growingPlan, stepsIn } from '../growing-plan.ts';
import { eventLine, lineWriter, tellFailures } from '../lines.ts';

/** Events read from the store in one go. */
const pageSize = 1000;

/** Add `watch` and `logs`. JSON of both: one event a line, `{ run, seq, atMs, kind, step, state, attempt, text, data }`. */
export const addFollowing: AddCommand = (program, start) => {
  const watching = program
    .command('watch')
    .description('follow a run; ^C leaves it, and it goes on')
    .argument(...runArgument)
    .addOption(outputOption())
    .action((typed: string, _options: unknown, command) =>
      start(command, async (context) => {
        const store = await context.wire.store();
        return follow(context, await findRun(store, typed), { fromStart: false });
      }),
    );
  withExample(watching, 'cephflow watch 7q2m');
  const logging = program
    .command('logs')
    .description('show everything that was recorded about a run, or about one of its steps')
    .argument(...runArgument)
    .argument('[step]', 'only this step')
    .addOption(outputOption())
    .action((typed: string, step: string | undefined, _options: unknown, command) =>
      start(command, (context) => showLogs(context, typed, step)),
    );
  withExample(logging, 'cephflow logs 7q2m osd.purge@osd.4');
};

async function showLogs({ globals, io, wire }: Context, typed: string, step: string | undefined) {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const snapshot = await store.snapshot(run);
  const plan = await growingPlan(store, run);
  const index = step === undefined ? undefined : stepIndex(plan.now(), step);
  const asJson = (event: RunEvent) => {
    const id = event.step === undefined ? undefined : plan.now().steps[event.step]?.id;
    return JSON.stringify({ run, ...event, step: id });
  };
  const writer = lineWriter(run, io.dataWidth);
  const write =
    globals.output === 'json' ? asJson : (event: RunEvent) => eventLine(writer, plan.now(), event);
  let page: readonly RunEvent[] = await store.events(run, '0', { limit: pageSize });
  while (page.length > 0) {
    await plan.reach(stepsIn(page));
    const lines = tellFailures(page, snapshot)
      .filter((event) => index === undefined || event.step === index)
      .map(write);
    for (const line of lines) if (line !== undefined) io.data(line);
    page = await store.events(run, page.at(-1)?.seq ?? '0', { limit: pageSize });
  }
  return 0;
}
