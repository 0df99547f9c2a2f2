import { CephflowError } from '../../base/errors.ts';
import type { Store } from '../../engine/store.ts';
import { type AddCommand, type Context, needOptions } from '../context.ts';
import { findQuestion, findRun } from '../find.ts';
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
      .option('--comment <text>', 'what the record says besides your name')
      .action((run: string, step: string | undefined, options: { comment?: string }, command) =>
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
    .option('--step <id>', 'the step (needed)')
    .option('--reason <text>', 'why this is safe; recorded (needed)')
    .option('--confirm <id>', 'the same step again (needed)')
    .action((run: string, options: SkipOptions, command) =>
      start(command, (context) => {
        needOptions(command, ['step', 'reason', 'confirm']);
        return skip(context, run, options);
      }),
    );
  program
    .command('abort')
    .description('start nothing more, give back what the run holds, and end it; what is done stays done')
    .argument(...runArgument)
    .option('--reason <text>', 'why; recorded (needed)')
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
  readonly comment: string | undefined;
}

async function decide({ io, wire }: Context, answer: Answer): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, answer.run);
  const step = answer.step ?? (await findQuestion(store, run));
  const actor = { by: wire.by(), ...(answer.comment === undefined ? {} : { reason: answer.comment }) };
  const control = await wire.control();
  const asked = answer.verdict === 'approved' ? control.approve : control.reject;
  await inWords(store, run, () => asked({ run, step }, actor));
  io.say(`run ${shortRun(run)}: ${step} ${answer.verdict} by ${actor.by}`);
  return 0;
}

async function retry(
  { io, wire }: Context,
  typed: string,
  { step, reason }: { readonly step?: string; readonly reason?: string },
): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const actor = { by: wire.by(), ...(reason === undefined ? {} : { reason }) };
  const control = await wire.control();
  const count = await inWords(store, run, () => control.retry(run, step, actor));
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
  const control = await wire.control();
  await inWords(store, run, () => control.skip({ run, step }, { by: wire.by(), reason }));
  io.say(`run ${shortRun(run)}: ${step} is skipped; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

async function abort({ io, wire }: Context, typed: string, reason: string): Promise<number> {
  const run = await findRun(await wire.store(), typed);
  await (await wire.control()).abort(run, { by: wire.by(), reason });
  io.say(`run ${shortRun(run)} is being aborted; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

/** Carry out an act; where it is refused, name the step as people know it: the store knows only its number. */
function inWords<T>(store: Store, run: string, act: () => Promise<T>): Promise<T> {
  return act().catch(async (thrown: unknown) => {
    if (!(thrown instanceof CephflowError) || thrown.code !== 'CONTROL_REFUSED') throw thrown;
    const { steps } = await store.plan(run);
    const message = thrown.message
      .replace(/^cannot decide step/, 'cannot answer step')
      .replace(/ step (\d+) of run/, (all, index: string) => {
        const id = steps[Number(index)]?.id;
        return id === undefined ? all : ` ${id} of run`;
      });
    const hint = thrown.hint === undefined ? {} : { hint: thrown.hint };
    throw new CephflowError('CONTROL_REFUSED', message, { cause: thrown, ...hint });
  });
}
