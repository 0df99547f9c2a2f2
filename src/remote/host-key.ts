import { CephflowError } from '../base/errors.ts';
import { fingerprint, type KnownKey, keyType } from './known-hosts.ts';

/** Say which machine is meant: its name, what the name resolves to in the config, its port, whose file vouches for it. */
export interface SshPlace {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly knownHostsFile: string;
}

/** Name a machine for people, with address and port. */
export function nameOf({ host, address, port }: SshPlace): string {
  return host === address ? `${host} (port ${port})` : `${host} (${address} port ${port})`;
}

/**
 * Compare the key that a machine offers with those that known_hosts has for it.
 * @returns SSH_HOST_KEY where it is unknown, changed or revoked; undefined where it is trusted
 */
export function judgeHostKey(
  place: SshPlace,
  key: Buffer,
  known: readonly KnownKey[],
): CephflowError | undefined {
  const same = known.filter((one) => one.key.equals(key));
  const trusted = known.filter((one) => !one.isRevoked);
  const revoked = same.find((one) => one.isRevoked);
  if (!revoked && same.length > 0) return undefined;
  const { knownHostsFile: file, port, address, host } = place;
  const name = (of: string) => (port === 22 ? of : `[${of}]:${port}`);
  const offered = `it offered ${keyType(key)} ${fingerprint(key)}`;
  const scan = `ssh-keyscan -p ${port} ${address} >> ${file}`;
  if (revoked) {
    return new CephflowError('SSH_HOST_KEY', `the host key of ${nameOf(place)} is revoked: ${offered}`, {
      hint: `line ${revoked.line} of ${file} revokes it; nothing was sent to that machine`,
    });
  }
  if (trusted.length === 0) {
    return new CephflowError('SSH_HOST_KEY', `the host key of ${nameOf(place)} is not known: ${offered}`, {
      hint: `compare it with \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on its console, then: ${scan}`,
    });
  }
  const was = trusted.map((one) => `${one.type} ${fingerprint(one.key)} (line ${one.line})`).join(', ');
  return new CephflowError(
    'SSH_HOST_KEY',
    `the host key of ${nameOf(place)} has changed: ${offered}, ${file} has ${was}`,
    {
      hint: `if it was replaced or installed anew: ssh-keygen -f ${file} -R '${name(host)}' && ${scan}; if not, somebody may stand in between`,
    },
  );
}
