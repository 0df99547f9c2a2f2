import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { describeError } from '../../src/base/errors.ts';
import { createLocalShell } from '../../src/remote/local.ts';
import { expectOver } from './over.ts';
import { refusalOf } from './refusal.ts';

const shell = createLocalShell();
const here = hostname();
const sh = (script: string, timeoutMs = 10_000) => ({ words: ['sh', '-c', script], reads: true, timeoutMs });

describe('local shell', () => {
  test('gives stdout, stderr and a nonzero exit code as a result', async () => {
    expect(await shell.run(sh('echo out; echo err >&2; exit 16'))).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 16,
    });
  });

  test('passes words on without a shell, and input as stdin', async () => {
    const words = ['cat', '-', '/dev/null'];
    const { stdout } = await shell.run({ words, reads: true, timeoutMs: 10_000, input: '$(id) "x"\n' });
    expect(stdout).toBe('$(id) "x"\n');
    expect(
      (await shell.run({ words: ['echo', '$HOME;', '`id`'], reads: true, timeoutMs: 10_000 })).stdout,
    ).toBe('$HOME; `id`\n');
  });

  test('gives an empty stdin where there is no input', async () => {
    expect((await shell.run(sh('cat; echo end'))).stdout).toBe('end\n');
  });

  test('ends the whole group, deaf ones too, when the time is over', async () => {
    const script = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $! >&2; wait";
    const refusal = await refusalOf(() => shell.run(sh(script, 500)));
    const child = refusal.command?.stderr ?? '';
    expect(describeError(refusal)).toBe(
      `COMMAND_TIMED_OUT  sh did not end within 0.5 s on ${here} and was killed
  on ${here}: sh -c ${script}
    ${child}`,
    );
    await expectOver(child);
  });

  test('gives up on a pipe that a process outside of the group keeps open', async () => {
    const refusal = await refusalOf(() => shell.run(sh('setsid sleep 8 & sleep 8', 200)));
    expect(refusal.code).toBe('COMMAND_TIMED_OUT');
  });

  test('ends a command when it is aborted, and begins none afterwards', async () => {
    const stop = new AbortController();
    const running = refusalOf(() => shell.run(sh('sleep 30', 30_000), stop.signal));
    stop.abort();
    const text = `COMMAND_ABORTED  sh was ended on ${here} on request\n  on ${here}: sh -c sleep 30`;
    expect(describeError(await running)).toBe(text);
    expect(describeError(await refusalOf(() => shell.run(sh('sleep 30'), stop.signal)))).toBe(text);
  });

  test('names the program that is missing and the package that has it', async () => {
    const refusal = await refusalOf(() =>
      shell.run({ words: ['cephflow-no-such-program', 'x'], reads: true, timeoutMs: 1000 }),
    );
    expect(describeError(refusal)).toBe(
      `PROGRAM_MISSING  cephflow-no-such-program is not on PATH of ${here}
  on ${here}: cephflow-no-such-program x
  install cephflow-no-such-program there, or mend the config`,
    );
  });

  test('takes the death by a signal as a failure, never as an exit code', async () => {
    const script = 'echo last words >&2; kill -SEGV $$';
    expect(describeError(await refusalOf(() => shell.run(sh(script))))).toBe(
      `COMMAND_FAILED  sh on ${here} was ended by SIGSEGV
  on ${here}: sh -c ${script}
    last words`,
    );
  });
});
