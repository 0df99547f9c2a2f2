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
  const { host } = new URL(url);
  const failed = (what: string, cause?: unknown) =>
    new CephflowError('NOTIFICATION_FAILED', `webhook at ${host} ${what}`, {
      hint: 'check the webhook of this contact in the config',
      cause,
    });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ key, subject, text }),
    signal: AbortSignal.timeout(answerTimeoutMs),
  }).catch((cause: unknown) => {
    throw failed('does not answer', cause);
  });
  if (!response.ok)
    throw failed(`refused the message (HTTP ${response.status}): ${lastLines(await response.text(), 3)}`);
}
