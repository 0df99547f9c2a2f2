import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** Addresses of one lab: a random 127.A.B.0/24 that nothing on this machine uses. */
export interface Network {
  readonly prefix: string;
  /** Address of the monitor, the manager, the alertmanager and the mail server. */
  readonly services: string;
  address(number: number): string;
  /** Port of every node's sshd. */
  readonly sshPort: number;
  readonly alertmanagerPort: number;
  readonly smtpPort: number;
}

/** Two labs meet with a chance of 1 in 60,000 a try; taken ones are seen in the kernel's socket table. */
const tries = 50;
const firstNodeAddress = 10;

/**
 * Choose a free loopback network and three ports of it.
 * @throws Error when no free one is found in 50 tries.
 */
export async function chooseNetwork(): Promise<Network> {
  const sockets = await readFile('/proc/net/tcp', 'utf8');
  const everywhere = portsBoundToAll(sockets);
  for (let attempt = 0; attempt < tries; attempt++) {
    const prefix = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    const ports = [0, 1, 2].map((n) => 20_000 + n * 2000 + randomInt(2000));
    const [sshPort = 0, alertmanagerPort = 0, smtpPort = 0] = ports;
    if (sockets.includes(asInProc(prefix)) || ports.some((port) => everywhere.has(port))) continue;
    return {
      prefix,
      services: `${prefix}.1`,
      address: (number) => `${prefix}.${firstNodeAddress + number}`,
      sshPort,
      alertmanagerPort,
      smtpPort,
    };
  }
  throw new Error(`lab: no free loopback network in ${tries} tries`);
}

/** The kernel prints addresses as little-endian hexadecimal: 127.1.2.x is "xx02017F:". */
function asInProc(prefix: string): string {
  return `${prefix
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase())
    .join('')}:`;
}

function portsBoundToAll(sockets: string): Set<number> {
  return new Set(
    [...sockets.matchAll(/ 00000000:([0-9A-F]{4}) /g)].map(([, port]) => Number.parseInt(port ?? '0', 16)),
  );
}
