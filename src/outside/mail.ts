import { createTransport } from 'nodemailer';
import { CephflowError } from '../base/errors.ts';
import type { Message } from '../task/context.ts';

/**
 * Say how mail leaves. `url`: `smtp://[user:password@]host:port` or `smtps://…` (a secret: it comes from a file);
 * `from`: the sender's address.
 */
export interface MailOptions {
  readonly url: string;
  readonly from: string;
}

/** A mail server that takes longer than this to answer a step of the dialogue will not take the mail. */
const answerTimeoutMs = 20_000;

/**
 * Send a mail. The Message-ID is made from the message's key, so that a mail sent twice after a crash is recognised as
 * one by what receives it.
 * @param to one address or several separated by commas
 * @throws NOTIFICATION_FAILED (retry) with the server's own answer
 */
export async function sendMail(options: MailOptions, to: string, message: Message): Promise<void> {
  const transport = createTransport(options.url, { from: options.from });
  Object.assign(transport.options, {
    connectionTimeout: answerTimeoutMs,
    greetingTimeout: answerTimeoutMs,
    socketTimeout: answerTimeoutMs,
  });
  try {
    await transport.sendMail({
      to,
      subject: message.subject,
      text: message.text,
      messageId: `<${message.key.replaceAll(/[^A-Za-z0-9._-]/g, '.')}@cephflow>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
  } catch (cause) {
    throw notAccepted(options, to, cause);
  } finally {
    transport.close();
  }
}

function notAccepted(options: MailOptions, to: string, cause: unknown): CephflowError {
  const said = cause instanceof Error ? cause.message : String(cause);
  // the host alone: the URL may hold a password
  const { host } = new URL(options.url);
  return new CephflowError('NOTIFICATION_FAILED', `mail to ${to} was not accepted by ${host}: ${said}`, {
    hint: 'check the server in the file that mail.url-file names, then try again',
    cause,
  });
}
