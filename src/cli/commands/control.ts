import { CephflowError } from '../../base/errors.ts';
import { type AddCommand, type Context, needOptions } from '../context.ts';
import { findQuestion, findRun, findStep } from '../find.ts';
import { shortRun } from '../lines.ts';

const runArgument = ['<run>', 'id of a run, a unique beginning or end of it, or @latest'] as const;

/** Add what a person may do to a run: approve, reject, retry, skip, abort. Each act is recorded with who and why. */
export const addControl: AddCommand = (program, start) => {
  const answers = [
    { name: 'approve', verdict: 'approved', about: 'answer yes to what a run asks' },
    { name: 'reject', verdict: 'rejected', about: 'answer no to what a run asks; its step fails then' },
  ] as const;
  for (const { name, verdict, about } of answers) {
    program
      .command(name)
      .description(about)
      .argument(...runArgument)
      .argument('[step]', 'the step that asks, where there are several')
      .option('--comment <text>', 'what the record says besides your name', '')
      .action((run: string, step: string | undefined, options: { comment: string }, command) =>
        start(command, (context) => decide(context, { run, step, verdict, comment: options.comment })),
      );
  }
  program
    .command('retry')
    .description('try failed steps again; a waiting one is asked at once')
    .argument(...runArgument)
    .option('--step <id>', 'only this step')
    .option('--reason <text>', 'what the record says besides your name')
    .action((run: string, options: { step?: string; reason?: string }, command) =>
      start(command, (context) => retry(context, run, options)),
    );
  program
    .command('skip')
    .description('go on as if a step were done; its work is not done by anybody')
    .argument(...runArgument)
    .option('--step <id>', 'the step')
    .option('--reason <text>', 'why this is safe; recorded')
    .option('--confirm <id>', 'the same step again')
    .action((run: string, options: SkipOptions, command) =>
      start(command, (context) => {
        needOptions(command, ['step', 'reason', 'confirm']);
        return skip(context, run, options);
      }),
    );
  program
    .command('abort')
    .description('start nothing more, give back what the run holds, and end it')
    .argument(...runArgument)
    .option('--reason <text>', 'why; recorded')
    .action((run: string, options: { reason: string }, command) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return abort(context, run, options.reason);
      }),
    );
};

interface Answer {
  readonly run: string;
  readonly step: string | undefined;
  readonly verdict: 'approved' | 'rejected';
  readonly comment: string;
}

async function decide({ io, wire }: Context, answer: Answer): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, answer.run);
  const plan = await store.plan(run);
  const step =
    answer.step === undefined ? findQuestion(plan, await store.snapshot(run)) : findStep(plan, answer.step);
  const { verdict, comment } = answer;
  const control = await wire.control();
  await control.decide(run, step, { verdict, comment, by: wire.by() });
  await wire.keepGoing();
  io.say(`run ${shortRun(run)}: ${plan.steps[step]?.id} ${verdict} by ${wire.by()}`);
  return 0;
}

async function retry(
  { io, wire }: Context,
  typed: string,
  { step, reason }: { readonly step?: string; readonly reason?: string },
): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const index = step === undefined ? undefined : findStep(await store.plan(run), step);
  const actor = { by: wire.by(), ...(reason === undefined ? {} : { reason }) };
  const control = await wire.control();
  const count = await control.retry(run, index, actor);
  await wire.keepGoing();
  const what = count === 1 ? 'a step is' : `${count} steps are`;
  io.say(`run ${shortRun(run)}: ${what} tried again; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

interface SkipOptions {
  readonly step: string;
  readonly reason: string;
  readonly confirm: string;
}

async function skip({ io, wire }: Context, typed: string, options: SkipOptions): Promise<number> {
  const { step, reason, confirm } = options;
  if (confirm !== step) {
    throw new CephflowError('USAGE', `--confirm says ${confirm}, but the step to skip is ${step}`, {
      hint: `nothing was changed; if you mean ${step}, type --confirm ${step}`,
    });
  }
  const store = await wire.store();
  const run = await findRun(store, typed);
  const index = findStep(await store.plan(run), step);
  const control = await wire.control();
  await control.skip(run, index, { by: wire.by(), reason });
  await wire.keepGoing();
  io.say(`run ${shortRun(run)}: ${step} is skipped; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

async function abort({ io, wire }: Context, typed: string, reason: string): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const control = await wire.control();
  await control.abort(run, { by: wire.by(), reason });
  await wire.keepGoing();
  io.say(`run ${shortRun(run)} is being aborted; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}
