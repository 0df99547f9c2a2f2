import { randomBytes } from 'node:crypto';

/** Names and secrets of the users that a lab's cluster starts with. */
export interface Keys {
  readonly mon: string;
  readonly admin: string;
  readonly readOnly: string;
  readonly mgr: string;
  readonly bootstrapOsd: string;
}

/** Make a cephx secret: type 1, seconds, nanoseconds, length 16, 16 random bytes; little-endian, base64. */
export function makeSecret(): string {
  const head = Buffer.alloc(12);
  head.writeUInt16LE(1, 0);
  head.writeUInt32LE(Math.floor(Date.now() / 1000), 2);
  head.writeUInt32LE(0, 6);
  head.writeUInt16LE(16, 10);
  return Buffer.concat([head, randomBytes(16)]).toString('base64');
}

/** Make one secret for every user of a new cluster. */
export function makeKeys(): Keys {
  return {
    mon: makeSecret(),
    admin: makeSecret(),
    readOnly: makeSecret(),
    mgr: makeSecret(),
    bootstrapOsd: makeSecret(),
  };
}

/** Write one section of a keyring file. */
export function keyringEntry(
  entity: string,
  secret: string,
  caps: Readonly<Record<string, string>> = {},
): string {
  const lines = Object.entries(caps).map(([service, cap]) => `\tcaps ${service} = "${cap}"\n`);
  return `[${entity}]\n\tkey = ${secret}\n${lines.join('')}`;
}

const everything = { mon: 'allow *', mgr: 'allow *', osd: 'allow *', mds: 'allow *' };
const osdCaps = { mon: 'allow profile osd', mgr: 'allow profile osd', osd: 'allow *' };
const readOnlyCaps = { mon: 'allow r', mgr: 'allow r', osd: 'allow r' };

/** Write the keyring that a monitor is made with: all users, so that none has to be added by a command later. */
export function initialKeyring(keys: Keys, osdSecrets: ReadonlyMap<number, string>): string {
  return [
    keyringEntry('mon.', keys.mon, { mon: 'allow *' }),
    keyringEntry('client.admin', keys.admin, everything),
    keyringEntry('client.readonly', keys.readOnly, readOnlyCaps),
    keyringEntry('mgr.lab', keys.mgr, { mon: 'allow profile mgr', osd: 'allow *', mds: 'allow *' }),
    keyringEntry('client.bootstrap-osd', keys.bootstrapOsd, { mon: 'allow profile bootstrap-osd' }),
    ...[...osdSecrets].map(([id, secret]) => keyringEntry(`osd.${id}`, secret, osdCaps)),
  ].join('');
}
