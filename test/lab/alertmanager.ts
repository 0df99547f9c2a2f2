import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keeper } from './keeper.ts';
import type { Network } from './network.ts';
import { portOpens } from './ports.ts';

/** A silence as Alertmanager's API v2 tells it. */
export interface Silence {
  readonly id: string;
  readonly status: { readonly state: 'active' | 'pending' | 'expired' };
  readonly matchers: readonly { name: string; value: string; isRegex: boolean; isEqual?: boolean }[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
  readonly comment: string;
}

/** Start a real Alertmanager on a loopback port, without gossip, and return its address. */
export async function startAlertmanager(keeper: Keeper, dir: string, network: Network): Promise<string> {
  const own = join(dir, 'alertmanager');
  await mkdir(own);
  const conf = join(own, 'alertmanager.yml');
  await writeFile(conf, 'route:\n  receiver: none\nreceivers:\n  - name: none\n');
  const { services, alertmanagerPort } = network;
  const log = join(dir, 'log', 'alertmanager.log');
  const options = [
    `--config.file=${conf}`,
    `--storage.path=${own}`,
    `--web.listen-address=${services}:${alertmanagerPort}`,
    '--cluster.listen-address=',
  ];
  const script = 'log=$1; shift; prometheus-alertmanager "$@" > "$log" 2>&1 < /dev/null &';
  await keeper.must(['sh', '-c', script, 'sh', log, ...options]);
  await portOpens(services, alertmanagerPort, log);
  return `http://${services}:${alertmanagerPort}`;
}

/** List all silences, expired ones too. */
export async function listSilences(url: string): Promise<Silence[]> {
  const answer = await fetch(`${url}/api/v2/silences`);
  return (await answer.json()) as Silence[];
}
