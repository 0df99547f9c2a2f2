import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keeper } from './keeper.ts';
import type { Network } from './network.ts';
import { portOpens } from './ports.ts';

/** One mail as it lies in the maildir. `text` is the decoded body of a plain-text mail, or of its first plain-text part. */
export interface LabMail {
  readonly subject: string;
  readonly to: string;
  readonly text: string;
  readonly raw: string;
}

/** nobody: opensmtpd delivers to a user that is not root. */
const deliveryUser = 'nobody';
const nobodyId = 65_534;

/** Start a real opensmtpd on a loopback port that puts a mail to anybody into one maildir; its spool and /run are the lab's own. */
export async function startMail(keeper: Keeper, dir: string, network: Network): Promise<void> {
  const spool = join(dir, 'smtp', 'spool');
  const maildir = join(dir, 'maildir');
  await mkdir(spool, { recursive: true });
  await mkdir(maildir, { recursive: true });
  await chmod(dir, 0o711);
  await chown(maildir, nobodyId, nobodyId);
  const conf = join(dir, 'smtp', 'smtpd.conf');
  await writeFile(
    conf,
    `table anybody { "@" = "${deliveryUser}" }
listen on ${network.services} port ${network.smtpPort}
action "keep" maildir "${maildir}" virtual <anybody>
match from any for any action "keep"
`,
    { mode: 0o600 },
  );
  // smtpd makes /var/spool/smtpd and what belongs into it; the whole of /var/spool, because that folder may not exist yet.
  const script = 'mount --bind "$1" /var/spool || exit 1; smtpd -d -f "$2" > "$3" 2>&1 < /dev/null &';
  const log = join(dir, 'log', 'smtpd.log');
  await keeper.must(['sh', '-c', script, 'sh', spool, conf, log]);
  await portOpens(network.services, network.smtpPort, log);
}

/** Read all mails that have arrived, oldest first. */
export async function readMails(dir: string): Promise<LabMail[]> {
  const folder = join(dir, 'maildir', 'new');
  const names = (await readdir(folder).catch(() => [])).sort();
  return Promise.all(names.map(async (name) => parseMail(await readFile(join(folder, name), 'utf8'))));
}

function parseMail(raw: string): LabMail {
  const { headers, body } = split(raw);
  return {
    subject: decodeWords(headers.get('subject') ?? ''),
    to: headers.get('to') ?? '',
    text: plainText(headers, body),
    raw,
  };
}

function split(part: string): { headers: Map<string, string>; body: string } {
  const [head = '', ...rest] = part.replaceAll('\r\n', '\n').split('\n\n');
  const headers = new Map<string, string>();
  for (const line of head.replaceAll(/\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers, body: rest.join('\n\n') };
}

function plainText(headers: ReadonlyMap<string, string>, body: string): string {
  const boundary = /boundary="?([^";]+)/.exec(headers.get('content-type') ?? '')?.[1];
  if (boundary !== undefined) {
    const first = split((body.split(`--${boundary}`)[1] ?? '').replace(/^\n/, ''));
    return plainText(first.headers, first.body);
  }
  const encoding = headers.get('content-transfer-encoding')?.toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8');
  return encoding === 'quoted-printable' ? unquote(body.replaceAll('=\n', '')) : body;
}

function decodeWords(text: string): string {
  return text.replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=\s*/gi, (_, kind: string, data: string) =>
    kind.toLowerCase() === 'b'
      ? Buffer.from(data, 'base64').toString('utf8')
      : unquote(data.replaceAll('_', ' ')),
  );
}

function unquote(text: string): string {
  const bytes = text.replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
