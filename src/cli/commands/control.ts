import { Argument, type Command } from 'commander';
import { CephflowError } from '../../base/errors.ts';
import { confirmSame } from '../confirm.ts';
import { type AddCommand, type Context, needOptions, runArgument, withExample } from '../context.ts';
import { findQuestion, findRun } from '../find.ts';
import { inWords } from '../in-words.ts';
import { shortRun } from '../lines.ts';

/** Add what a person may do to steps: approve, reject, retry, skip, mark. Each act is recorded with who and why. */
export const addControl: AddCommand = (program, start) => {
  const answers = [
    { name: 'approve', verdict: 'approved', about: 'answer yes to what a run asks' },
    { name: 'reject', verdict: 'rejected', about: 'answer no to what a run asks; its step fails then' },
  ] as const;
  for (const { name, verdict, about } of answers) {
    const command = program
      .command(name)
      .description(about)
      .argument(...runArgument)
      .argument('[step]', 'the step that asks, where there are several')
      .option('--comment <text>', 'what the record says besides your name')
      .action((run: string, step: string | undefined, options: { comment?: string }, self) =>
        start(self, (context) => decide(context, { run, step, verdict, comment: options.comment })),
      );
    withExample(command, `cephflow ${name} 7q2m swapped --comment "disk in slot 4"`);
  }
  const retrying = program
    .command('retry')
    .description('try failed steps again; a waiting one is asked at once')
    .argument(...runArgument)
    .option('--step <id>', 'only this step')
    .option(
      '--downstream',
      'with --step: it, and all that follows from it, once more, also what is done',
      false,
    )
    .option('--reason <text>', 'what the record says besides your name')
    .action((run: string, options: RetryOptions, command) =>
      start(command, (context) => retry(context, run, options)),
    );
  withExample(retrying, 'cephflow retry 7q2m', 'cephflow retry 7q2m --step osd.create@osd.4 --downstream');
  const skipping = program
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
  withExample(skipping, 'cephflow skip 7q2m --step led.off --confirm led.off --reason "no LED there"');
  const marking = program
    .command('mark')
    .description('say how a step ended, after looking: its work was done by hand, or it has failed')
    .argument(...runArgument)
    .argument('<step>', 'the step, which waits, has failed, or is not known to have ended')
    .addArgument(new Argument('<as>', 'how it ended').choices(['done', 'failed']))
    .option('--reason <text>', 'what was seen; recorded (needed)')
    .action((...[run, step, as, { reason }, command]: MarkWords) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return mark(context, { run, step, as, reason });
      }),
    );
  withExample(marking, 'cephflow mark 7q2m osd.purge@osd.4 done --reason "gone from ceph osd tree"');
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

interface RetryOptions {
  readonly step?: string;
  readonly downstream: boolean;
  readonly reason?: string;
}

async function retry(
  { io, wire }: Context,
  typed: string,
  { step, downstream, reason }: RetryOptions,
): Promise<number> {
  if (downstream && step === undefined) {
    throw new CephflowError('USAGE', 'cephflow retry --downstream needs --step <id>: from where on?', {
      hint: 'nothing was changed; type cephflow retry --help',
    });
  }
  const store = await wire.store();
  const run = await findRun(store, typed);
  const actor = { by: wire.by(), ...(reason === undefined ? {} : { reason }) };
  const control = await wire.control();
  const count = await inWords(store, run, () =>
    downstream && step !== undefined ? control.redo({ run, step }, actor) : control.retry(run, step, actor),
  );
  io.say(
    `run ${shortRun(run)}: ${told(count, downstream)}; follow with: ${wire.self} watch ${shortRun(run)}`,
  );
  return 0;
}

function told(count: number, isRedone: boolean): string {
  const what = count === 1 ? 'a step is' : `${count} steps are`;
  if (!isRedone) return `${what} tried again`;
  return `${what} done once more, and what follows`;
}

interface SkipOptions {
  readonly step: string;
  readonly reason: string;
  readonly confirm: string;
}

async function skip({ io, wire }: Context, typed: string, options: SkipOptions): Promise<number> {
  const { step, reason, confirm } = options;
  confirmSame({ given: confirm, name: step, subject: 'the step to skip is' });
  const store = await wire.store();
  const run = await findRun(store, typed);
  const control = await wire.control();
  await inWords(store, run, () => control.skip({ run, step }, { by: wire.by(), reason }));
  io.say(`run ${shortRun(run)}: ${step} is skipped; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

type MarkWords = [run: string, step: string, as: Mark['as'], options: Pick<Mark, 'reason'>, command: Command];

interface Mark {
  readonly run: string;
  readonly step: string;
  readonly as: 'done' | 'failed';
  readonly reason: string;
}

async function mark({ io, wire }: Context, { run: typed, step, as, reason }: Mark): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  const control = await wire.control();
  await inWords(store, run, () => control.mark({ run, step }, as, { by: wire.by(), reason }));
  io.say(
    `run ${shortRun(run)}: ${step} is marked as ${as}; follow with: ${wire.self} watch ${shortRun(run)}`,
  );
  return 0;
}
