import type { LockView } from '../../engine/store.ts';
import { confirmRun } from '../confirm.ts';
import { type AddCommand, type Context, needOptions, runArgument, withExample } from '../context.ts';
import { findRun } from '../find.ts';
import { describeLeftBehind, describeLeftLocks } from '../left-behind.ts';
import { shortRun } from '../lines.ts';
import { wrapSentence } from '../text.ts';

/** Add what a person may do to a whole run: pause, resume, undo, abort, kill. Each act is recorded with who and why. */
export const addRunControl: AddCommand = (program, start) => {
  const pausing = program
    .command('pause')
    .description('begin nothing new in a run; what is under way ends, what waits goes on being asked')
    .argument(...runArgument)
    .option('--reason <text>', 'why; recorded (needed)')
    .action((run: string, options: { reason: string }, command) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return pause(context, run, options.reason);
      }),
    );
  withExample(pausing, 'cephflow pause 7q2m --reason "switch reboot"');
  const resuming = program
    .command('resume')
    .description('let a paused run go on')
    .argument(...runArgument)
    .option('--reason <text>', 'what the record says besides your name')
    .action((run: string, options: { reason?: string }, command) =>
      start(command, (context) => resume(context, run, options.reason)),
    );
  withExample(resuming, 'cephflow resume 7q2m');
  const undoing = program
    .command('undo')
    .description(
      'take a run back: what it has done is undone, the last first; refused where there is no way back',
    )
    .argument(...runArgument)
    .option('--reason <text>', 'why; recorded (needed)')
    .option('--confirm <run>', 'the id of the run again; instead of being asked')
    .action((run: string, options: Confirmed, command) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return undo(context, run, options);
      }),
    );
  withExample(undoing, 'cephflow undo 7q2m --reason "the wrong node"');
  const aborting = program
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
  withExample(aborting, 'cephflow abort 7q2m --reason "the new node has not come"');
  const killing = program
    .command('kill')
    .description('end a run now: nothing is given back, what is left behind is told')
    .argument(...runArgument)
    .option('--reason <text>', 'why; recorded (needed)')
    .option('--confirm <run>', 'the id of the run again; instead of being asked')
    .action((run: string, options: Confirmed, command) =>
      start(command, (context) => {
        needOptions(command, ['reason']);
        return kill(context, run, options);
      }),
    );
  withExample(killing, 'cephflow kill 7q2m --confirm 7q2m --reason "it holds what is needed now"');
};

interface Confirmed {
  readonly reason: string;
  readonly confirm?: string;
}

async function pause({ io, wire }: Context, typed: string, reason: string): Promise<number> {
  const run = await findRun(await wire.store(), typed);
  await (await wire.control()).pause(run, { by: wire.by(), reason });
  const short = shortRun(run);
  io.say(
    `run ${short} is paused: what is under way ends, nothing new begins; go on with: ${wire.self} resume ${short}`,
  );
  return 0;
}

async function resume({ io, wire }: Context, typed: string, reason: string | undefined): Promise<number> {
  const run = await findRun(await wire.store(), typed);
  await (await wire.control()).resume(run, { by: wire.by(), ...(reason === undefined ? {} : { reason }) });
  io.say(`run ${shortRun(run)} goes on; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

async function abort({ io, wire }: Context, typed: string, reason: string): Promise<number> {
  const run = await findRun(await wire.store(), typed);
  await (await wire.control()).abort(run, { by: wire.by(), reason });
  io.say(`run ${shortRun(run)} is being aborted; follow with: ${wire.self} watch ${shortRun(run)}`);
  return 0;
}

async function undo({ io, wire }: Context, typed: string, { reason, confirm }: Confirmed): Promise<number> {
  const run = await findRun(await wire.store(), typed);
  const control = await wire.control();
  const steps = await control.undoSteps(run);
  const short = shortRun(run);
  const titles = steps.map(({ title }, index) =>
    wrapSentence(`  ${index + 1}. ${title}`, io.sayWidth, '     '),
  );
  const what =
    steps.length === 0
      ? `run ${short} has done nothing that has to be taken back; it gives back what it holds, and ends`
      : `run ${short} is taken back in this order; then it gives back what it holds, and ends:`;
  io.say([what, ...titles].join('\n'));
  await confirmRun(io, {
    run,
    given: confirm,
    unattended: 'this takes a run back',
    warning: 'What has not begun is cancelled.',
  });
  await control.undo(run, { by: wire.by(), reason });
  io.say(`run ${short} is being taken back; follow with: ${wire.self} watch ${short}`);
  return 0;
}

async function kill({ io, wire }: Context, typed: string, { reason, confirm }: Confirmed): Promise<number> {
  const store = await wire.store();
  const run = await findRun(store, typed);
  await confirmRun(io, {
    run,
    given: confirm,
    unattended: 'this ends a run as it is and gives nothing back',
    warning: 'Nothing is given back.',
  });
  const control = await wire.control();
  await control.kill(run, { by: wire.by(), reason });
  const [snapshot, locks] = [await store.snapshot(run), await control.locks()];
  const plan = await store.plan(run);
  const left = [
    describeLeftBehind(plan, snapshot, io.sayWidth),
    describeLeftLocks(plan, { run, locks: locksOf(run, locks), self: wire.self }),
  ].filter((text) => text !== '');
  io.say(`run ${shortRun(run)} is killed: it is ${snapshot.state}`);
  // told also under -q: nobody else will clean this up
  for (const text of left) io.warn(text);
  return 0;
}

const locksOf = (run: string, locks: readonly LockView[]) =>
  locks.filter(({ holders }) => holders.some((holder) => holder.run === run));
