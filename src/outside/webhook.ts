import { CephflowError, lastLines } from '../base/errors.ts';
import type { Message } from '../task/context.ts';

/** A webhook that takes longer than this is not going to answer. */
const answerTimeoutMs = 20_000;

/**
 * Post a message as JSON `{ key, subject, text }`. The header Idempotency-Key carries the key: a repeat after a crash
 * has the same.
 * @throws NOTIFICATION_FAILED (retry) with the answer's status and text
 */
export async function postWebhook(url: string, message: Message): Promise<void> {
  const { key, subject, text } = message;
  await postJson(url, {
    key,
    body: JSON.stringify({ key, subject, text }),
    hint: 'check the webhook of this contact in the config',
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
}

/** What is posted: a JSON text, the key by which a repeat is recognised, what to do when it is not taken. */
interface Post {
  readonly key: string;
  readonly body: string;
  readonly hint: string;
  readonly signal: AbortSignal;
}

/**
 * Post JSON and wait until it is taken. The header Idempotency-Key carries the key.
 * @throws NOTIFICATION_FAILED (retry) with the answer's status and text
 */
export async function postJson(url: string, { key, body, hint, signal }: Post): Promise<void> {
  const { host } = new URL(url);
  const failed = (what: string, cause?: unknown) =>
    new CephflowError('NOTIFICATION_FAILED', `webhook at ${host} ${what}`, { hint, cause });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body,
    signal,
  }).catch((cause: unknown) => {
    throw failed('does not answer', cause);
  });
  const said = await response.text().catch(() => '');
  if (!response.ok) throw failed(`refused the message (HTTP ${response.status}): ${lastLines(said, 3)}`);
}
