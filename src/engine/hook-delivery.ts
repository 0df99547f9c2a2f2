import { CephflowError } from '../base/errors.ts';
import { postJson } from '../outside/webhook.ts';
import { type Shell, traceOf } from '../remote/command.ts';

/** Say where news go: to the stdin of a command on the leader's machine, or to a URL by POST. */
export type HookTarget = { readonly command: readonly string[] } | { readonly webhook: string };

interface Delivered {
  readonly idempotencyKey: string;
}

/**
 * Hand news to a receiver as JSON and wait until it has taken them: exit code 0, or an answer of the 200s.
 * @throws COMMAND_FAILED, COMMAND_TIMED_OUT, PROGRAM_MISSING, NOTIFICATION_FAILED
 */
export async function deliverHook(
  { target, timeoutMs }: { readonly target: HookTarget; readonly timeoutMs: number },
  news: Delivered,
  { shell, signal }: { readonly shell: Shell; readonly signal: AbortSignal },
): Promise<void> {
  const text = JSON.stringify(news);
  if ('webhook' in target) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const hint = 'look at `hooks` in the config';
    return postJson(target.webhook, { key: news.idempotencyKey, body: text, hint, signal: limit });
  }
  const command = { words: target.command, reads: false, timeoutMs, input: text };
  const result = await shell.run(command, signal);
  if (result.exitCode === 0) return;
  const message = `${target.command[0]} on ${shell.host} ended with ${result.exitCode}`;
  throw new CephflowError('COMMAND_FAILED', message, { command: traceOf(shell, command, result) });
}

/** Name a receiver for people. A URL may hold a secret behind its host. */
export function nameTarget(target: HookTarget): string {
  if ('webhook' in target) return `webhook at ${new URL(target.webhook).host}`;
  return `command ${target.command[0]}`;
}
