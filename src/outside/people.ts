import { CephflowError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest.ts';
import type { Message, People } from '../task/context.ts';
import type { ContactTarget } from '../task/targets.ts';
import { type MailOptions, sendMail } from './mail.ts';
import { postWebhook } from './webhook.ts';

/** Hold how a contact is reached; at least one of both. */
interface ContactAddresses {
  readonly mail?: string;
  readonly webhook?: string;
}

interface PeopleOptions {
  readonly contacts: Readonly<Record<string, ContactAddresses>>;
  readonly mail: MailOptions | undefined;
}

/**
 * Reach the contacts of the config by mail and webhook.
 * @returns the channels that took the message; all that the contact has, or an error
 * @throws NOT_CONFIGURED for an unknown contact or a mail address without a mail server, NOTIFICATION_FAILED
 */
export function createPeople(options: PeopleOptions): People {
  return {
    async tell({ contact }: ContactTarget, message: Message) {
      const addresses = options.contacts[contact];
      if (!addresses) throw unknownContact(contact, Object.keys(options.contacts));
      const channels: string[] = [];
      if (addresses.mail) {
        await sendMail(requireMail(options.mail, contact), addresses.mail, message);
        channels.push('mail');
      }
      if (addresses.webhook) {
        await postWebhook(addresses.webhook, message);
        channels.push('webhook');
      }
      return channels;
    },
  };
}

function requireMail(mail: MailOptions | undefined, contact: string): MailOptions {
  if (mail) return mail;
  throw new CephflowError(
    'NOT_CONFIGURED',
    `contact ${contact} has a mail address, but there is no mail server`,
    {
      hint: 'add mail: { url-file: …, from: … } to the config',
    },
  );
}

function unknownContact(contact: string, known: readonly string[]): CephflowError {
  const list = known.length === 0 ? 'the config has none' : `the config has ${known.join(', ')}`;
  return new CephflowError(
    'NOT_CONFIGURED',
    `there is no contact ${contact}: ${list}.${didYouMean(contact, known)}`,
    {
      hint: `add contacts.${contact}: { mail: … } to the config`,
    },
  );
}
