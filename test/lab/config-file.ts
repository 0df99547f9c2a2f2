import { stringify } from 'yaml';

/** What the config of cephflow for a lab is written from. */
export interface ConfigFacts {
  readonly conf: string;
  readonly keyring: string;
  readonly ssh: { port: number; key: string; knownHosts: string; hosts: Readonly<Record<string, string>> };
  readonly alertmanagerUrl?: string | undefined;
  readonly mailUrlFile?: string | undefined;
  /** YAML text put at the end, for the keys a test needs (redis, engine, …). */
  readonly extra?: string | undefined;
}

/** Write a config of cephflow for a lab's cluster, under the name `lab`. */
export function cephflowConfig(facts: ConfigFacts): string {
  const { conf, keyring, ssh } = facts;
  const config = {
    clusters: {
      lab: {
        ceph: { via: 'local', conf, keyring },
        daemons: 'systemd',
        ssh: { user: 'root', port: ssh.port, key: ssh.key, 'known-hosts': ssh.knownHosts, hosts: ssh.hosts },
      },
    },
    ...(facts.alertmanagerUrl === undefined
      ? {}
      : { monitoring: { alertmanager: { url: facts.alertmanagerUrl } } }),
    ...(facts.mailUrlFile === undefined
      ? {}
      : { mail: { 'url-file': facts.mailUrlFile, from: 'cephflow@lab.example' } }),
    ...(facts.mailUrlFile === undefined
      ? {}
      : { contacts: { dc_team: { mail: 'technicians@lab.example' } } }),
  };
  return `${stringify(config)}${facts.extra ?? ''}`;
}
