import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Hold one key of a known_hosts file. `type` such as `ssh-ed25519`; `key`: the raw blob; `isRevoked`: never to be trusted. */
export interface KnownKey {
  readonly type: string;
  readonly key: Buffer;
  readonly isRevoked: boolean;
  readonly line: number;
}

/**
 * Find the keys that a known_hosts file has for one machine, under any of its names (name, address).
 * Understands lists, `*` and `?`, negation, hashed names, `[name]:port` and `@revoked`. Certificate authorities are
 * passed over: we check plain keys only.
 * @see sshd(8), SSH_KNOWN_HOSTS FILE FORMAT
 */
export function findKnownKeys(file: string, names: readonly string[], port: number): readonly KnownKey[] {
  const wanted = names.map((name) => (port === 22 ? name : `[${name}]:${port}`).toLowerCase());
  return file.split('\n').flatMap((text, index) => {
    const entry = readLine(text);
    if (!entry || !wanted.some((name) => matches(entry.hosts, name))) return [];
    const { type, key, isRevoked } = entry;
    return [{ type, key, isRevoked, line: index + 1 }];
  });
}

/** Write a key's fingerprint as ssh does: `SHA256:` and base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Read the type that a key blob names itself: a length (4 bytes, big endian) and the text. */
export function keyType(key: Buffer): string {
  if (key.length < 4) return 'unknown';
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1');
}

/** Order host key algorithms so that the server shows a key that known_hosts has; ssh does the same. */
export function orderAlgorithms(known: readonly KnownKey[], supported: readonly string[]): readonly string[] {
  const types = new Set(known.filter((one) => !one.isRevoked).map((one) => one.type));
  const isKnown = (algorithm: string) => types.has(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm);
  return [...supported.filter(isKnown), ...supported.filter((one) => !isKnown(one))];
}

interface Line {
  readonly hosts: string;
  readonly type: string;
  readonly key: Buffer;
  readonly isRevoked: boolean;
}

function readLine(text: string): Line | undefined {
  const line = text.trim();
  if (line === '' || line.startsWith('#')) return undefined;
  const words = line.split(/\s+/);
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
  if (marker !== undefined && marker !== '@revoked') return undefined;
  const [hosts, type, blob] = words;
  if (hosts === undefined || type === undefined || blob === undefined) return undefined;
  return { hosts, type, key: Buffer.from(blob, 'base64'), isRevoked: marker === '@revoked' };
}

function matches(hosts: string, name: string): boolean {
  if (hosts.startsWith('|1|')) return matchesHash(hosts, name);
  const patterns = hosts.toLowerCase().split(',');
  const hit = (pattern: string) => matchesPattern(pattern, name);
  if (patterns.some((one) => one.startsWith('!') && hit(one.slice(1)))) return false;
  return patterns.some((one) => !one.startsWith('!') && hit(one));
}

function matchesHash(hosts: string, name: string): boolean {
  const [, , salt = '', hash = ''] = hosts.split('|');
  const made = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  const kept = Buffer.from(hash, 'base64');
  return kept.length === made.length && timingSafeEqual(kept, made);
}

function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\*?]/g, (char) => {
    if (char === '*') return '.*';
    return char === '?' ? '.' : `\\${char}`;
  });
  return new RegExp(`^${source}$`).test(name);
}
